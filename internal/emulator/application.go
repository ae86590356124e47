package emulator

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// applicationPort is where the application of a server listens, unless the kernel has to pick the port.
const applicationPort = 8080

// maxApplications is how many servers have an address in one network of an emulator.
const maxApplications = 250 * 250

// listenRetryInterval is the real time until an application tries again to listen on an address that was taken.
const listenRetryInterval = 100 * time.Millisecond

// ApplicationState is what an application does with a probe.
type ApplicationState string

const (
	ApplicationDown    ApplicationState = "down"    // its server is not ACTIVE: connections are refused
	ApplicationBooting ApplicationState = "booting" // its server became ACTIVE a moment ago: connections are refused
	ApplicationDead    ApplicationState = "dead"    // a fault: connections are refused
	ApplicationHealthy ApplicationState = "healthy" // answers HTTP 200
	ApplicationSlow    ApplicationState = "slow"    // a fault: answers HTTP 200 late
	ApplicationFailing ApplicationState = "failing" // a fault: answers HTTP 500 or 503
)

// isListening is true for the states in which connections are accepted.
func (s ApplicationState) isListening() bool {
	return s == ApplicationHealthy || s == ApplicationSlow || s == ApplicationFailing
}

// Application is what runs on one server. Its JSON form is the admin surface's.
type Application struct {
	ServerID string           `json:"server_id"`
	Name     string           `json:"name"`    // of the server
	Address  string           `json:"address"` // "127.20.0.4:8080"
	State    ApplicationState `json:"state"`
	Fault    FaultKind        `json:"fault,omitempty"`     // which strikes it
	ImageID  string           `json:"image_id,omitempty"`  // that it was started from; empty while it is down
	VolumeID string           `json:"volume_id,omitempty"` // of the system disk that it was started from
}

// application follows the true state of its server, past any lag. The lock of the emulator guards it.
type application struct {
	e       *Emulator
	m       *machine
	address string
	account *ApplicationLedger

	isRunning bool
	starts    int       // so far; a new disk is a new start
	bootedAt  time.Time // when it answers, unless a fault prevents it
	imageID   string
	volumeID  string
	fault     *rule     // nil for none
	faultAt   time.Time // when it was struck

	server   *http.Server // nil while connections are refused
	serving  int          // the start that server belongs to
	retrying bool         // its address is taken
}

// follow starts or stops the application after a change of the server's state.
func (a *application) follow(at time.Time) {
	isActive := a.m.Status == "ACTIVE" && !a.m.gone
	if isActive && a.isRunning && a.imageID == a.m.ImageID && a.volumeID == a.m.SystemVolumeID {
		return
	}
	a.isRunning, a.imageID, a.volumeID, a.fault = isActive, "", "", nil
	if !isActive {
		return
	}
	a.starts++
	a.imageID, a.volumeID = a.m.ImageID, a.m.SystemVolumeID
	a.bootedAt = at.Add(a.e.seed.duration(a.e.options.Timing.Boot, "boot", a.m.ID, strconv.Itoa(a.starts)))
	a.strike(at, a.e.rules)
}

// strike lets the first of the rules that is due strike the application.
func (a *application) strike(at time.Time, rules []*rule) {
	hit := a.e.firstRule(rules, func(f Fault) bool { return a.isHitBy(f) })
	if hit != nil {
		a.fault, a.faultAt = hit, at
	}
}

func (a *application) isHitBy(f Fault) bool {
	return f.Kind.phase() == phaseApplication && a.e.isAimedAt(f, a.m.ID) && a.e.isImage(f, a.imageID)
}

// state is a function of the time since the latest start.
func (a *application) state(now time.Time) ApplicationState {
	switch {
	case !a.isRunning || a.e.isClosed:
		return ApplicationDown
	case now.Before(a.bootedAt):
		return ApplicationBooting
	case a.fault == nil:
		return ApplicationHealthy
	}
	switch f := a.fault; f.Kind {
	case AppDead:
		return ApplicationDead
	case AppSlow:
		return ApplicationSlow
	case AppDiesInSoak:
		if now.Before(a.healthyFrom().Add(f.Delay)) {
			return ApplicationHealthy
		}
	case AppFlaps:
		if a.phasesBy(now)%2 == 0 {
			return ApplicationHealthy
		}
		if f.Variant == VariantRefuse {
			return ApplicationDead
		}
	}
	return ApplicationFailing
}

// healthyFrom is when the time of a fault begins.
func (a *application) healthyFrom() time.Time {
	if a.faultAt.After(a.bootedAt) {
		return a.faultAt
	}
	return a.bootedAt
}

// phasesBy is how many half periods of AppFlaps are over.
func (a *application) phasesBy(now time.Time) int {
	return int(now.Sub(a.healthyFrom()) / max(a.fault.Delay/2, 1))
}

// nextChange is when the state changes next if nothing happens to the server. Zero when it does not.
func (a *application) nextChange(now time.Time) time.Time {
	switch {
	case !a.isRunning:
		return time.Time{}
	case now.Before(a.bootedAt):
		return a.bootedAt
	case a.fault == nil:
		return time.Time{}
	}
	switch f := a.fault; f.Kind {
	case AppDiesInSoak:
		if diesAt := a.healthyFrom().Add(f.Delay); now.Before(diesAt) {
			return diesAt
		}
	case AppFlaps:
		return a.healthyFrom().Add(time.Duration(a.phasesBy(now)+1) * max(f.Delay/2, 1))
	}
	return time.Time{}
}

// sync opens or closes the listener, so that it is as the state says.
func (a *application) sync(now time.Time) error {
	isListening := a.state(now).isListening()
	if a.server != nil && (!isListening || a.serving != a.starts) {
		a.close()
	}
	if a.server != nil || !isListening {
		a.retrying = false
		return nil
	}
	err := a.open()
	a.retrying = err != nil
	a.account.ListenError = ""
	if err != nil {
		a.account.ListenError = err.Error()
	}
	return err
}

func (a *application) open() error {
	listener, err := a.e.listen(a.address)
	if err != nil {
		return err
	}
	start, connections := a.starts, a.account.connections
	a.serving = start
	a.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, start) }),
		ConnState: func(_ net.Conn, state http.ConnState) {
			// Without the lock of the emulator: Close of the server holds it and waits for this.
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}
	server := a.server
	a.e.tasks.Go(func() { _ = server.Serve(listener) }) // ends with ErrServerClosed
	return nil
}

// close refuses new connections and ends those that are open.
func (a *application) close() {
	if a.server != nil {
		_ = a.server.Close()
		a.server = nil
	}
}

// serve answers one probe. A connection that outlived its application is reset.
func (a *application) serve(w http.ResponseWriter, r *http.Request, start int) {
	state, status, message, delay := a.inspect(start)
	if !state.isListening() {
		reset(w)
		return
	}
	if r.URL.Path != "/health" {
		a.count("not_found")
		http.NotFound(w, r)
		return
	}
	if delay > 0 {
		wait := time.NewTimer(time.Duration(float64(delay) / a.e.options.Speed))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
			return
		}
	}
	a.count(state)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(message))
}

// inspect decides what the application does with a probe that arrived now.
func (a *application) inspect(start int) (state ApplicationState, status int, message string, delay time.Duration) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	now := a.e.now()
	a.e.advance(now)
	if a.starts != start {
		return ApplicationDown, 0, "", 0
	}
	state, status, message = a.state(now), http.StatusOK, "ok"
	if state == ApplicationFailing {
		status, message = a.failure()
	}
	if state == ApplicationSlow {
		delay = a.fault.Delay
	}
	if a.fault != nil && a.fault.Message != "" {
		message = a.fault.Message
	}
	return state, status, fmt.Sprintf("%s\nimage %s\nvolume %s\n", message, a.imageID, a.volumeID), delay
}

// failure is what a failing application answers.
func (a *application) failure() (status int, message string) {
	status, message = http.StatusServiceUnavailable, "unavailable"
	if a.fault.Kind == AppError {
		status, message = http.StatusInternalServerError, "error"
	}
	return cmp.Or(a.fault.Status, status), message
}

func (a *application) count(state ApplicationState) {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	a.account.Answers[state]++
}

func (a *application) view(now time.Time) Application {
	v := Application{
		ServerID: a.m.ID, Name: a.m.Name, Address: a.address, State: a.state(now), ImageID: a.imageID, VolumeID: a.volumeID,
	}
	if a.fault != nil {
		v.Fault = a.fault.Kind
	}
	return v
}

// Applications returns the application of every server, by the server's name. Empty without Options.Applications.
func (e *Emulator) Applications() []Application {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	all := []Application{}
	for _, m := range e.machines {
		if m.app != nil {
			all = append(all, m.app.view(now))
		}
	}
	return all
}

// ApplicationAddress returns the address "host:port" of the application of a server. It never changes. Empty when the
// server does not exist, or when applications are off.
func (e *Emulator) ApplicationAddress(serverID string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(e.now()) // so that it listens if it should by now
	if m, ok := e.byID[serverID]; ok && m.app != nil {
		return m.app.address
	}
	return ""
}

// Close ends the applications. It closes their sockets and waits for the goroutines behind them. The API stays served.
func (e *Emulator) Close() {
	e.mu.Lock()
	if !e.isClosed {
		e.isClosed = true
		close(e.closing)
		for _, m := range e.machines {
			if m.app != nil {
				m.app.close()
			}
		}
		if e.claim != nil {
			_ = e.claim.Close()
		}
	}
	e.mu.Unlock()
	e.tasks.Wait()
}

// addressApplications gives every server of the fleet an address at which its application can listen. Only on Linux
// does the loopback interface have more than one.
func (e *Emulator) addressApplications(fleet []Server) {
	if e.options.ApplicationListen != nil {
		return
	}
	network := ""
	if runtime.GOOS == "linux" && !e.options.singleLoopback {
		network = e.claimNetwork()
	}
	for i := range fleet {
		fleet[i].IP = "127.0.0.1"
		if network != "" {
			fleet[i].IP = fmt.Sprintf("%s.%d.%d", network, i/250, i%250+4)
		}
	}
}

// claimNetwork returns the first two numbers of a network of loopback addresses that is no other emulator's, such as
// "127.20". Which one is tried first follows from the seed. Empty when another program holds the port on all of them.
func (e *Emulator) claimNetwork() string {
	const networks = 254
	first := int(e.seed.digest("network of applications")[0])
	for i := range networks {
		network := fmt.Sprintf("127.%d", 1+(first+i)%networks)
		claim, err := listenTCP(fmt.Sprintf("%s.255.254:%d", network, applicationPort))
		if err == nil {
			e.claim = claim
			return network
		}
	}
	return ""
}

func listenTCP(address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
}

func (e *Emulator) listen(address string) (net.Listener, error) {
	if e.options.ApplicationListen != nil {
		return e.options.ApplicationListen(address)
	}
	return listenTCP(address)
}

// addApplication gives the server an application, which runs at once when the server does. Where the kernel picks the
// port, the listener holds it until all are picked.
func (e *Emulator) addApplication(m *machine) (picked net.Listener, err error) {
	account := &ApplicationLedger{Answers: map[ApplicationState]int{}, connections: &atomic.Int64{}}
	a := &application{e: e, m: m, address: net.JoinHostPort(m.IP, strconv.Itoa(applicationPort)), account: account}
	if e.claim == nil && e.options.ApplicationListen == nil {
		if picked, err = listenTCP("127.0.0.1:0"); err != nil {
			return nil, err
		}
		a.address = picked.Addr().String()
	}
	account.Address = a.address
	m.app = a
	e.ledger.Servers[m.ID].Application = account
	a.follow(e.started.UTC().Round(0))
	a.bootedAt = e.started.UTC().Round(0)
	return picked, nil
}

// startApplications opens what listens from the start.
func (e *Emulator) startApplications() error {
	var held []net.Listener
	release := func() {
		for _, picked := range held {
			_ = picked.Close()
		}
	}
	defer release()
	for _, m := range e.machines {
		picked, err := e.addApplication(m)
		if err != nil {
			return fmt.Errorf("application of server %s: %w", m.Name, err)
		}
		if picked != nil {
			held = append(held, picked)
		}
	}
	release()
	for _, m := range e.machines {
		if err := m.app.sync(m.app.bootedAt); err != nil {
			return fmt.Errorf("application of server %s: %w", m.Name, err)
		}
	}
	return nil
}

// superviseApplications opens and closes listeners when time alone brings it about: a server has booted, say.
func (e *Emulator) superviseApplications() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-e.closing:
			return
		case <-e.wake:
		case <-timer.C:
		}
		if wait := e.untilNextChange(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// untilNextChange advances to the present. It returns the real time until something changes by itself, 0 for never.
func (e *Emulator) untilNextChange() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.advance(now)
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	isRetrying := false
	for _, m := range e.machines {
		if len(m.steps) > 0 {
			sooner(m.steps[0].at)
		}
		sooner(m.app.nextChange(now))
		isRetrying = isRetrying || m.app.retrying
	}
	if len(e.late) > 0 {
		sooner(e.late[0].at)
	}
	var wait time.Duration
	if !next.IsZero() {
		wait = max(time.Duration(float64(next.Sub(now))/e.options.Speed), time.Millisecond)
	}
	if isRetrying && (wait == 0 || wait > listenRetryInterval) {
		wait = listenRetryInterval
	}
	return wait
}

// syncApplications opens and closes the listeners of all applications.
func (e *Emulator) syncApplications(now time.Time) {
	if !e.options.Applications || e.isClosed {
		return
	}
	for _, m := range e.machines {
		if m.app != nil {
			_ = m.app.sync(now) // tried again soon; the ledger has the error
		}
	}
}

// changed must be called before the lock is given back, after a call from outside: it may have changed servers, rules or
// members, and what changes next may be sooner now.
func (e *Emulator) changed(now time.Time) {
	e.observePools(now)
	e.syncApplications(now)
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// restrikeApplications frees the applications whose rule is gone and lets the given rules strike the running ones.
func (e *Emulator) restrikeApplications(now time.Time, added []*rule) {
	for _, m := range e.machines {
		a := m.app
		if a == nil || !a.isRunning {
			continue
		}
		if a.fault != nil && !slices.Contains(e.rules, a.fault) {
			a.fault = nil
		}
		if a.fault == nil {
			a.strike(now, added)
		}
	}
	e.changed(now)
}

// isImage is true when the rule is for any image or for this one.
func (e *Emulator) isImage(f Fault, id string) bool {
	if f.Image == "" || f.Image == id {
		return true
	}
	image, ok := e.image(id)
	return ok && image.Name == f.Image
}

// checkApplicationFault refuses a rule that strikes applications but would never strike one.
func (e *Emulator) checkApplicationFault(f Fault) error {
	if f.Kind.phase() != phaseApplication {
		return nil
	}
	if !e.options.Applications {
		return fmt.Errorf("kind %s needs applications, and they are off", f.Kind)
	}
	var names []string
	for _, image := range e.images {
		if f.Image == "" || f.Image == image.ID || f.Image == image.Name {
			return nil
		}
		names = append(names, image.Name)
	}
	return fmt.Errorf("image %q is not known; known are %s", f.Image, strings.Join(names, ", "))
}
