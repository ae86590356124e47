package emulator

import (
	"strconv"
	"time"
)

// A temporaryKey is a key of the agency that the metadata service has granted.
type temporaryKey struct {
	keyPair
	expires time.Time // by the wall clock
}

const sessionToken = "emulated-metadata-session-token"

// openSession is PUT /meta-data/latest/api/token of the metadata service.
func (e *Emulator) openSession(*call) answer {
	if e.options.Edition.NoMetadataSession {
		return metadataRefusal(405, "The method is not allowed.")
	}
	return answer{status: 200, header: map[string][]string{"Content-Type": {"text/plain"}}, body: []byte(sessionToken)}
}

// showKeys is GET /openstack/latest/securitykey of the metadata service: the temporary keys of the server's agency.
// Guess: it shows the ones it has until a quarter of their life is left. The official SDK asks again 40 minutes before the end.
func (e *Emulator) showKeys(c *call) answer {
	switch {
	case e.options.NoAgency:
		return metadataRefusal(401, "Please configure Cloud Service Agency first")
	case !e.options.Edition.NoMetadataSession && c.session != sessionToken:
		return metadataRefusal(401, "Unauthorized")
	}
	life := e.options.TokenLifetime
	key := e.agency
	if !c.wall.Before(key.expires.Add(-life / 4)) {
		n := strconv.Itoa(e.issued)
		e.issued++
		key = temporaryKey{
			keyPair{"TEMP" + e.seed.hex("agency access", n), e.seed.hex("agency secret", n), e.seed.hex("agency token", n)},
			c.wall.Add(life),
		}
		e.agency = key
		e.temporary[key.accessKey] = key
	}
	return jsonAnswer(200, credentialView{credentialBody{
		Access: key.accessKey, Secret: key.secretKey, SecurityToken: key.securityToken, ExpiresAt: key.expires.UTC().Format(tokenTime),
	}})
}

type credentialView struct {
	Credential credentialBody `json:"credential"`
}

type credentialBody struct {
	Access        string `json:"access"`
	ExpiresAt     string `json:"expires_at"`
	Secret        string `json:"secret"`
	SecurityToken string `json:"securitytoken"`
}

// metadataRefusal is in plain text, unlike every other.
func metadataRefusal(status int, text string) answer {
	return answer{status: status, header: map[string][]string{"Content-Type": {"text/plain"}}, body: []byte(text)}
}
