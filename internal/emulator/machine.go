package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// A machine is one server with what is still going to happen to it. It never looks at a clock: advance carries out every
// step that is due by the given instant, each at its own instant, in order.
type machine struct {
	Server
	installed Image // what the system disk was made from, as it was then

	steps   []step     // to come, by time
	running *operation // nil when idle
	stale   *staleView // what the API still shows, nil when it is up to date
	past    []snapshot // the states before this one, the oldest first

	accepted  int      // writes accepted so far; makes ids and draws of the next one distinct
	volumes   int      // system volumes made so far
	gap       *bootGap // what the API shows of the boot volumes during a swap, nil for the truth
	temporary bool     // the platform's temporary server exists
	gone      bool     // deleted; the emulator drops the machine after the advance

	app *application // nil when applications are off
}

type step struct {
	at time.Time
	do func(at time.Time)
}

// An operation is the one write that a server is carrying out.
type operation struct {
	op         string
	job        *job
	fault      *Fault // struck this write, nil when none did
	soft       bool   // a SOFT stop: the only operation another one may take over
	superseded *operation
}

func (o *operation) struckBy(kind FaultKind) bool { return o.fault != nil && o.fault.Kind == kind }

type staleView struct {
	view  view
	until time.Time
}

type bootGap struct{ volumes []string }

// A view is a server as the API shows it.
type view struct {
	Server
	installed Image
	boot      []string // ids of the volumes with boot index 0
}

// A snapshot is a state that the machine had until a moment.
type snapshot struct {
	Server
	installed Image
	gap       *bootGap
	stale     *staleView
	until     time.Time
}

// snapshotTTL bounds how far back a view can go.
const snapshotTTL = 10 * time.Minute

// remember keeps the state that is about to change.
func (m *machine) remember(at time.Time) {
	m.past = slices.DeleteFunc(m.past, func(s snapshot) bool { return at.Sub(s.until) > snapshotTTL })
	m.past = append(m.past, snapshot{m.Server, m.installed, m.gap, m.stale, at})
}

// asOf is the state that the machine had at the moment.
func (m *machine) asOf(at time.Time) snapshot {
	for _, s := range m.past {
		if at.Before(s.until) {
			return s
		}
	}
	return snapshot{Server: m.Server, installed: m.installed, gap: m.gap, stale: m.stale}
}

// number names the write that is being accepted, for ids and draws.
func (m *machine) number() string { return strconv.Itoa(m.accepted) }

// schedule adds a step after all steps of the same instant.
func (m *machine) schedule(at time.Time, do func(at time.Time)) {
	i := len(m.steps)
	for i > 0 && m.steps[i-1].at.After(at) {
		i--
	}
	m.steps = slices.Insert(m.steps, i, step{at, do})
}

func (m *machine) advance(now time.Time) {
	for len(m.steps) > 0 && !m.steps[0].at.After(now) {
		next := m.steps[0]
		m.steps = m.steps[1:]
		m.remember(next.at)
		next.do(next.at)
		m.followApplication(next.at)
	}
}

// followApplication must be called after every change of the state.
func (m *machine) followApplication(at time.Time) {
	if m.app != nil {
		m.app.follow(at)
	}
}

func (m *machine) stopApplication() {
	if m.app != nil {
		m.app.close()
	}
}

func (m *machine) enter(at time.Time, vmState, taskState string) {
	m.VMState, m.TaskState = vmState, taskState
	m.Status = statusOf(vmState, taskState)
	m.Updated = at
}

// succeed ends the running operation. lag is how long the API keeps showing the server as it is before change.
func (m *machine) succeed(at time.Time, lag time.Duration, edition Edition, change func()) {
	o := m.running
	if o.struckBy(Lag) {
		lag = o.fault.Delay
	}
	if lag > 0 {
		m.stale = &staleView{view: m.view(at, edition), until: at.Add(lag)}
	}
	change()
	m.finish(at, "", "")
}

// fail ends the running operation with the code and reason of the fault, or with the given ones.
func (m *machine) fail(at time.Time, code, reason string) {
	if f := m.running.fault; f != nil && f.Kind == JobFail {
		if f.Code != "" {
			code = f.Code
		}
		if f.Message != "" {
			reason = f.Message
		}
	}
	m.finish(at, code, reason)
}

func (m *machine) finish(at time.Time, code, reason string) {
	for o := m.running; o != nil; o = o.superseded {
		switch {
		case o.struckBy(JobStuckDone):
			o.job.idle = true
		case !o.struckBy(JobStuck):
			o.job.finish(at, code, reason)
		}
	}
	m.running, m.steps, m.gap, m.temporary = nil, nil, nil, false
}

// vanish deletes the server. A job that works on it fails, even one that was stuck.
func (m *machine) vanish(at time.Time) {
	m.gone = true
	for o := m.running; o != nil; o = o.superseded {
		o.job.finish(at, "Ecs.0614", "The server does not exist.")
	}
	m.running, m.steps, m.temporary = nil, nil, false
}

// hideFrom makes the API show the server unchanged for a while after a write was accepted.
func (m *machine) hideFrom(now time.Time, edition Edition, lag time.Duration) {
	m.stale = &staleView{view: m.view(now, edition), until: now.Add(lag)}
}

// view is what the API shows as of a moment. It shares its slices with the machine, which replaces them and never
// changes them in place.
func (m *machine) view(at time.Time, edition Edition) view {
	s := m.asOf(at)
	if s.stale != nil && at.Before(s.stale.until) {
		return s.stale.view
	}
	v := view{Server: s.Server, installed: s.installed}
	if s.SystemVolumeID != "" {
		v.boot = []string{s.SystemVolumeID}
	}
	if s.gap != nil {
		v.boot = s.gap.volumes
	}
	if edition.RebuildView == "shutoff" && strings.HasPrefix(s.TaskState, "rebuild") {
		v.VMState, v.TaskState, v.Status = "stopped", "", "SHUTOFF"
	}
	return v
}
