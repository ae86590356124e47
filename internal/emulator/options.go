package emulator

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"
)

// What New uses where Options says nothing. None of them opens anything but an emulator.
const (
	DefaultProjectID   = "0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80"
	DefaultProjectName = "eu-emulated-1"
	DefaultAccessKey   = "EMULATEDACCESSKEY000"
	DefaultSecretKey   = "emulated-secret-key-opens-nothing-real-0"
	DefaultToken       = "emulated-token"
	DefaultUserName    = "operator"
	DefaultPassword    = "emulated-password"
	DefaultDomainName  = "EMULATED-ACCOUNT"
	DefaultServers     = 10
)

// Options describe an emulated project. The zero value is a working one.
type Options struct {
	Servers int      // size of the generated fleet; used when Fleet is empty; 0 means DefaultServers
	Fleet   []Server // servers instead of generated ones; empty fields are filled in
	Images  []Image  // images instead of the generated ones; empty fields are filled in
	// KeyPairs are those that exist; default fleet-key-01 and ops-key of the user of the credentials.
	KeyPairs []KeyPair
	Seed     uint64
	Speed    float64 // emulated seconds per real second; 0 means 1
	Edition  Edition
	Timing   Timing
	Faults   []Fault
	// CallsPerSecond is how many calls the gateway lets through in any one second of real time; 0 is no limit.
	// Calls that it refuses count too.
	CallsPerSecond int
	// Applications puts an application on every server, which answers GET /health on port 8080 of an address of the
	// server's own in 127.0.0.0/8. Where that cannot be, it listens on a port of its own on 127.0.0.1. Servers must not
	// have an IP then. Close ends them. Without it nothing listens.
	Applications bool
	// ApplicationListen opens the listener of an application on "host:port"; nil for those of the operating system.
	// With it, servers keep the IP that they would have without applications.
	ApplicationListen func(address string) (net.Listener, error)
	Pools             []Pool // of load balancers over the fleet
	singleLoopback    bool   // for tests: as on systems with no other loopback address than 127.0.0.1

	ProjectID, ProjectName string // the id is 32 hexadecimal digits, as everywhere in this family of clouds
	AccessKey, SecretKey   string
	SecurityToken          string // when set, AccessKey is a temporary key and X-Security-Token must carry this
	Token                  string // always valid, besides the tokens issued by POST /v3/auth/tokens
	UserName, Password     string
	DomainName             string
	// EnterpriseProject is the id of the one that all servers and private images are in, "" for the default one. With an id
	// the rights of the credentials are in that one only: lists have to name it.
	EnterpriseProject string
	TokenLifetime     time.Duration // of issued tokens and temporary keys, by the wall clock; 0 means 24h
	NoAgency          bool          // the metadata service has no keys to grant
	Skew              time.Duration // how far the cloud's clock is ahead of this machine's; below 0 it is behind
}

// Span is a duration that is drawn evenly from Median-Spread to Median+Spread.
type Span struct{ Median, Spread time.Duration }

// Timing says how long things take, in emulated time. Zero fields take the default in brackets.
type Timing struct {
	Stop         Span          // SOFT stop of a guest that listens [20s to 40s]; HARD takes a fifth
	Start        Span          // [15s to 35s]
	ChangeOS     Span          // from REBUILD to ACTIVE [60s to 120s]
	Boot         Span          // from ACTIVE to the first answer of the application [10s to 30s]; none for those that run at first
	GuestTimeout time.Duration // SOFT stop of a guest that ignores ACPI, until the platform forces it [300s]
	JobRetention time.Duration // a finished job is known this long [24h]
	Lag          time.Duration // how long the server view stays behind the SUCCESS of any job [0]
	WeightEffect time.Duration // from the new weight of a member until requests follow it [5s]
	Lead         Span          // how long the server view is ahead of the end of any job [0]
}

func (o Options) withDefaults() Options {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&o.ProjectID, DefaultProjectID)
	text(&o.ProjectName, DefaultProjectName)
	text(&o.AccessKey, DefaultAccessKey)
	text(&o.SecretKey, DefaultSecretKey)
	text(&o.Token, DefaultToken)
	text(&o.UserName, DefaultUserName)
	text(&o.Password, DefaultPassword)
	text(&o.DomainName, DefaultDomainName)
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = 24 * time.Hour
	}
	if len(o.KeyPairs) == 0 {
		o.KeyPairs = []KeyPair{{Name: "fleet-key-01"}, {Name: "ops-key"}}
	}
	if len(o.Fleet) == 0 && o.Servers == 0 {
		o.Servers = DefaultServers
	}
	o.Timing = o.Timing.withDefaults()
	o.Edition = o.Edition.withDefaults()
	return o
}

func (t Timing) withDefaults() Timing {
	span := func(field *Span, median, spread time.Duration) {
		if *field == (Span{}) {
			*field = Span{median, spread}
		}
	}
	span(&t.Stop, 30*time.Second, 10*time.Second)
	span(&t.Start, 25*time.Second, 10*time.Second)
	span(&t.ChangeOS, 90*time.Second, 30*time.Second)
	span(&t.Boot, 20*time.Second, 10*time.Second)
	if t.GuestTimeout == 0 {
		t.GuestTimeout = 300 * time.Second
	}
	if t.WeightEffect == 0 {
		t.WeightEffect = 5 * time.Second
	}
	if t.JobRetention == 0 {
		t.JobRetention = 24 * time.Hour
	}
	return t
}

var projectID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// validate returns every problem at once.
func (o Options) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !projectID.MatchString(o.ProjectID) {
		problem("project id %q is not 32 digits and letters from a to f, such as %s", o.ProjectID, DefaultProjectID)
	}
	if o.Servers < 0 {
		problem("servers: %d is negative", o.Servers)
	}
	if !(o.Speed > 0) {
		problem("speed: %v is not above 0", o.Speed)
	}
	if o.Applications && max(o.Servers, len(o.Fleet)) > maxApplications {
		problem("applications: there are addresses for %d servers", maxApplications)
	}
	if o.CallsPerSecond < 0 {
		problem("calls per second: %d is negative", o.CallsPerSecond)
	}
	if o.TokenLifetime < 0 {
		problem("token lifetime: %v is negative", o.TokenLifetime)
	}
	problems = append(problems, o.Timing.validate(), o.Edition.validate())
	if o.EnterpriseProject != "" && !isUUID(o.EnterpriseProject) {
		problem("enterprise project %q is not a UUID", o.EnterpriseProject)
	}
	seen := map[string]bool{}
	for i, s := range o.Fleet {
		if s.ID != "" && seen[s.ID] {
			problem("fleet[%d] (%s): id %s is used twice", i, s.Name, s.ID)
		}
		seen[s.ID] = true
		if s.Status != "" && vmStateOf(s.Status) == "" {
			problem("fleet[%d] (%s): a server cannot begin with status %q; use ACTIVE, SHUTOFF or ERROR", i, s.Name, s.Status)
		}
		if o.Applications && o.ApplicationListen == nil && s.IP != "" {
			problem("fleet[%d] (%s): the emulator picks the address of an application; leave the IP %s out", i, s.Name, s.IP)
		}
	}
	for i, image := range o.Images {
		if image.ID != "" && seen[image.ID] {
			problem("images[%d] (%s): id %s is used twice", i, image.Name, image.ID)
		}
		seen[image.ID] = true
	}
	for i, f := range o.Faults {
		if err := f.validate(); err != nil {
			problem("faults[%d]: %w", i, err)
		}
	}
	return errors.Join(problems...)
}

func (t Timing) validate() error {
	var problems []error
	for _, span := range []struct {
		name string
		Span
	}{{"stop", t.Stop}, {"start", t.Start}, {"change os", t.ChangeOS}, {"boot", t.Boot}, {"lead", t.Lead}} {
		if span.Spread < 0 || span.Median < span.Spread {
			problems = append(problems, fmt.Errorf("timing of %s: %v plus or minus %v reaches below 0", span.name, span.Median, span.Spread))
		}
	}
	if t.GuestTimeout < 0 || t.JobRetention < 0 || t.Lag < 0 || t.WeightEffect < 0 {
		problems = append(problems, errors.New("timing: guest timeout, job retention, effect of a weight and lag must not be negative"))
	}
	return errors.Join(problems...)
}
