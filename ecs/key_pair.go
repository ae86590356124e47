package ecs

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// KeyPair is an SSH key pair to log in with.
type KeyPair struct {
	Name string
	// UserID is the user it belongs to.
	UserID string
	// OfAccount is true for one that every user of the account may use.
	OfAccount bool
	// Frozen is true for one that may not be used now.
	Frozen bool
}

// KeyPair reads a key pair of the credentials' user, from the compute API (Nova). It knows no key pairs of other users:
// those and unknown ones have ClassNotFound.
func (c *Client) KeyPair(ctx context.Context, name string) (KeyPair, error) {
	return c.keyPair(ctx, "key pair "+strconv.Quote(shown(name)), ActionReadKeyPair, c.ecs, []string{"v2.1", c.ProjectID(), "os-keypairs"}, name)
}

// ErrNoKPS is the cause when the configuration names no key pair service.
var ErrNoKPS = errors.New("the address of the key pair service is not known")

// AccountKeyPair reads a key pair from the key pair service (KPS), which also knows those of the account. It is tried once, by a
// patient client too: not every cloud has the service.
func (c *Client) AccountKeyPair(ctx context.Context, name string) (KeyPair, error) {
	resource := "key pair " + strconv.Quote(shown(name)) + " of the account"
	if c.kps == nil {
		return KeyPair{}, invalid("read", resource, ErrNoKPS)
	}
	once := *c
	once.tries = 1
	return once.keyPair(ctx, resource, ActionReadAccountKeyPair, c.kps, []string{"v3", c.ProjectID(), "keypairs"}, name)
}

func (c *Client) keyPair(ctx context.Context, resource, action string, base *url.URL, path []string, name string) (KeyPair, error) {
	const op = "read"
	if err := checkKeyPairName(name); err != nil {
		return KeyPair{}, invalid(op, resource, err)
	}
	call := request{op: op, resource: resource, action: action, url: base.JoinPath(append(path, url.PathEscape(name))...)}
	pair, err := read(ctx, c, call, func(body []byte) (keyPairJSON, error) { return decodeKeyPair(body, name) })
	if err == nil && bool(pair.Deleted) {
		return KeyPair{}, &Error{Op: op, Resource: resource, Message: "it was deleted", class: ClassNotFound}
	}
	return pair.keyPair(), err
}

// checkKeyPairName keeps from the path what would make it another one.
func checkKeyPairName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) || name != tidy(name) || len(name) > maxKeyName {
		return errors.New("the name is empty or too long, or has slashes, line breaks or characters that do not print, and cannot be asked for")
	}
	return nil
}

type keyPairJSON struct {
	Name    text   `json:"name"`
	UserID  text   `json:"user_id"`
	Deleted flag   `json:"deleted"`
	Scope   text   `json:"scope"`        // of KPS: domain or user
	Frozen  number `json:"frozen_state"` // of KPS: 0 is fine
}

func (k keyPairJSON) keyPair() KeyPair {
	return KeyPair{Name: string(k.Name), UserID: string(k.UserID), OfAccount: strings.EqualFold(string(k.Scope), "domain"), Frozen: k.Frozen != 0}
}

func decodeKeyPair(body []byte, name string) (keyPairJSON, error) {
	var answer struct {
		KeyPair object[keyPairJSON] `json:"keypair"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return keyPairJSON{}, err
	}
	if found := string(answer.KeyPair.value.Name); found == "" {
		return keyPairJSON{}, errors.New("the answer holds no key pair")
	} else if found != name {
		return keyPairJSON{}, errors.New("the answer is about another key pair")
	}
	return answer.KeyPair.value, nil
}

// KeyPairNames lists the key pairs of the credentials' user, as far as one answer holds them.
func (c *Client) KeyPairNames(ctx context.Context) ([]string, error) {
	call := request{
		op: "list", resource: "key pairs", action: ActionListKeyPairs, list: true,
		url: c.ecs.JoinPath("v2.1", c.ProjectID(), "os-keypairs"),
	}
	return read(ctx, c, call, decodeKeyPairNames)
}

func decodeKeyPairNames(body []byte) ([]string, error) {
	var answer struct {
		KeyPairs list[struct {
			KeyPair object[keyPairJSON] `json:"keypair"`
		}] `json:"keypairs"`
	}
	if err := unmarshalUpTo(maxListValues, body, &answer); err != nil {
		return nil, err
	}
	if !hasList(body, "keypairs") {
		return nil, errors.New("the answer lists no key pairs")
	}
	var names []string
	for _, k := range answer.KeyPairs {
		names = append(names, string(k.KeyPair.value.Name))
	}
	return names, nil
}
