package emulator

import (
	"slices"
	"strings"
)

// KeyPair is an SSH key pair.
type KeyPair struct {
	Name string `json:"name"`
	// UserID is the user it belongs to; empty is the user of the credentials.
	UserID string `json:"user_id"`
	// OfAccount is true for one that every user of the account may use. Only the key pair service shows those.
	OfAccount bool `json:"of_account"`
	Frozen    bool `json:"frozen"`
}

// userID is the user of the credentials.
func (e *Emulator) userID() string { return e.seed.hex("user") }

// mayUseKeyPair tells whether a change for that user can name the key pair.
func (e *Emulator) mayUseKeyPair(name, userID string) bool {
	return slices.ContainsFunc(e.keyPairs, func(k KeyPair) bool {
		return k.Name == name && !k.Frozen && (k.OfAccount || k.UserID == userID)
	})
}

// RemoveKeyPair deletes every key pair of that name, as a user does by hand.
func (e *Emulator) RemoveKeyPair(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keyPairs = slices.DeleteFunc(e.keyPairs, func(k KeyPair) bool { return k.Name == name })
}

type novaKeyPair struct {
	Name        string  `json:"name"`
	PublicKey   string  `json:"public_key"`
	Fingerprint string  `json:"fingerprint"`
	UserID      string  `json:"user_id,omitempty"` // not in lists
	Type        string  `json:"type"`
	ID          int     `json:"id,omitempty"`
	Deleted     *bool   `json:"deleted,omitempty"`
	CreatedAt   string  `json:"created_at,omitempty"`
	UpdatedAt   *string `json:"updated_at,omitempty"`
}

type listedKeyPair struct {
	KeyPair novaKeyPair `json:"keypair"`
}

func (e *Emulator) viewKeyPair(k KeyPair) novaKeyPair {
	return novaKeyPair{Name: k.Name, PublicKey: "ssh-rsa " + e.seed.hex("key", k.Name, k.UserID) + " emulated", Fingerprint: e.fingerprintOf(k), Type: "ssh"}
}

// fingerprintOf looks like that of an SSH key: "9d:01:...".
func (e *Emulator) fingerprintOf(k KeyPair) string {
	var pairs []string
	for pair := range slices.Chunk([]byte(e.seed.hex("fingerprint", k.Name, k.UserID)), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}

// isOwn is true for a key pair that the compute API shows. Guess: not for one of the account, which KPS has made.
func (e *Emulator) isOwn(k KeyPair) bool { return !k.OfAccount && k.UserID == e.userID() }

// listKeyPairs is GET os-keypairs of Nova: those of the user of the credentials.
func (e *Emulator) listKeyPairs(*call) answer {
	list := struct {
		KeyPairs []listedKeyPair `json:"keypairs"`
	}{[]listedKeyPair{}}
	for _, k := range e.keyPairs {
		if e.isOwn(k) {
			list.KeyPairs = append(list.KeyPairs, listedKeyPair{e.viewKeyPair(k)})
		}
	}
	return jsonAnswer(200, list)
}

// showKeyPair is GET os-keypairs/{keypair_name} of Nova.
func (e *Emulator) showKeyPair(c *call) answer {
	name := c.vars["keypair_name"]
	for i, k := range e.keyPairs {
		if k.Name == name && e.isOwn(k) {
			view := e.viewKeyPair(k)
			view.UserID, view.ID, view.Deleted, view.CreatedAt = k.UserID, i+1, new(bool), e.started.UTC().Format(serverTime)
			return jsonAnswer(200, listedKeyPair{view})
		}
	}
	text := "Keypair " + name + " not found for user " + e.userID()
	return (&refusal{status: 404, code: "itemNotFound", message: text, shape: shapeNova}).answer(c.requestID)
}

// showAccountKeyPair is GET /v3/{project_id}/keypairs/{keypair_name} of the key pair service. Guesses: it also shows those of other
// users of the account, because its answer names the user; and the code of one that is not there.
func (e *Emulator) showAccountKeyPair(c *call) answer {
	type view struct {
		novaKeyPair
		Scope  string `json:"scope"`
		Frozen int    `json:"frozen_state"`
	}
	name := c.vars["keypair_name"]
	at := slices.IndexFunc(e.keyPairs, func(k KeyPair) bool { return k.Name == name })
	if at < 0 {
		return (&refusal{status: 404, code: "KPS.0404", message: "The key pair does not exist.", shape: shapeGateway}).answer(c.requestID)
	}
	k := e.keyPairs[at]
	shown := view{e.viewKeyPair(k), "user", 0}
	shown.UserID, shown.Deleted = k.UserID, new(bool)
	if k.OfAccount {
		shown.Scope = "domain"
	}
	if k.Frozen {
		shown.Frozen = 1
	}
	return jsonAnswer(200, struct {
		KeyPair view `json:"keypair"`
	}{shown})
}
