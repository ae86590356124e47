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
)

// process is one worker process: the real activities with a real client of the cloud. A blow hits it at its next
// crash point. What a dead process still computes reaches nobody, and a frozen one gets no further than its next
// crash point until it thaws.
type process struct {
	world *world
	acts  *activities.Activities

	mu      sync.Mutex
	dead    bool
	thawed  chan struct{} // closed when a frozen process goes on, nil when it is not frozen
	offline time.Time     // until when it is cut off from Temporal
	stop    chan struct{} // closed when it is told to stop
	stopped bool
	conns   map[*conn]struct{}
	running map[*attempt]struct{}
}

var errDead = errors.New("the process is dead")

func newProcess(w *world) (*process, error) {
	p := &process{world: w, stop: make(chan struct{}), conns: map[*conn]struct{}{}, running: map[*attempt]struct{}{}}
	credentials, err := p.credentials()
	if err != nil {
		return nil, err
	}
	client, err := ecs.New(ecs.Config{
		ProjectID: emulator.DefaultProjectID, ECS: "http://ecs.emulated", IMS: "http://ims.emulated", Credentials: credentials, Dial: p.dial,
	})
	if err != nil {
		return nil, err
	}
	p.acts = &activities.Activities{Profiles: []activities.Profile{{Name: activities.DefaultProfile, Cloud: client}}, Timing: activities.DefaultTiming(), Temporal: asked{}}
	return p, nil
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
func (p *process) at(point Point) (alive bool) {
	if c, hit := p.world.crashes.reach(point); hit {
		p.hit(c)
	}
	return p.pass()
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

func (p *process) hit(c Crash) {
	switch c.Blow {
	case Kill:
		p.kill()
	case Freeze:
		p.freeze(c.For)
	case CutOff:
		p.mu.Lock()
		p.offline = time.Now().Add(c.For)
		p.mu.Unlock()
	case Stop:
		p.mu.Lock()
		if !p.stopped {
			p.stopped = true
			close(p.stop)
		}
		p.mu.Unlock()
		p.world.later(p.acts.Profiles[0].Cloud.RequestTimeout()+5*time.Second, p.kill)
	}
	p.world.later(c.Down, p.world.spawn)
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
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
		a.cancel(errDead)
	}
}

func (p *process) freeze(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.thawed != nil {
		return
	}
	thawed := make(chan struct{})
	p.thawed = thawed
	p.world.later(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.thawed == thawed {
			p.thawed = nil
			close(thawed)
		}
	})
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
}

func (p *process) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && !p.at(Point{requestDialled, a.activity}) || !p.pass() {
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
		if !c.process.at(Point{requestWritten, what}) {
			return 0, errDead
		}
	}
	if !c.process.pass() {
		return 0, errDead
	}
	n, err := c.Conn.Write(b)
	if err == nil && what != "" && !c.process.at(Point{requestSent, what}) {
		return n, errDead
	}
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	what := c.request
	c.mu.Unlock()
	if n > 0 && !c.process.at(Point{requestAnswered, what}) || !c.process.pass() {
		return 0, errDead
	}
	return n, err
}

func (c *conn) Close() error {
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
	}
	return "server"
}
