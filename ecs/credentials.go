package ecs

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Credentials put the proof of identity on a request. The body is what will be sent, byte for byte, and
// now is the time of the request. Nothing of the request may change afterwards.
type Credentials interface {
	Authorize(req *http.Request, body []byte, now time.Time) error
}

// AccessKey signs requests with SDK-HMAC-SHA256. SecurityToken belongs to temporary keys.
type AccessKey struct {
	ID            string
	Secret        Secret
	SecurityToken Secret
}

// Authorize signs the request: what it carries, its time and the hash of its body. A query that cannot be read
// to its end is refused: what is not read is not signed. So is a header that states another hash, which the
// gateway would believe in the body's place.
func (k AccessKey) Authorize(req *http.Request, body []byte, now time.Time) error {
	if err := k.validate(); err != nil {
		return err
	}
	if _, err := url.ParseQuery(req.URL.RawQuery); err != nil {
		return fmt.Errorf("the query cannot be signed: %w", err)
	}
	if stated := req.Header.Get(statedHash); stated != "" && stated != hashOf(body) {
		return fmt.Errorf("the body cannot be signed: the header %s states another hash than the body has", statedHash)
	}
	req.Header.Set(signatureDate, now.UTC().Format(signatureTime))
	if !k.SecurityToken.Empty() {
		req.Header.Set("X-Security-Token", k.SecurityToken.Reveal())
	}
	req.Header.Set("Authorization", sign(req, body, k.ID, k.Secret.Reveal()))
	return nil
}

func (k AccessKey) validate() error {
	return errors.Join(
		checkCredential("access key id", k.ID),
		checkCredential("secret access key", k.Secret.Reveal()),
		optional(k.SecurityToken, "security token"),
	)
}

// isOn is true for a request that was signed with this key.
func (k AccessKey) isOn(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("Authorization"), signatureScheme+" Access="+k.ID+",")
}

// Token is a project-scoped token of the identity service.
type Token struct {
	Value Secret
}

// Authorize adds the token to the request.
func (t Token) Authorize(req *http.Request, _ []byte, _ time.Time) error {
	if err := t.validate(); err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", t.Value.Reveal())
	return nil
}

// isOn is true for a request that carries this token.
func (t Token) isOn(req *http.Request) bool {
	return req.Header.Get("X-Auth-Token") == t.Value.Reveal()
}

func (t Token) validate() error { return checkCredential("token", t.Value.Reveal()) }

// checkCredential catches what files and shells leave at the end of a secret. It never prints the value.
func checkCredential(what, value string) error {
	if value == "" {
		return fmt.Errorf("the %s is empty", what)
	}
	for i := range len(value) {
		if value[i] <= ' ' || value[i] > '~' {
			return fmt.Errorf("the %s contains a space, a line break or a character that no key has", what)
		}
	}
	return nil
}

func optional(s Secret, what string) error {
	if s.Empty() {
		return nil
	}
	return checkCredential(what, s.Reveal())
}
