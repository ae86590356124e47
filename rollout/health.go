package rollout

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Health is what proves that the application of a server works. A server whose image is proven and whose application is not
// ends as FailedUnhealthy.
type Health struct {
	// Checks all have to pass at the same time.
	Checks []HealthCheck `json:"checks"`
	// RequireBefore is what follows when a running server is not healthy before its change. Empty means warn.
	RequireBefore RequireBefore `json:"require_before,omitempty"`
}

// RequireBefore is what follows when a running server is not healthy before its change.
type RequireBefore string

// The rules for servers that are not healthy before.
const (
	BeforeWarn   RequireBefore = "warn"   // the plan names them
	BeforeRefuse RequireBefore = "refuse" // the plan is refused, and so is a server when its turn comes
	BeforeOff    RequireBefore = "off"    // it is not checked
)

// HealthCheck is one probe of a server, from the worker to an address that the cloud's record of the server shows. Its
// ranges: docs/rollout.md#health.
type HealthCheck struct {
	Type HealthCheckType `json:"type"`
	Port int             `json:"port"`
	// Address is the kind of address that is probed. Empty means fixed.
	Address AddressType `json:"address,omitempty"`
	// Path, Status, Contains and Host are of http and https. Path begins with a slash; Status 0 accepts every status from
	// 200 to 299; Contains is a text that the first 64 KB of the body hold; Host replaces the address in the Host header, and
	// is the name that the certificate is verified for.
	Path     string `json:"path,omitempty"`
	Status   int    `json:"status,omitempty"`
	Contains string `json:"contains,omitempty"`
	Host     string `json:"host,omitempty"`
	// CA are the certificates that https trusts in place of those of the worker, in PEM. Insecure accepts every certificate.
	CA       string `json:"ca,omitempty"`
	Insecure bool   `json:"insecure,omitempty"`
	// After is for how long the server is left alone first. StableFor is for how long the check has to pass without a break.
	// Within is when it fails that did not: both After and Within count from the proof of the new disk.
	After     time.Duration `json:"after,omitempty"`
	StableFor time.Duration `json:"stable_for"`
	Within    time.Duration `json:"within"`
}

// HealthCheckType is how a server is probed.
type HealthCheckType string

// The types of checks.
const (
	CheckTCP   HealthCheckType = "tcp"   // a connection is accepted
	CheckHTTP  HealthCheckType = "http"  // a GET request is answered; redirects are not followed
	CheckHTTPS HealthCheckType = "https" // the same over TLS
	CheckSSH   HealthCheckType = "ssh"   // an SSH server sends its banner
)

// AddressType is the kind of address that the cloud's record of a server shows.
type AddressType string

// The types of addresses.
const (
	AddressFixed    AddressType = "fixed"    // in the network of the server
	AddressFloating AddressType = "floating" // a public one
)

// Defaults of checks.
const (
	DefaultStableFor = 10 * time.Second
	DefaultWithin    = 5 * time.Minute
	maxHealthTime    = 24 * time.Hour
	maxContains      = 200
	maxCA            = 32 << 10
	// MaxHealthChecks is how many checks a server has at most.
	MaxHealthChecks = 10
)

// String names the check for people, without the query of its path: "http :8080/health".
func (c HealthCheck) String() string {
	path, _, _ := strings.Cut(c.Path, "?")
	return fmt.Sprintf("%s :%d%s", c.Type, c.Port, path)
}

// WithDefaults fills in what is left out.
func (c HealthCheck) WithDefaults() HealthCheck {
	if c.Port == 0 {
		c.Port = map[HealthCheckType]int{CheckHTTP: 80, CheckHTTPS: 443, CheckSSH: 22}[c.Type]
	}
	if c.Path == "" && c.isHTTP() {
		c.Path = "/"
	}
	if c.Address == "" {
		c.Address = AddressFixed
	}
	if c.StableFor == 0 {
		c.StableFor = DefaultStableFor
	}
	if c.Within == 0 {
		c.Within = max(DefaultWithin, c.After+2*c.StableFor)
	}
	return c
}

// WithDefaults fills in what the checks leave out. It shares nothing that it changes.
func (h Health) WithDefaults() Health {
	h.Checks = slices.Clone(h.Checks)
	for i, c := range h.Checks {
		h.Checks[i] = c.WithDefaults()
	}
	return h
}

func (c HealthCheck) isHTTP() bool { return c.Type == CheckHTTP || c.Type == CheckHTTPS }

// Longest is how long the checks take at most, when each is unhealthy until the end.
func (h Health) Longest() time.Duration {
	var longest time.Duration
	for _, c := range h.Checks {
		longest = max(longest, c.Within+2*c.StableFor)
	}
	return longest
}

// Shortest is how long the checks of a server take that is healthy at once.
func (h Health) Shortest() time.Duration {
	var shortest time.Duration
	for _, c := range h.Checks {
		shortest = max(shortest, c.After+c.StableFor)
	}
	return shortest
}

// Validate names everything that is wrong with the checks, whose defaults are filled in.
func (h Health) Validate() error {
	var wrong []error
	if len(h.Checks) == 0 {
		wrong = append(wrong, errors.New("there is no check: without one nothing proves that the application works"))
	}
	if len(h.Checks) > MaxHealthChecks {
		wrong = append(wrong, fmt.Errorf("there are %d checks, more than %d", len(h.Checks), MaxHealthChecks))
	}
	switch h.RequireBefore {
	case "", BeforeWarn, BeforeRefuse, BeforeOff:
	default:
		wrong = append(wrong, fmt.Errorf("requireBefore %q is none of warn, refuse, off", h.RequireBefore))
	}
	for i, c := range h.Checks {
		if err := c.Validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("check %d: %w", i+1, err))
		}
	}
	return errors.Join(wrong...)
}

// Validate names everything that is wrong with the check, whose defaults are filled in.
func (c HealthCheck) Validate() error {
	var wrong []error
	reject := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	switch c.Type {
	case CheckTCP, CheckHTTP, CheckHTTPS, CheckSSH:
	default:
		reject("type %q is none of tcp, http, https, ssh", c.Type)
	}
	if c.Port < 1 || c.Port > 65535 {
		reject("port %d is not between 1 and 65535", c.Port)
	}
	switch c.Address {
	case AddressFixed, AddressFloating:
	default:
		reject("address %q is neither fixed nor floating", c.Address)
	}
	c.validateHTTP(reject)
	c.validateTimes(reject)
	return errors.Join(wrong...)
}

func (c HealthCheck) validateHTTP(reject func(string, ...any)) {
	if !c.isHTTP() && (c.Path != "" || c.Status != 0 || c.Contains != "" || c.Host != "") {
		reject("path, status, contains and host are of http and https, and the type is %s", c.Type)
	}
	if c.Type != CheckHTTPS && (c.CA != "" || c.Insecure) {
		reject("ca and insecure are of https, and the type is %s", c.Type)
	}
	if c.CA != "" && c.Insecure {
		reject("ca and insecure exclude each other: give one")
	}
	if c.CA != "" && !strings.Contains(c.CA, "-----BEGIN CERTIFICATE-----") { // package spec reads it
		reject("ca holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	_, err := url.ParseRequestURI(c.Path)
	isPath := err == nil && strings.HasPrefix(c.Path, "/") && !strings.HasPrefix(c.Path, "//") && !strings.Contains(c.Path, "#")
	if c.isHTTP() && (!isPath || strings.ContainsFunc(c.Path, isBlankOrControl)) {
		reject("path %q is not a path that begins with a slash and holds no blanks", c.Path)
	}
	if len(c.CA) > maxCA {
		reject("ca has %d bytes, more than %d", len(c.CA), maxCA)
	}
	if c.Status != 0 && (c.Status < 100 || c.Status > 599) {
		reject("status %d is not between 100 and 599", c.Status)
	}
	if len(c.Contains) > maxContains {
		reject("contains has %d bytes, more than %d", len(c.Contains), maxContains)
	}
	if strings.ContainsFunc(c.Host, isBlankOrControl) || strings.ContainsAny(c.Host, "/@?#") {
		reject("host %q is not the name of a host", c.Host)
	}
}

func (c HealthCheck) validateTimes(reject func(string, ...any)) {
	for _, t := range []struct {
		name string
		time time.Duration
	}{{"after", c.After}, {"stableFor", c.StableFor}, {"within", c.Within}} {
		if t.time < 0 || t.time > maxHealthTime {
			reject("%s is %s, not between 0s and %s", t.name, t.time, maxHealthTime)
		}
	}
	if c.Within < c.After+c.StableFor {
		reject("it can never pass: within is %s, and after and stableFor together are %s", c.Within, c.After+c.StableFor)
	}
}

func isBlankOrControl(r rune) bool { return r <= ' ' || r == 0x7f }
