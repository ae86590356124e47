package engine

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Advance decides what is to be done now, and counts the servers it says to start as in flight.
func (e *Engine) Advance(now time.Time) Decision {
	e.tick(now)
	e.watchBudget()
	e.passDeadline()
	e.endSoaks() // last, because a rollout that stops ends them all
	var d Decision
	switch e.state.Phase {
	case rollout.PhaseRunning:
		e.moveOn()
		if e.state.Phase == rollout.PhaseRunning && !e.mustRead() {
			d.Start = e.admit()
		}
	case rollout.PhasePaused:
		if !e.stopped() {
			e.noteWaveOver()
		}
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
	due := e.readDue()
	d.ReadStates = !due.IsZero() && e.due(due)
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
	if before := e.state.Pause; before != nil {
		p.From = before.From
	}
	e.state.Phase, e.state.Pause = rollout.PhasePaused, &p
	if p.Breach || p.Deadline {
		e.log("", "paused: "+p.Why)
	}
}

// pauseForCredentials pauses what would start more servers, or says once in a pause what else there is to mend. An
// abort starts none, but what it finishes may wait.
func (e *Engine) pauseForCredentials(refusal string) {
	if e.state.Credentials != "" {
		return
	}
	refusal = cutTo(maxRefusal, refusal)
	e.state.Credentials = refusal
	if e.state.Phase == rollout.PhaseAborting {
		e.log("", "waits: "+refusal+mend)
		return
	}
	if e.state.Pause == nil {
		e.pause(PauseState{})
	}
	e.log("", "paused: "+refusal+mendThenResume)
}

const (
	mend           = ": mend that"
	mendThenResume = mend + ", then resume"
)

// watchBudget acts on a breach. A pause does not hide one: a plan that aborts, aborts. But nothing is
// started while paused, so a plan that rolls back does so when it is resumed.
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
		e.log("", "aborted: "+why)
		e.stop(rollout.PhaseAborting)
	case rollout.BreachRollback:
		if p == nil {
			e.stop(rollout.PhaseRollingBack)
			e.log("", "rolling back: "+why)
			return
		}
		before := ""
		if p.Why != "" {
			before = p.Why + "; "
		}
		e.stop(rollout.PhaseRollingBack)
		e.log("", "to be rolled back when resumed: "+why)
		e.pause(PauseState{Why: before + "resume to roll back: " + why})
	default:
		e.pause(PauseState{Why: why, Breach: true})
	}
}

// stop gives up what is pending. What is in flight is carried to its end.
func (e *Engine) stop(phase rollout.Phase) {
	e.state.Phase, e.state.Pause = phase, nil
	reason := "the rollout was aborted before its turn"
	if phase == rollout.PhaseRollingBack {
		reason = "the rollout was rolled back before its turn"
	}
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if s.waits() {
			e.giveUp(i, rollout.NotStarted, reason)
		}
		if s.State == rollout.Ended {
			s.BusySince = time.Time{} // a rollback waits anew
		}
	}
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
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if s.State == rollout.Soaking || s.State == rollout.Busy && e.state.Phase == rollout.PhaseRunning {
			sooner(s.Until)
		}
	}
	switch e.state.Phase {
	case rollout.PhaseRunning:
		sooner(e.state.Deadline)
		sooner(e.readDue())
		if !e.state.WaveOverAt.IsZero() {
			sooner(e.bakedAt())
		}
	case rollout.PhaseRollingBack:
		sooner(e.nextBusyRollback())
	}
	return next
}
