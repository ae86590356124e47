package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxBody is the gateway's limit for signed calls.
const maxBody = 12 << 20

// Emulator is one project of the cloud. It is an http.Handler and safe for concurrent use.
type Emulator struct {
	options Options // with defaults
	seed    seed
	clock   func() time.Time // the cloud's wall clock
	started time.Time        // by the wall clock; emulated time begins here
	routes  []route

	mu        sync.Mutex
	machines  []*machine // by name
	byID      map[string]*machine
	images    []Image
	keyPairs  []KeyPair
	jobs      map[string]*job
	tokens    map[string]time.Time    // issued tokens and when they expire, by the wall clock
	issued    int                     // tokens and temporary keys so far
	agency    temporaryKey            // what the metadata service shows
	temporary map[string]temporaryKey // by access key
	rules     []*rule
	ruled     int // rules ever added
	late      []deed
	recent    []time.Time // calls of the last second, by the wall clock; kept only under a limit
	ledger    Ledger
	arrived   int // requests so far; makes request ids distinct

	pools    []*pool
	observed time.Time // the instant that the pools have been brought to

	claim    io.Closer // holds the addresses of the applications, nil when the kernel picks their ports
	wake     chan struct{}
	closing  chan struct{} // closed with isClosed
	isClosed bool
	tasks    sync.WaitGroup
}

// A deed is what a fault holds back.
type deed struct {
	at time.Time
	do func(at time.Time)
}

// doLater holds a deed back. The lock must be held.
func (e *Emulator) doLater(at time.Time, do func(at time.Time)) {
	e.late = append(e.late, deed{at, do})
	slices.SortStableFunc(e.late, func(a, b deed) int { return a.at.Compare(b.at) })
}

// New returns an emulator, or every problem of the options at once.
func New(options Options) (*Emulator, error) {
	return newAt(options, time.Now)
}

func newAt(options Options, clock func() time.Time) (*Emulator, error) {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	skewed := func() time.Time { return clock().Add(o.Skew) }
	e := &Emulator{
		options: o, seed: seed(o.Seed), clock: skewed, started: skewed(),
		byID: map[string]*machine{}, jobs: map[string]*job{}, tokens: map[string]time.Time{}, temporary: map[string]temporaryKey{},
		ledger: Ledger{Servers: map[string]*ServerLedger{}, Pools: map[string]*PoolLedger{}, Requests: map[string]int{}, Faults: map[FaultKind]int{}},
		wake:   make(chan struct{}, 1), closing: make(chan struct{}),
	}
	e.routes = e.table()
	images := slices.Clone(o.Images)
	if len(images) == 0 {
		images = generatedImages()
	}
	for i, image := range images {
		e.images = append(e.images, image.withDefaults(e.seed, i))
	}
	for _, pair := range o.KeyPairs {
		pair.UserID = cmp.Or(pair.UserID, e.userID())
		e.keyPairs = append(e.keyPairs, pair)
	}
	fleet := slices.Clone(o.Fleet)
	if len(fleet) == 0 {
		fleet = generatedFleet(o.Servers)
	}
	if o.Applications {
		e.addressApplications(fleet)
	}
	for i, s := range fleet {
		m := &machine{Server: s.withDefaults(e.seed, i, e.images, e.started.UTC().Round(0))}
		m.installed = e.imageOrUnknown(m.ImageID)
		e.machines = append(e.machines, m)
		fleet[i] = m.Server
		e.byID[m.ID] = m
		e.ledger.Servers[m.ID] = &ServerLedger{Name: m.Name, Writes: []Write{}}
	}
	slices.SortStableFunc(e.machines, func(a, b *machine) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	if err := e.addFaults(o.Faults); err != nil {
		e.Close()
		return nil, fmt.Errorf("emulator: %w", err)
	}
	if err := e.addPools(fleet); err != nil {
		e.Close()
		return nil, fmt.Errorf("emulator: %w", err)
	}
	if err := e.start(); err != nil {
		e.Close()
		return nil, fmt.Errorf("emulator: %w", err)
	}
	return e, nil
}

// start begins what is more than state. Probes may arrive from now on.
func (e *Emulator) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.options.Applications {
		if err := e.startApplications(); err != nil {
			return err
		}
		e.tasks.Go(e.superviseApplications)
	}
	e.startPools()
	return nil
}

// imageOrUnknown returns at least the id of an image that is no longer there.
func (e *Emulator) imageOrUnknown(id string) Image {
	if image, ok := e.image(id); ok {
		return image
	}
	return Image{ID: id, OSType: "Linux", Type: "private"}
}

// Now returns the emulated time.
func (e *Emulator) Now() time.Time { return e.now() }

func (e *Emulator) now() time.Time { return e.emulated(e.clock()) }

func (e *Emulator) emulated(wall time.Time) time.Time {
	elapsed := time.Duration(float64(wall.Sub(e.started)) * e.options.Speed)
	return e.started.Add(elapsed).UTC().Round(0)
}

// advance brings every server to the instant. The lock must be held.
func (e *Emulator) advance(now time.Time) {
	for len(e.late) > 0 && !e.late[0].at.After(now) {
		next := e.late[0]
		e.late = e.late[1:]
		e.advanceTo(next.at)
		next.do(next.at)
	}
	e.advanceTo(now)
	e.syncApplications(now)
}

// advanceTo goes from one change of a pool to the next, because only then are the servers all at the same instant.
func (e *Emulator) advanceTo(now time.Time) {
	if len(e.pools) > 0 {
		for next := e.nextPoolChange(); !next.IsZero() && !next.After(now); next = e.nextPoolChange() {
			e.advanceMachines(next)
			e.observePools(next)
		}
	}
	e.advanceMachines(now)
	e.observePools(now)
}

func (e *Emulator) advanceMachines(now time.Time) {
	anyGone := false
	for _, m := range e.machines {
		m.advance(now)
		anyGone = anyGone || m.gone
	}
	if anyGone {
		e.dropGone()
	}
}

func (e *Emulator) dropGone() {
	e.machines = slices.DeleteFunc(e.machines, func(m *machine) bool {
		if m.gone {
			delete(e.byID, m.ID)
			m.stopApplication()
		}
		return m.gone
	})
}

// ServeHTTP serves the API, and the admin surface under /_emulator/.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		// The request never arrived whole.
		panic(http.ErrAbortHandler)
	}
	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		e.serveAdmin(w, r, body)
		return
	}
	w.Header().Set("Date", e.clock().UTC().Format(http.TimeFormat))
	e.mu.Lock()
	requestID, a, fault := e.handle(r, body, tooLarge != nil)
	e.changed(e.now())
	e.mu.Unlock()
	e.deliver(w, r, requestID, a, fault)
}

// handle is the one critical section of a request: it counts it, lets it in, lets a fault strike and carries it out.
func (e *Emulator) handle(r *http.Request, body []byte, tooLarge bool) (requestID string, a answer, fault *Fault) {
	wall := e.clock()
	now := e.emulated(wall)
	e.advance(now)
	requestID = e.seed.hex("request", strconv.Itoa(e.arrived))
	e.arrived++

	at, vars := e.match(r)
	if at == nil {
		e.ledger.Requests["unmatched"]++
		return requestID, refuseGateway("APIGW.0101", "").answer(requestID), nil
	}
	e.ledger.Requests[at.String()]++
	if tooLarge {
		return requestID, refuseGateway("APIGW.0201", "").answer(requestID), nil
	}
	if !at.public {
		if refused := e.authenticate(r, body, wall); refused != nil {
			return requestID, refused.answer(requestID), nil
		}
		if refused := e.judgeProject(r, vars); refused != nil {
			if isELB(at.op) {
				refused = refused.asGateway()
			}
			return requestID, refused.answer(requestID), nil
		}
		if refused := e.judgePace(wall); refused != nil {
			return requestID, refused.answer(requestID), nil
		}
	}
	c := &call{
		route: at, version: at.version(), vars: vars, query: r.URL.Query(), body: body, wall: wall, now: now, asOf: now, requestID: requestID,
		session: r.Header.Get("X-Metadata-Token"),
	}
	c.op, c.targets = e.identify(c)
	fault, work := e.strike(c)
	if work != nil {
		c.fault, c.aimed = work, func(serverID string) bool { return e.isAimedAt(*work, serverID) }
	}
	if fault == nil {
		return requestID, at.do(c), nil
	}
	return requestID, e.underFault(c, fault), fault
}

// underFault carries out as much of the call as the fault lets through.
func (e *Emulator) underFault(c *call, f *Fault) answer {
	switch {
	case f.Kind == AcceptLate:
		e.doLater(c.now.Add(f.Delay), func(at time.Time) {
			c.now = at
			c.route.do(c)
		})
		return answer{}
	case f.Kind == Repeat:
		c.route.do(c)
		return c.route.do(c.copyAt(c.now))
	case f.Kind == RepeatLate:
		e.doLater(c.now.Add(f.Delay), func(at time.Time) { c.route.do(c.copyAt(at)) })
	case f.Kind == OldView:
		c.asOf = c.now.Add(-f.Delay)
	case f.Kind == StatusLies:
		c.lie = f
	case f.Kind == JobForgotten && c.op == OpJob:
		return e.unknownJob().answer(c.requestID)
	case f.Kind.phase() == phaseBefore:
		return e.insteadOf(*f, c)
	}
	return e.afterwards(*f, c.route.do(c), c)
}

// judgePace refuses a call for which the last second has no room.
func (e *Emulator) judgePace(wall time.Time) *refusal {
	limit := e.options.CallsPerSecond
	if limit == 0 {
		return nil
	}
	e.recent = slices.DeleteFunc(e.recent, func(at time.Time) bool { return wall.Sub(at) >= time.Second })
	e.recent = append(e.recent, wall)
	if len(e.recent) <= limit {
		return nil
	}
	e.ledger.Throttled++
	r := refuseGateway("APIGW.0308", "")
	r.message = fmt.Sprintf("The throttling threshold has been reached: policy user over ratelimit,limit:%d,time:1 second", limit)
	return r
}

// judgeProject refuses a request whose path or header names another project than the credentials'.
func (e *Emulator) judgeProject(r *http.Request, vars map[string]string) *refusal {
	named, inPath := vars["project_id"]
	header := r.Header.Get("X-Project-Id")
	if inPath && named != e.options.ProjectID || header != "" && header != e.options.ProjectID {
		return refuse("Ecs.0023", "")
	}
	return nil
}
