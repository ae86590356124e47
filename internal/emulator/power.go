package emulator

import (
	"strconv"
	"time"
)

// maxBatch is the documented limit of servers in one power action (Ecs.0118).
const maxBatch = 1000

// powerRequest is the body of POST cloudservers/action: exactly one of the members.
type powerRequest struct {
	Stop   *powerAction `json:"os-stop"`
	Start  *powerAction `json:"os-start"`
	Reboot *powerAction `json:"reboot"`
}

type powerAction struct {
	Type    string `json:"type"`
	Servers []struct {
		ID string `json:"id"`
	} `json:"servers"`
}

// action returns the one action that is asked for, and its operation; nil when there is not exactly one.
func (p powerRequest) action() (*powerAction, string) {
	var found *powerAction
	var op string
	for _, a := range []struct {
		*powerAction
		op string
	}{{p.Stop, OpStop}, {p.Start, OpStart}, {p.Reboot, OpReboot}} {
		if a.powerAction == nil {
			continue
		}
		if found != nil {
			return nil, ""
		}
		found, op = a.powerAction, a.op
	}
	return found, op
}

// power is POST cloudservers/action. What a server in the wrong state answers is documented nowhere; here the whole
// request is refused, so that a batch is either accepted for all its servers or for none.
func (e *Emulator) power(c *call) answer {
	var body powerRequest
	if r := decode(c.body, &body); r != nil {
		return r.answer(c.requestID)
	}
	action, op := body.action()
	machines, r := e.judgePower(action, op)
	if r != nil {
		return r.answer(c.requestID)
	}
	first := machines[0]
	parent := &job{id: e.seed.job("batch", first.ID, first.number()), kind: "serversAction", begin: c.now, batch: true}
	e.jobs[parent.id] = parent
	for _, m := range machines {
		parent.subs = append(parent.subs, e.beginPower(c, m, op, action.Type != "HARD", parent))
	}
	return jsonAnswer(200, jobAccepted{parent.id})
}

func (e *Emulator) judgePower(action *powerAction, op string) ([]*machine, *refusal) {
	switch {
	case action == nil:
		return nil, refuse("Ecs.0005", "the body must hold exactly one of os-stop, os-start and reboot")
	case len(action.Servers) == 0:
		return nil, refuse("Ecs.0005", "servers is empty")
	case len(action.Servers) > maxBatch:
		return nil, refuse("Ecs.0118", strconv.Itoa(len(action.Servers))+" servers")
	case action.Type == "" && op == OpReboot:
		return nil, refuse("Ecs.0005", "type is mandatory for reboot")
	case action.Type != "" && action.Type != "SOFT" && action.Type != "HARD":
		return nil, refuse("Ecs.0005", "type must be SOFT or HARD")
	}
	var machines []*machine
	seen := map[string]bool{}
	for _, s := range action.Servers {
		if seen[s.ID] {
			return nil, refuse("Ecs.0005", "server "+s.ID+" is named twice")
		}
		seen[s.ID] = true
		m, ok := e.byID[s.ID]
		if !ok {
			return nil, refuseServer(s.ID)
		}
		machines = append(machines, m)
	}
	for _, m := range machines {
		if r := e.judgePowerOf(m, op, action.Type == "HARD"); r != nil {
			return nil, r
		}
	}
	return machines, nil
}

func (e *Emulator) judgePowerOf(m *machine, op string, hard bool) *refusal {
	if r := m.barred(); r != nil {
		return r
	}
	if m.running != nil && !e.takesOver(m, op, hard) {
		return refuse(e.options.Edition.BusyCode, "server "+m.ID)
	}
	if e.isThere(m, op) {
		if e.options.Edition.StartedIsSuccess {
			return nil
		}
		return refuse("Ecs.0100", "server "+m.ID+" is "+m.Status)
	}
	switch {
	case op == OpStart && m.VMState != "stopped", op != OpStart && m.VMState != "active":
		return refuse("Ecs.0100", "server "+m.ID+" is "+m.Status)
	case op == OpStart && m.SystemVolumeID == "":
		return refuse("Ecs.0105", "server "+m.ID)
	}
	return nil
}

// isThere tells whether the server is already where the action leads.
func (e *Emulator) isThere(m *machine, op string) bool {
	return m.running == nil && (op == OpStop && m.Status == "SHUTOFF" || op == OpStart && m.Status == "ACTIVE")
}

// takesOver tells whether the action may be accepted although another one runs: HARD over SOFT.
func (e *Emulator) takesOver(m *machine, op string, hard bool) bool {
	return op == OpStop && hard && m.running.soft && m.TaskState == "powering-off" && !e.options.Edition.NoHardOverSoft
}

// beginPower accepts the action for one server and returns its sub-job.
func (e *Emulator) beginPower(c *call, m *machine, op string, soft bool, parent *job) *job {
	sub := &job{id: e.seed.job("power", m.ID, m.number()), kind: "serverActions", server: m.ID, begin: c.now, lead: e.lead(m)}
	e.jobs[sub.id] = sub
	o := &operation{op: op, job: sub, fault: c.faultOn(m), soft: op == OpStop && soft, superseded: m.running}
	if o.struckBy(JobForgotten) {
		sub.forgotten, parent.forgotten = true, true
	}
	e.book(m, Write{Time: c.now, Op: op, JobID: parent.id, Copy: c.isCopy})
	there := e.isThere(m, op)
	m.running, m.steps = o, nil
	if o.struckBy(LagStart) {
		m.hideFrom(c.now, e.options.Edition, o.fault.Delay)
	}
	if there {
		m.schedule(c.now, func(at time.Time) { m.finish(at, "", "") })
	} else {
		e.schedulePower(m, c.now, soft)
	}
	m.accepted++
	m.advance(c.now)
	return sub
}

func (e *Emulator) schedulePower(m *machine, now time.Time, soft bool) {
	o := m.running
	var before, task, after, code string
	var takes time.Duration
	switch o.op {
	case OpStop:
		before, task, after, code = "active", "powering-off", "stopped", "Ecs.1000"
		takes = e.stopDuration(m, !soft)
	case OpStart:
		before, task, after, code = "stopped", "powering-on", "active", "Ecs.0226"
		takes = e.startDuration(m)
	case OpReboot:
		before, task, after, code = "active", "rebooting", "active", "Ecs.0227"
		if !soft {
			task = "rebooting_hard"
		}
		takes = e.stopDuration(m, !soft) + e.startDuration(m)
	}
	m.schedule(now, func(at time.Time) { m.enter(at, before, task) })
	switch {
	case o.struckBy(JobStuck):
		return
	case o.struckBy(JobFail):
		m.schedule(now.Add(takes/2), func(at time.Time) {
			m.enter(at, before, "")
			m.fail(at, code, "The power action failed.")
		})
		return
	case o.struckBy(Vanish):
		m.schedule(now.Add(takes/2), m.vanish)
		return
	}
	m.schedule(now.Add(takes), func(at time.Time) {
		m.succeed(at, e.options.Timing.Lag, e.options.Edition, func() { m.enter(at, after, "") })
	})
}

// stopDuration of a HARD stop is a fifth of the SOFT one; a guest that ignores ACPI makes the SOFT one wait.
func (e *Emulator) stopDuration(m *machine, hard bool) time.Duration {
	takes := e.seed.duration(e.options.Timing.Stop, "stop", m.ID, m.number())
	if hard {
		return takes / 5
	}
	if m.IgnoresACPI {
		return max(takes, e.options.Timing.GuestTimeout)
	}
	return takes
}

func (e *Emulator) startDuration(m *machine) time.Duration {
	return e.seed.duration(e.options.Timing.Start, "start", m.ID, m.number())
}
