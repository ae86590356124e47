package faults

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/change"
)

// process is one worker process: the real activities with a real client of the cloud. A blow hits it at its next
// crash point. What a dead process still computes reaches nobody, and a frozen one gets no further than its next
// crash point until it thaws.
type process struct {
	world   *world
	acts    *activities.Activities
	ordinal int // the how manyth process it is

	mu      sync.Mutex
	dead    bool
	thawed  chan struct{} // closed when a frozen process goes on, nil when it is not frozen
	thaw    time.Time     // when it will
	offline time.Time     // until when it is cut off from Temporal
	stop    chan struct{} // closed when it is told to stop
	stopped bool
	conns   map[*conn]struct{}
	running map[*attempt]struct{}
}

var errDead = errors.New("the process is dead")

func newProcess(w *world) (*process, error) {
	p := &process{world: w, ordinal: w.nextOrdinal(), stop: make(chan struct{}), conns: map[*conn]struct{}{}, running: map[*attempt]struct{}{}}
	credentials, err := p.credentials()
	if err != nil {
		return nil, err
	}
	client, err := ecs.New(ecs.Config{
		ProjectID: emulator.DefaultProjectID, ECS: "http://ecs.emulated", IMS: "http://ims.emulated", Credentials: credentials,
		Dial: p.dial, Now: p.now,
	})
	if err != nil {
		return nil, err
	}
	p.acts = &activities.Activities{
		Profiles: []activities.Profile{{Name: activities.DefaultProfile, Cloud: client}}, Timing: change.DefaultTiming(), Temporal: asked{p.world},
		Secrets: activities.Secrets{LookupEnv: p.lookupEnv},
	}
	return p, nil
}

// rootPassword is what every change of a campaign sends, by a reference. No result, error or heartbeat may tell it.
const (
	rootPassword     = "Pl4nted-Passw0rd"
	rootPasswordName = "REIMAGE_SECRET_ROOT_PASSWORD"
)

// lookupEnv is the environment of the process.
func (p *process) lookupEnv(name string) (string, bool) {
	lacks := p.ordinal%2 == 0 && time.Since(p.world.began) < p.world.schedule.LackFor
	return rootPassword, name == rootPasswordName && !lacks
}

// credentials are those of every process of the schedule.
func (p *process) credentials() (ecs.Credentials, error) {
	if !p.world.schedule.SignIn {
		return ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey)}, nil
	}
	identity, err := ecs.NewIdentity(ecs.IdentityConfig{URL: "http://iam.emulated/v3", Dial: p.dial})
	if err != nil {
		return nil, err
	}
	return ecs.NewUserToken(identity, ecs.Login{
		User: emulator.DefaultUserName, Domain: emulator.DefaultDomainName, Password: ecs.NewSecret(emulator.DefaultPassword),
		ProjectID: emulator.DefaultProjectID,
	})
}

// at is a crash point. It tells whether the process lives on.
func (p *process) at(point Point, server string) (alive bool) {
	if !p.pass() {
		return false // neither a dead nor a frozen process gets anywhere
	}
	p.reach(point, server)
	return p.pass()
}

// reach is a crash point that holds nobody up: what a process that freezes there does next waits by itself.
func (p *process) reach(point Point, server string) {
	if !p.runs() {
		return
	}
	if c, due := p.world.crashes.reach(point, server); due && p.hit(c) {
		p.world.crashes.count(c)
		p.world.later(c.Down, p.world.spawn)
	}
}

// pass waits while the process is frozen, and tells whether it lives.
func (p *process) pass() (alive bool) {
	for {
		p.mu.Lock()
		thawed, dead := p.thawed, p.dead
		p.mu.Unlock()
		if thawed == nil || dead {
			return !dead
		}
		<-thawed
	}
}

func (p *process) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead && p.thawed == nil
}

// hit deals a blow, and tells whether there was somebody to take it.
func (p *process) hit(c Crash) bool {
	switch c.Blow {
	case Kill:
		return p.kill()
	case Freeze:
		return p.freeze(c.For)
	case CutOff:
		return p.cutOff(c.For)
	default:
		return p.terminate()
	}
}

func (p *process) cutOff(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offline = time.Now().Add(d)
	return !p.dead
}

func (p *process) terminate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.stopped {
		return false
	}
	p.stopped = true
	close(p.stop)
	p.world.later(p.acts.Profiles[0].Cloud.RequestTimeout()+5*time.Second, func() { p.kill() })
	return true
}

func (p *process) kill() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	p.dead = true
	if p.thawed != nil {
		close(p.thawed)
		p.thawed = nil
	}
	for c := range p.conns {
		_ = c.Conn.Close()
	}
	for a := range p.running {
		a.life.end(context.Canceled)
	}
	return true
}

func (p *process) freeze(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.thawed != nil {
		return false
	}
	thawed := make(chan struct{})
	p.thawed, p.thaw = thawed, time.Now().Add(d)
	p.world.later(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.thawed == thawed {
			p.thawed = nil
			close(thawed)
		}
	})
	return true
}

// now is the clock of the process. A frozen one reads it when it has thawed, so whatever is compared with the clock
// before the next crash point is compared with that moment.
func (p *process) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thawed != nil {
		return p.thaw
	}
	return time.Now()
}

// belated is for how long the rest of the world does not hear what the timers of the process do: a frozen one's fire
// when it thaws, and the instructions that it was about to carry out come before them.
func (p *process) belated() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thawed == nil {
		return 0
	}
	return time.Until(p.thaw) + time.Millisecond
}

// takesWork tells whether Temporal may hand work to the process, and whether it is frozen, which Temporal cannot know.
func (p *process) takesWork() (able, frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead && !p.stopped && !time.Now().Before(p.offline), p.thawed != nil
}

// cut is for how long Temporal does not hear the process, zero when it does.
func (p *process) cut() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.offline))
}

// online waits until Temporal hears the process, and tells whether it still lives then.
func (p *process) online() (alive bool) {
	for d := p.cut(); d > 0; d = p.cut() {
		time.Sleep(d)
	}
	return p.pass()
}

// conn is a connection of a process. It knows of which request it carries the bytes.
type conn struct {
	net.Conn
	process *process
	mu      sync.Mutex
	request string
	attempt *attempt // that it serves
}

func (p *process) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && !p.at(Point{requestDialled, a.activity}, a.server) || !p.pass() {
		return nil, errDead
	}
	inner, err := p.world.network.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, process: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		_ = inner.Close()
		return nil, errDead
	}
	p.conns[c] = struct{}{}
	return c, nil
}

func (c *conn) Write(b []byte) (int, error) {
	what := requestOf(b)
	if what != "" {
		c.mu.Lock()
		c.request = what
		c.mu.Unlock()
		if !c.process.at(Point{requestWritten, what}, c.server()) {
			return 0, errDead
		}
	}
	if !c.process.pass() {
		return 0, errDead
	}
	n, err := c.Conn.Write(b)
	if err == nil && what != "" && !c.process.at(Point{requestSent, what}, c.server()) {
		return n, errDead
	}
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	what := c.request
	c.mu.Unlock()
	if n > 0 && !c.process.at(Point{requestAnswered, what}, c.server()) || !c.process.pass() {
		return 0, errDead
	}
	return n, err
}

// server is the one on whose behalf the request is made: none for a list of many.
func (c *conn) server() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attempt == nil || c.request == "servers" {
		return ""
	}
	return c.attempt.server
}

func (c *conn) serve(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt = a
}

// LocalAddr is the connection itself: whoever has it in a wrapper gets hold of it so.
func (c *conn) LocalAddr() net.Addr { return c }

// Network is that of an address.
func (c *conn) Network() string { return "memory" }

// String is that of an address.
func (c *conn) String() string { return "a worker" }

func (c *conn) Close() error {
	if d := c.process.belated(); d > 0 {
		c.process.world.later(d, func() { _ = c.Close() })
		return nil
	}
	c.process.mu.Lock()
	delete(c.process.conns, c)
	c.process.mu.Unlock()
	return c.Conn.Close()
}

// requestOf names the request that begins with these bytes, empty when none does.
func requestOf(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	method, path, ok := strings.Cut(string(line), " ")
	if !ok || method != "GET" && method != "POST" {
		return ""
	}
	path, _, _ = strings.Cut(path, " ")
	path, _, _ = strings.Cut(path, "?")
	switch {
	case strings.HasSuffix(path, "/changeos"):
		return "changeos"
	case strings.HasSuffix(path, "/action") && bytes.Contains(b, []byte("os-start")):
		return "start"
	case strings.HasSuffix(path, "/action"):
		return "stop"
	case strings.Contains(path, "/jobs/"):
		return "job"
	case strings.HasSuffix(path, "/block_device"):
		return "block_device"
	case strings.Contains(path, "/cloudimages"):
		return "image"
	case strings.HasSuffix(path, "/cloudservers/detail"):
		return "servers"
	}
	return "server"
}
