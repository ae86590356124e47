package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Engine is one rollout. Its methods are called one after the other.
type Engine struct {
	plan  rollout.Plan
	state State
	// zone and group are the positions of a server's caps in the plan, -1 for none.
	zone, group []int
	byRef       map[string][]int // servers by id and by name
}

// New begins a rollout.
func New(plan rollout.Plan, by string, now time.Time) *Engine {
	state := State{
		Phase: rollout.PhaseRunning, Approvals: make([]string, len(plan.Waves)), Servers: make([]Server, len(plan.Servers)),
		Cap: plan.Caps.InFlight, Window: 1, StartedBy: by, StartedAt: now, Now: now,
	}
	if plan.Deadline > 0 {
		state.Deadline = now.Add(plan.Deadline)
	}
	for i := range state.Servers {
		state.Servers[i].State = rollout.Pending
	}
	e := Restore(plan, state)
	e.log(by, fmt.Sprintf("started: %s in %s", servers(len(plan.Servers)), count(len(plan.Waves), "wave")))
	return e
}

// Restore goes on with a rollout where its State was taken.
func Restore(plan rollout.Plan, state State) *Engine {
	e := &Engine{plan: plan, state: state, byRef: make(map[string][]int)}
	zones, groups := positions(plan.Caps.Zones), positions(plan.Caps.Groups)
	at := func(caps map[string]int, name string) int {
		if i, ok := caps[name]; ok {
			return i
		}
		return -1
	}
	for i, server := range plan.Servers {
		e.zone = append(e.zone, at(zones, server.Zone))
		e.group = append(e.group, at(groups, server.Group))
		e.byRef[server.ID] = append(e.byRef[server.ID], i)
		if server.Name != server.ID {
			e.byRef[server.Name] = append(e.byRef[server.Name], i)
		}
	}
	return e
}

func positions(caps []rollout.GroupCap) map[string]int {
	at := make(map[string]int, len(caps))
	for i, c := range caps {
		at[c.Name] = i
	}
	return at
}

// State is what Restore needs. It is the engine's own and not to be changed.
func (e *Engine) State() State { return e.state }

// Finished takes in how the attempt at a server ended. A server that is not in flight is left as it is:
// whoever tells may tell twice.
func (e *Engine) Finished(i int, out Outcome, now time.Time) {
	e.tick(now)
	s := &e.state.Servers[i]
	if s.State != rollout.InFlight {
		return
	}
	s.EndedAt = e.state.Now
	if (out.After != rollout.Fingerprint{}) {
		s.After = out.After
	}
	if s.RollingBack {
		e.rolledBack(i, out)
		return
	}
	s.State, s.End, s.Reason, s.Down = rollout.Ended, out.End, cut(out.Reason), out.Down
	switch {
	case out.End == rollout.Done:
		e.state.Window++
		if e.plan.Soak > 0 {
			s.State, s.Until = rollout.Soaking, e.state.Now.Add(e.plan.Soak)
		}
	case out.End.Failed():
		e.state.Window = 1
		e.log("", fmt.Sprintf("%s: %s: %s", e.called(i), out.End, s.Reason))
	}
}

// rolledBack takes in how giving a server its previous image ended. When nothing was touched, the server
// stays what it was.
func (e *Engine) rolledBack(i int, out Outcome) {
	s := &e.state.Servers[i]
	s.State, s.Reason = rollout.Ended, cut("rolling back: "+out.Reason)
	switch out.End {
	case rollout.Done:
		s.End, s.Reason = rollout.Restored, cut(out.Reason)
	case rollout.NotStarted, rollout.FailedIntact, rollout.Skipped:
		e.log("", fmt.Sprintf("%s was not rolled back: %s", e.called(i), cut(out.Reason)))
	default:
		s.End = out.End
		e.log("", fmt.Sprintf("%s was not rolled back: %s: %s", e.called(i), out.End, cut(out.Reason)))
	}
}

// Busy takes in that another workflow changes the server, so that nothing was started. It is tried again
// until the plan's patience ends.
func (e *Engine) Busy(i int, holder string, now time.Time) {
	e.tick(now)
	s := &e.state.Servers[i]
	if s.State != rollout.InFlight {
		return
	}
	s.Attempts--
	s.StartedAt = time.Time{}
	if s.RollingBack { // its turn comes again, for as long as it takes
		s.State, s.RollingBack, s.Until = rollout.Ended, false, e.state.Now.Add(busyRetry)
		return
	}
	if s.BusySince.IsZero() {
		s.BusySince = e.state.Now
	}
	s.Reason = cut("busy: " + holder)
	if giveUp := s.BusySince.Add(e.plan.BusyWait); !e.state.Now.Before(giveUp) || e.stopped() {
		e.giveUp(i, rollout.Skipped, s.Reason)
		e.log("", fmt.Sprintf("%s is left alone: %s", e.called(i), s.Reason))
		return
	}
	s.State, s.Until = rollout.Busy, e.state.Now.Add(busyRetry)
}

// giveUp ends a server that is not in flight. One that failed before, and was to be tried again, stays
// what it was: skipping it would hide a broken server.
func (e *Engine) giveUp(i int, end rollout.ServerEnd, reason string) {
	s := &e.state.Servers[i]
	s.State, s.Until, s.EndedAt = rollout.Ended, time.Time{}, e.state.Now
	if s.Attempts == 0 {
		s.End, s.Reason = end, reason
	}
}

// stopped is true when nothing pending will be started any more.
func (e *Engine) stopped() bool {
	phase := e.state.Phase
	if phase == rollout.PhasePaused {
		phase = e.state.Pause.From
	}
	return phase == rollout.PhaseAborting || phase == rollout.PhaseRollingBack || phase == rollout.PhaseEnded
}

// Advance decides what is to be done now, and counts the servers it says to start as in flight.
func (e *Engine) Advance(now time.Time) Decision {
	e.tick(now)
	e.endSoaks()
	e.passDeadline()
	e.watchBudget()
	var d Decision
	switch e.state.Phase {
	case rollout.PhaseRunning:
		e.moveOn()
		if e.state.Phase == rollout.PhaseRunning {
			d.Start = e.admit()
		}
	case rollout.PhasePaused:
		e.noteWaveOver()
	case rollout.PhaseAborting:
		if e.tally().inFlight == 0 {
			e.finish(rollout.Aborted)
		}
	case rollout.PhaseRollingBack:
		d.Start = e.admitRollback()
		if len(d.Start) == 0 && e.tally().inFlight == 0 && e.nextBusyRollback().IsZero() {
			e.finish(e.rollbackEnd())
		}
	}
	d.Over = e.state.Phase == rollout.PhaseEnded
	d.WakeAt = e.wakeAt()
	return d
}

// tick moves the time on, never back.
func (e *Engine) tick(now time.Time) {
	if now.After(e.state.Now) {
		e.state.Now = now
	}
}

func (e *Engine) due(t time.Time) bool { return !e.state.Now.Before(t) }

func (e *Engine) endSoaks() {
	for i := range e.state.Servers {
		if s := &e.state.Servers[i]; s.State == rollout.Soaking && (e.due(s.Until) || e.stopped()) {
			s.State, s.Until = rollout.Ended, time.Time{}
		}
	}
}

func (e *Engine) passDeadline() {
	if e.state.Phase != rollout.PhaseRunning || e.state.Deadline.IsZero() || !e.due(e.state.Deadline) {
		return
	}
	e.pause(PauseState{Why: fmt.Sprintf("its deadline of %s has passed", e.plan.Deadline), Deadline: true})
}

func (e *Engine) pause(p PauseState) {
	p.From = e.state.Phase
	if e.state.Pause != nil {
		p.From = e.state.Pause.From
	}
	e.state.Phase, e.state.Pause = rollout.PhasePaused, &p
	if p.Breach || p.Deadline {
		e.log("", "paused: "+p.Why)
	}
}

// watchBudget acts on a breach. An operator's pause does not hide one: a plan that aborts, aborts.
func (e *Engine) watchBudget() {
	p := e.state.Pause
	forward := e.state.Phase == rollout.PhaseRunning || p != nil && p.From == rollout.PhaseRunning && !p.Breach
	if !forward {
		return
	}
	why := e.breach()
	if why == "" {
		return
	}
	switch e.plan.Budget.OnBreach {
	case rollout.BreachAbort:
		e.stop(rollout.PhaseAborting, "", "aborted: "+why)
	case rollout.BreachRollback:
		e.stop(rollout.PhaseRollingBack, "", "rolling back: "+why)
	default:
		e.pause(PauseState{Why: why, Breach: true})
	}
}

// stop gives up what is pending. What is in flight is carried to its end.
func (e *Engine) stop(phase rollout.Phase, by, what string) {
	e.state.Phase, e.state.Pause = phase, nil
	e.log(by, what)
	reason := "the rollout was aborted before its turn"
	if phase == rollout.PhaseRollingBack {
		reason = "the rollout was rolled back before its turn"
	}
	for i := range e.state.Servers {
		if s := e.state.Servers[i]; s.State == rollout.Pending || s.State == rollout.Busy {
			e.giveUp(i, rollout.NotStarted, reason)
		}
	}
}

// moveOn goes to the next wave when this one is over, baked and approved, and so on until there is a wave
// with something to do. After the last one the rollout ends.
func (e *Engine) moveOn() {
	for e.state.Wave < len(e.plan.Waves) {
		e.noteWaveOver()
		if e.state.WaveOverAt.IsZero() || !e.due(e.bakedAt()) || e.awaitsApproval() {
			return
		}
		e.state.Wave++
		e.state.WaveOverAt = time.Time{}
	}
	end := rollout.Completed
	for _, s := range e.state.Servers {
		if s.End.Failed() {
			end = rollout.CompletedWithFailures
		}
	}
	e.finish(end)
}

// noteWaveOver notices that the last server of the wave has ended, or that a retry has reopened it.
func (e *Engine) noteWaveOver() {
	w := e.state.Wave
	if w >= len(e.plan.Waves) {
		return
	}
	over := true
	for _, s := range e.state.Servers[:e.plan.Waves[w].End] {
		over = over && s.State == rollout.Ended
	}
	switch {
	case !over:
		e.state.WaveOverAt = time.Time{}
	case e.state.WaveOverAt.IsZero():
		e.state.WaveOverAt = e.state.Now
		if e.empty(w) {
			e.log("", fmt.Sprintf("wave %s is empty and skipped", e.plan.Waves[w].Name))
		} else {
			e.log("", fmt.Sprintf("wave %s is over", e.plan.Waves[w].Name))
		}
	}
}

func (e *Engine) empty(wave int) bool { return e.waveStart(wave) == e.plan.Waves[wave].End }

func (e *Engine) waveStart(wave int) int {
	if wave == 0 {
		return 0
	}
	return e.plan.Waves[wave-1].End
}

// bakedAt is when the bake after the current wave ends. An empty wave does not bake.
func (e *Engine) bakedAt() time.Time {
	if e.empty(e.state.Wave) {
		return e.state.WaveOverAt
	}
	return e.state.WaveOverAt.Add(e.plan.Waves[e.state.Wave].Bake)
}

// awaitsApproval is true when somebody has to approve what follows the current wave.
func (e *Engine) awaitsApproval() bool {
	w := e.state.Wave
	return e.plan.Waves[w].Approval && !e.empty(w) && w < len(e.plan.Waves)-1 && e.state.Approvals[w] == ""
}

func (e *Engine) finish(end rollout.RolloutEnd) {
	e.state.Phase, e.state.End, e.state.EndedAt, e.state.Pause = rollout.PhaseEnded, end, e.state.Now, nil
	e.log("", "ended: "+string(end))
}

// wakeAt is the next moment at which time alone changes something.
func (e *Engine) wakeAt() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && t.After(e.state.Now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if e.state.Phase == rollout.PhaseEnded {
		return next
	}
	for _, s := range e.state.Servers {
		if s.State == rollout.Soaking || s.State == rollout.Busy && e.state.Phase == rollout.PhaseRunning {
			sooner(s.Until)
		}
	}
	switch e.state.Phase {
	case rollout.PhaseRunning:
		sooner(e.state.Deadline)
		if !e.state.WaveOverAt.IsZero() {
			sooner(e.bakedAt())
		}
	case rollout.PhaseRollingBack:
		sooner(e.nextBusyRollback())
	}
	return next
}

func (e *Engine) log(by, what string) {
	e.state.Log = append(e.state.Log, rollout.LogEntry{At: e.state.Now, By: by, What: what})
	if extra := len(e.state.Log) - logLength; extra > 0 {
		e.state.Log = e.state.Log[extra:]
	}
}

// called names a server the way an operator knows it.
func (e *Engine) called(i int) string {
	if name := e.plan.Servers[i].Name; name != "" {
		return name
	}
	return e.plan.Servers[i].ID
}

func cut(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason-3], "") + "..."
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func servers(n int) string { return count(n, "server") }
