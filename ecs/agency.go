package ecs

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// MetadataURL is where every server of the cloud finds its metadata service: an address of the link itself.
	MetadataURL = "http://169.254.169.254"
	// metadataTimeout is that of the official SDK. The service is one hop away or not there at all, and then
	// nobody answers.
	metadataTimeout = 3 * time.Second
	// metadataTokenLife is that of the official SDK, in seconds.
	metadataTokenLife = "21600"
)

// MetadataConfig says where the metadata service is.
type MetadataConfig struct {
	// URL is its base. Empty means MetadataURL.
	URL string
	// Dial is as in Config.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Agency are the temporary keys that the metadata service grants a server which an agency was given to. They are
// renewed at half of what is left of their life and when the cloud refuses them.
type Agency struct {
	*renewed
	base   *url.URL
	client *Client // without credentials unless somebody lends some
}

// NewAgency checks the configuration. The first request, or Check, gets the first keys.
func NewAgency(config MetadataConfig) (*Agency, error) {
	base, err := parseBase("the metadata service", cmp.Or(config.URL, MetadataURL))
	if err != nil {
		return nil, err
	}
	transport := newTransport(config.Dial, nil, metadataTimeout)
	// Whoever asks in the server's place gets its keys.
	transport.reads.Proxy, transport.writes.Proxy = nil, nil
	a := &Agency{base: base, client: &Client{
		credentials: nobody{}, timeout: metadataTimeout, userAgent: defaultUserAgent, now: time.Now, transport: transport,
	}}
	a.renewed = newRenewed(a.keys)
	return a, nil
}

// Check gets the first keys, or says why there are none.
func (a *Agency) Check(ctx context.Context) error {
	_, err := a.grant(ctx, a.client.now())
	return err
}

// keys is GET /openstack/latest/securitykey. The service may well answer with the keys it has granted already.
func (a *Agency) keys(ctx context.Context) (grant, error) {
	asking := *a.client
	var err error
	if asking.credentials, err = a.session(ctx); err != nil {
		return grant{}, err
	}
	call := request{
		op: "get", resource: "the keys of this server's agency", url: a.base.JoinPath("openstack", "latest", "securitykey"),
		method: http.MethodGet, private: true,
	}
	asked := asking.now()
	reply := asking.exchange(ctx, call)
	if !reply.usable() {
		return grant{}, noKeys(ctx, reply, call)
	}
	key, life, err := decodeKeys(reply.answer)
	if err != nil {
		return grant{}, reply.unclear(call, err)
	}
	return grant{credentials: key, at: asked, expires: asked.Add(life)}, nil
}

// session is PUT /meta-data/latest/api/token, which the service wants since its version 2. One that knows no
// sessions answers 404 or 405, one that has none just now 503: then it is asked without, as the official SDK does.
func (a *Agency) session(ctx context.Context) (Credentials, error) {
	asking := *a.client
	asking.credentials = newSession{}
	call := request{
		op: "open", resource: "a session of the metadata service at " + a.base.String(), method: http.MethodPut,
		url: a.base.JoinPath("meta-data", "latest", "api", "token"), private: true,
	}
	reply := asking.exchange(ctx, call)
	if reply.usable() {
		token := session{NewSecret(strings.TrimSpace(string(reply.body)))}
		if err := token.validate(); err != nil {
			return nil, reply.unclear(call, err)
		}
		return token, nil
	}
	switch reply.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusServiceUnavailable:
		return nobody{}, nil
	}
	return nil, noKeys(ctx, reply, call)
}

// noKeys is the failure of a call, with what to do where no time brings keys: the service declined, or nobody is at its
// address. A service that stumbles, or is asked too often, says nothing about the agency.
func noKeys(ctx context.Context, r reply, call request) *Error {
	e := r.failure(call)
	declined := r.status >= 400 && r.status <= 499 && e.Class() != ClassThrottled && e.Class() != ClassTransient
	if declined || r.err != nil && !r.begun && ctx.Err() == nil {
		e.cause, e.remedy = CauseCredentials, "this server grants no keys: give it an agency, or set the credentials to use"
	}
	return e
}

// newSession asks for the token of a session, and session shows it.
type (
	newSession struct{}
	session    struct{ token Secret }
)

func (newSession) Authorize(req *http.Request, _ []byte, _ time.Time) error {
	req.Header.Set("X-Metadata-Token-Ttl-Seconds", metadataTokenLife)
	return nil
}

func (s session) Authorize(req *http.Request, _ []byte, _ time.Time) error {
	req.Header.Set("X-Metadata-Token", s.token.Reveal())
	return nil
}

func (s session) validate() error { return checkCredential("token of the session", s.token.Reveal()) }

// decodeKeys reads the keys and how long they are still valid. The end is by the clock of the service, which the
// answer tells; the local one may differ from it.
func decodeKeys(a answer) (AccessKey, time.Duration, error) {
	var answer struct {
		Credential struct {
			Access        text `json:"access"`
			Secret        text `json:"secret"`
			SecurityToken text `json:"securitytoken"`
			ExpiresAt     text `json:"expires_at"`
		} `json:"credential"`
	}
	if err := unmarshal(a.body, &answer); err != nil {
		return AccessKey{}, 0, err
	}
	given := answer.Credential
	key := AccessKey{
		ID: string(given.Access), Secret: NewSecret(string(given.Secret)), SecurityToken: NewSecret(string(given.SecurityToken)),
	}
	if err := errors.Join(key.validate(), checkCredential("security token", key.SecurityToken.Reveal())); err != nil {
		return AccessKey{}, 0, err
	}
	end, err := time.Parse(time.RFC3339, string(given.ExpiresAt))
	if err != nil {
		return AccessKey{}, 0, errors.New("the answer does not say until when the keys are valid")
	}
	now, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		now = a.at
	}
	if !end.After(now) {
		return AccessKey{}, 0, errors.New("the keys of the answer are valid no more")
	}
	return key, end.Sub(now), nil
}

// Close closes idle connections.
func (a *Agency) Close() { a.client.Close() }
