package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Algorithms of a pool.
const (
	RoundRobin       = "ROUND_ROBIN"
	LeastConnections = "LEAST_CONNECTIONS"
	SourceIP         = "SOURCE_IP"
	QUICCID          = "QUIC_CID"
)

// maxWeight is the largest weight of a member.
const maxWeight = 100

// Pool is a backend server group of the load balancer service (ELB v3) with its load balancer, its listener and its health
// monitor. Servers become members in the order of the fleet. Empty fields are filled in.
type Pool struct {
	ID, Name string
	Tag      string   // "role=web": servers with this tag are members, besides Servers
	Servers  []string // ids or names

	Protocol  string // HTTP (default), HTTPS, TCP, UDP
	Algorithm string // ROUND_ROBIN (default), LEAST_CONNECTIONS, SOURCE_IP, QUIC_CID
	Port      int    // of the members; default 8080
	Weight    *int   // of the members, 0 to 100; default 1
	// IPMembers makes members of type ip: they have an address and no instance_id.
	IPMembers bool
	// MasterSlave makes it a master-slave pool, which is another resource: a master and a slave without weights.
	MasterSlave bool
	// Unbound pools have no load balancer and no listener.
	Unbound            bool
	LoadBalancer       string // name; pools that give the same name share one; default one for each pool
	SessionPersistence string // SOURCE_IP, HTTP_COOKIE or APP_COOKIE; "" for none
	PersistenceTimeout int    // in minutes; default 60
	SlowStart          time.Duration
	DeletionProtection bool // members cannot be removed

	KeepaliveTimeout int // of the listener, in seconds; default 300 for TCP and UDP, 60 for HTTP and HTTPS
	MemberTimeout    int // of the listener, in seconds; default 60; only HTTP and HTTPS

	NoMonitor         bool
	MonitorInterval   time.Duration // default 5s
	MonitorTimeout    time.Duration // default 3s
	MonitorMaxRetries int           // probes with the same result until the status changes; default 3
}

func (p Pool) withDefaults(draw seed, position int) Pool {
	p.Name = cmp.Or(p.Name, strings.Trim("pool-"+strings.NewReplacer("=", "-", ":", "-").Replace(p.Tag), "-"))
	p.ID = cmp.Or(p.ID, draw.uuid("pool", p.Name, strconv.Itoa(position)))
	p.Protocol = cmp.Or(p.Protocol, "HTTP")
	p.Algorithm = cmp.Or(p.Algorithm, RoundRobin)
	p.Port = cmp.Or(p.Port, applicationPort)
	if p.Weight == nil {
		one := 1
		p.Weight = &one
	}
	p.LoadBalancer = cmp.Or(p.LoadBalancer, p.Name+"-elb")
	p.PersistenceTimeout = cmp.Or(p.PersistenceTimeout, 60)
	if p.isHTTP() {
		p.KeepaliveTimeout, p.MemberTimeout = cmp.Or(p.KeepaliveTimeout, 60), cmp.Or(p.MemberTimeout, 60)
	}
	p.KeepaliveTimeout = cmp.Or(p.KeepaliveTimeout, 300)
	p.MonitorInterval = cmp.Or(p.MonitorInterval, 5*time.Second)
	p.MonitorTimeout = cmp.Or(p.MonitorTimeout, 3*time.Second)
	p.MonitorMaxRetries = cmp.Or(p.MonitorMaxRetries, 3)
	return p
}

func (p Pool) isHTTP() bool { return p.Protocol == "HTTP" || p.Protocol == "HTTPS" }

// drainTime is how long connections that are open when a weight becomes 0 may stay open.
func (p Pool) drainTime() time.Duration {
	if p.isHTTP() {
		return time.Duration(p.MemberTimeout) * time.Second
	}
	return time.Duration(p.KeepaliveTimeout) * time.Second
}

// validate returns every problem of the pool at once. The pool must have its defaults.
func (p Pool) validate(fleet []Server) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	among := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			problem("%s %q is not one of %s", field, value, strings.Join(allowed, ", "))
		}
	}
	among("protocol", p.Protocol, "HTTP", "HTTPS", "TCP", "UDP")
	among("algorithm", p.Algorithm, RoundRobin, LeastConnections, SourceIP, QUICCID)
	among("session persistence", p.SessionPersistence, "", "SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE")
	within := func(field string, value, least, most int) {
		if value < least || value > most {
			problem("%s %d is not between %d and %d", field, value, least, most)
		}
	}
	within("port", p.Port, 1, 65535)
	within("weight", *p.Weight, 0, maxWeight)
	within("keepalive timeout", p.KeepaliveTimeout, 0, 4000)
	within("member timeout", p.MemberTimeout, 0, 300)
	within("seconds of the monitor interval", int(p.MonitorInterval/time.Second), 1, 50)
	within("seconds of the monitor timeout", int(p.MonitorTimeout/time.Second), 1, 50)
	within("retries of the monitor", p.MonitorMaxRetries, 1, 10)
	if p.SlowStart != 0 {
		within("seconds of the slow start", int(p.SlowStart/time.Second), 30, 1200)
	}
	for _, name := range p.Servers {
		if !slices.ContainsFunc(fleet, func(s Server) bool { return s.ID == name || s.Name == name }) {
			problem("server %q is not known", name)
		}
	}
	members := 0
	for _, s := range fleet {
		if p.has(s) {
			members++
		}
	}
	if p.MasterSlave && members != 2 {
		problem("a master-slave pool has 2 members, not %d", members)
	}
	if p.Tag != "" && members == 0 {
		problem("no server has the tag %q", p.Tag)
	}
	return errors.Join(problems...)
}

// has is true for a server that becomes a member.
func (p Pool) has(s Server) bool {
	return p.Tag != "" && carries(s.Tags, p.Tag) || slices.Contains(p.Servers, s.ID) || slices.Contains(p.Servers, s.Name)
}

// pool is a Pool with its members. The lock of the emulator guards it.
type pool struct {
	Pool
	loadBalancerID, listenerID, monitorID string

	members []*member // by id
	added   int       // members so far; makes the ids of later ones distinct
	account *PoolLedger
}

// member is one member of a pool. A server can be several.
type member struct {
	id, name         string
	serverID         string // "" when no server of the emulator has the address
	address          string
	port             int
	subnetID         string // "" for a member of type ip
	zone             string
	role             string // master or slave; "" in a pool of the other kind
	created, updated time.Time

	weight    int            // as the API shows it
	effective int            // by which requests are distributed
	pending   []weightChange // not yet effective, by time
	zeroSince time.Time      // since when the effective weight is 0; zero while it is not

	isJudged bool      // the monitor has data
	isOnline bool      // what the monitor says
	judgeAt  time.Time // when the monitor says otherwise, unless the health changes back until then; zero for never
}

type weightChange struct {
	at     time.Time
	weight int
}

// addPools makes the pools of the options, after the fleet.
func (e *Emulator) addPools(fleet []Server) error {
	var problems []error
	names := map[string]bool{}
	for i, p := range e.options.Pools {
		p = p.withDefaults(e.seed, i)
		if names[p.Name] || names[p.ID] {
			problems = append(problems, fmt.Errorf("pools[%d]: name %s or id %s is used twice", i, p.Name, p.ID))
		}
		names[p.Name], names[p.ID] = true, true
		if err := p.validate(fleet); err != nil {
			problems = append(problems, fmt.Errorf("pools[%d] (%s): %w", i, p.Name, err))
			continue
		}
		e.addPool(p, fleet)
	}
	return errors.Join(problems...)
}

func (e *Emulator) addPool(options Pool, fleet []Server) {
	now := e.started.UTC().Round(0)
	p := &pool{Pool: options, account: &PoolLedger{Name: options.Name, Changes: []MemberChange{}}}
	if !p.Unbound {
		p.loadBalancerID, p.listenerID = e.seed.uuid("load balancer", p.LoadBalancer), e.seed.uuid("listener", p.ID)
	}
	if !p.NoMonitor {
		p.monitorID = e.seed.uuid("health monitor", p.ID)
	}
	for _, s := range fleet {
		if !p.has(s) {
			continue
		}
		m := &member{
			name: s.Name, serverID: s.ID, address: s.IP, port: p.Port, subnetID: e.seed.uuid("subnet"), zone: s.Zone, created: now, updated: now,
			weight: *p.Weight, effective: *p.Weight, isJudged: true,
		}
		if p.IPMembers {
			m.subnetID = ""
		}
		if p.MasterSlave {
			m.weight, m.effective, m.role = 1, 1, "master"
			if p.added > 0 {
				m.role = "slave"
			}
		}
		m.setEffective(now, m.effective)
		p.add(e.seed, m)
	}
	e.pools = append(e.pools, p)
	e.ledger.Pools[p.ID] = p.account
}

// add gives the member its id.
func (p *pool) add(draw seed, m *member) {
	m.id = draw.uuid("member", p.ID, strconv.Itoa(p.added))
	p.added++
	p.members = append(p.members, m)
	slices.SortFunc(p.members, func(a, b *member) int { return strings.Compare(a.id, b.id) })
}

func (p *pool) member(id string) *member {
	at := slices.IndexFunc(p.members, func(m *member) bool { return m.id == id })
	if at < 0 {
		return nil
	}
	return p.members[at]
}

func (m *member) setEffective(at time.Time, weight int) {
	m.effective = weight
	switch {
	case weight > 0:
		m.zeroSince = time.Time{}
	case m.zeroSince.IsZero():
		m.zeroSince = at
	}
}

// pool returns a pool that is no master-slave pool; nil when it does not exist.
func (e *Emulator) pool(id string) *pool {
	at := slices.IndexFunc(e.pools, func(p *pool) bool { return p.ID == id && !p.MasterSlave })
	if at < 0 {
		return nil
	}
	return e.pools[at]
}

// serving is what a member of the pool gets requests by: a weight of 0 counts as 1 where the algorithm ignores it.
func (e *Emulator) serving(p *pool, m *member) int {
	ignores := e.options.Edition.WeightZeroSourceIP == "ignored" && (p.Algorithm == SourceIP || p.Algorithm == QUICCID)
	if m.effective == 0 && ignores {
		return 1
	}
	return m.effective
}

// isServed is the true health of a member: its server is ACTIVE and the application, if there are any, answers 200.
func (e *Emulator) isServed(p *pool, m *member, now time.Time) bool {
	server := e.byID[m.serverID]
	switch {
	case m.serverID == "":
		return true // the emulator knows nothing of it
	case server == nil || server.gone || server.Status != "ACTIVE":
		return false
	case server.app == nil:
		return true
	}
	switch server.app.state(now) {
	case ApplicationHealthy:
		return true
	case ApplicationSlow:
		return server.app.fault.Delay < p.MonitorTimeout
	}
	return false
}

// isPassing is what the health monitor finds out. A probe of TCP is content with a connection.
func (e *Emulator) isPassing(p *pool, m *member, now time.Time) bool {
	if server := e.byID[m.serverID]; !p.isHTTP() && server != nil && server.app != nil {
		return server.app.state(now).isListening()
	}
	return e.isServed(p, m, now)
}

// isInService is true for a member that gets requests and answers them.
func (e *Emulator) isInService(p *pool, m *member, now time.Time) bool {
	return e.serving(p, m) > 0 && e.isServed(p, m, now)
}

// startPools begins with monitors that have seen their members.
func (e *Emulator) startPools() {
	now := e.started.UTC().Round(0)
	for _, p := range e.pools {
		for _, m := range p.members {
			m.isOnline = e.isPassing(p, m, now)
		}
	}
	e.observePools(now)
}

// observePools brings weights, monitors and the account to the instant. Between two instants of nextPoolChange nothing
// changes in a pool, so no low is missed.
func (e *Emulator) observePools(now time.Time) {
	if now.Before(e.observed) {
		now = e.observed
	}
	e.observed = now
	for _, p := range e.pools {
		inService := 0
		for _, m := range p.members {
			m.takeEffect(now)
			m.judge(now, e.isPassing(p, m, now), p.MonitorInterval*time.Duration(p.MonitorMaxRetries))
			if e.isInService(p, m, now) {
				inService++
			}
		}
		p.account.observe(now, inService)
	}
}

func (m *member) takeEffect(now time.Time) {
	for len(m.pending) > 0 && !m.pending[0].at.After(now) {
		m.setEffective(m.pending[0].at, m.pending[0].weight)
		m.pending = m.pending[1:]
	}
}

// judge changes what the monitor says once as many probes as it takes have had the other result.
func (m *member) judge(now time.Time, isPassing bool, takes time.Duration) {
	if m.isJudged && isPassing == m.isOnline {
		m.judgeAt = time.Time{}
		return
	}
	if m.judgeAt.IsZero() {
		m.judgeAt = now.Add(takes)
	}
	if !now.Before(m.judgeAt) {
		m.isJudged, m.isOnline, m.judgeAt = true, isPassing, time.Time{}
	}
}

// nextPoolChange is the next instant at which a pool changes if no request arrives. Zero when there is none.
func (e *Emulator) nextPoolChange() time.Time {
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, m := range e.machines {
		if len(m.steps) > 0 {
			sooner(m.steps[0].at)
		}
		if m.app != nil {
			sooner(m.app.nextChange(e.observed))
		}
	}
	for _, p := range e.pools {
		for _, m := range p.members {
			sooner(m.judgeAt)
			if len(m.pending) > 0 {
				sooner(m.pending[0].at)
			}
		}
	}
	return next
}

// inService are the names of the pools in which the server is in service.
func (e *Emulator) inService(serverID string, now time.Time) []string {
	return e.poolsOf(serverID, func(p *pool, m *member) bool { return e.isInService(p, m, now) })
}

// stillConnected are the names of the pools in which connections from before the server's weight became 0 may be open.
func (e *Emulator) stillConnected(serverID string, now time.Time) []string {
	return e.poolsOf(serverID, func(p *pool, m *member) bool {
		return e.serving(p, m) == 0 && now.Before(m.zeroSince.Add(p.drainTime()))
	})
}

func (e *Emulator) poolsOf(serverID string, holds func(*pool, *member) bool) []string {
	var names []string
	for _, p := range e.pools {
		if slices.ContainsFunc(p.members, func(m *member) bool { return m.serverID == serverID && holds(p, m) }) {
			names = append(names, p.Name)
		}
	}
	return names
}

// PoolSummary names a pool. InService counts the members that get requests and answer them.
type PoolSummary struct {
	ID, Name           string
	Members, InService int
}

// Pools returns the pools in the order of the options.
func (e *Emulator) Pools() []PoolSummary {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now())
	var all []PoolSummary
	for _, p := range e.pools {
		all = append(all, PoolSummary{p.ID, p.Name, len(p.members), p.account.InService})
	}
	return all
}
