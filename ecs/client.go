package ecs

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

const (
	defaultRequestTimeout = 30 * time.Second
	defaultUserAgent      = "reimage/ecs"
)

// Config says which project of which cloud to talk to, and as whom.
type Config struct {
	ProjectID string
	// FindProject gives the id where only the name of the project is known, instead of ProjectID. It is asked by
	// Resolve, by many callers at once: UserToken.ProjectID and Identity.FindProject see to it that the identity
	// service is not.
	FindProject func(ctx context.Context) (string, error)
	// EnterpriseProject narrows the lists of servers and images to one enterprise project: its id, DefaultEnterpriseProject,
	// or AllEnterpriseProjects. Credentials whose rights are in enterprise projects only need it. Empty sends nothing.
	EnterpriseProject string
	// ECS and IMS are the base URLs of the server and the image service. A path in them is kept, and
	// signed as it is sent.
	ECS, IMS string
	// KPS is the base URL of the key pair service, which only some clouds have. Empty asks none.
	KPS         string
	Credentials Credentials
	// RequestTimeout bounds one request to the last byte of the answer: a write from the call on, a read from its
	// turn on. Default 30 s.
	RequestTimeout time.Duration
	// CallsPerSecond is how many calls are made in any one second at most, to both services together. When the
	// cloud throttles it becomes fewer for a while. Default DefaultCallsPerSecond, at least MinCallsPerSecond.
	CallsPerSecond int
	// UserAgent defaults to "reimage/ecs".
	UserAgent string
	// RootCAs verify the services' certificates. Nil means those of the system.
	RootCAs *x509.CertPool
	// Dial opens connections, for tests without a network. Nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock that dates requests and guards their deadlines. It has to agree with the clock
	// behind the deadlines of contexts. Nil means time.Now.
	Now func() time.Time
}

// Client talks to the cloud. It is safe for concurrent use.
type Client struct {
	project     *project
	enterprise  string
	ecs, ims    *url.URL
	kps         *url.URL // nil where there is none
	credentials Credentials
	timeout     time.Duration
	userAgent   string
	transport   *transport
	now         func() time.Time
	turns       *turns // shared by all copies of the client
	tries       int    // of each read; below two means one
	says        func(failed *Error)
	reads       hurry // of its reads
	withoutText bool
}

// New checks the configuration and reports every problem with it at once. It sends nothing.
func New(config Config) (*Client, error) {
	ecs, ecsErr := parseBase("ECS", config.ECS)
	ims, imsErr := parseBase("IMS", config.IMS)
	var kps *url.URL
	var kpsErr error
	if config.KPS != "" {
		kps, kpsErr = parseBase("KPS", config.KPS)
	}
	timeout := cmp.Or(config.RequestTimeout, defaultRequestTimeout)
	agent := cmp.Or(config.UserAgent, defaultUserAgent)
	calls := cmp.Or(config.CallsPerSecond, DefaultCallsPerSecond)
	err := errors.Join(
		checkProject(config),
		CheckEnterpriseProject(config.EnterpriseProject),
		ecsErr, imsErr, kpsErr,
		checkCredentials(config.Credentials),
		checkTimeout(timeout),
		checkCallsPerSecond(calls),
		checkUserAgent(agent),
	)
	if err != nil {
		return nil, err
	}
	c := &Client{
		project:     newProject(config),
		enterprise:  config.EnterpriseProject,
		ecs:         ecs,
		ims:         ims,
		kps:         kps,
		credentials: config.Credentials,
		timeout:     timeout,
		userAgent:   agent,
		transport:   newTransport(config.Dial, config.RootCAs, timeout),
		now:         config.Now,
		turns:       newTurns(calls),
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// RequestTimeout is the longest time one request may take.
func (c *Client) RequestTimeout() time.Duration { return c.timeout }

// Close closes idle connections. The client stays usable.
func (c *Client) Close() { c.transport.close() }

// CheckURL tells whether a base URL of a service can be used. Its error is a predicate, "must be like https://host/path",
// and never repeats the URL, which may hold a password.
func CheckURL(base string) error {
	_, err := parseURL(base)
	return err
}

func parseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case base == "":
		return nil, errors.New("is missing")
	case err != nil:
		return nil, errors.New("cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("must be like https://host/path")
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not have a query or fragment")
	}
	return u, nil
}

func parseBase(service, base string) (*url.URL, error) {
	u, err := parseURL(base)
	if err != nil {
		return nil, fmt.Errorf("the base URL of %s %w", service, err)
	}
	return u, nil
}

func checkProject(config Config) error {
	if config.ProjectID == "" && config.FindProject != nil {
		return nil
	}
	return checkToken("project id", config.ProjectID)
}

func checkCredentials(credentials Credentials) error {
	switch c := credentials.(type) {
	case nil:
		return errors.New("credentials are missing: an access key or a token")
	case interface{ validate() error }:
		return c.validate()
	}
	return nil
}

func checkTimeout(timeout time.Duration) error {
	if timeout < 0 {
		return fmt.Errorf("the request timeout %s is negative", timeout)
	}
	return nil
}

func checkUserAgent(agent string) error {
	for i := range len(agent) {
		if agent[i] < ' ' || agent[i] > '~' {
			return errors.New("the user agent contains a line break or a character outside ASCII")
		}
	}
	return nil
}
