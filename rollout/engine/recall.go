package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Recall says which servers in flight are taken back now. Servers whose change was submitted are finished whatever it
// says. Nothing new is started while it says anything.
func (e *Engine) Recall() rollout.Recall {
	switch e.state.Phase {
	case rollout.PhaseRunning:
		switch t := e.tally(); {
		case e.breachBy(t) != "":
			return rollout.RecallUnsubmitted
		case e.suspended(t):
			return rollout.RecallUntouched
		}
	case rollout.PhasePaused:
		forward := e.state.Pause.From == rollout.PhaseRunning
		if e.state.Pause.Breach || (forward && e.breach() != "") || e.turnsBack() {
			return rollout.RecallUnsubmitted
		}
		return rollout.RecallUntouched
	case rollout.PhaseRollingBack:
		if e.turnsBack() {
			return rollout.RecallUnsubmitted
		}
	case rollout.PhaseAborting:
		return rollout.RecallUnsubmitted
	}
	return rollout.RecallNone
}

// turnsBack is true while a rollback waits for servers that still go forward.
func (e *Engine) turnsBack() bool {
	return e.stopped() && slices.ContainsFunc(e.state.Servers, func(s Server) bool { return s.State == rollout.InFlight && !s.RollingBack })
}

// Recalled takes in that a server was taken back before its change was submitted. That is no failure: the server waits
// for its turn again, if there is another. Up is as in Outcome.
func (e *Engine) Recalled(i int, up bool, now time.Time) {
	e.tick(now)
	if e.state.Servers[i].State != rollout.InFlight {
		return
	}
	reason := "the rollout was aborted before its disk was touched"
	if e.state.Phase == rollout.PhaseRollingBack || e.state.Phase == rollout.PhasePaused {
		reason = "the rollout was rolled back before its disk was touched"
	}
	e.putBack(i, up, reason)
}

// Suspected takes in that a server in flight may have failed, and why: its job has, or it is in ERROR or without a disk.
// Nothing more is started while that would exceed the budget. The end of the server decides.
func (e *Engine) Suspected(serverID, why string, now time.Time) {
	e.tick(now)
	for _, i := range e.byRef[serverID] {
		s := &e.state.Servers[i]
		if e.plan.Servers[i].ID != serverID || s.State != rollout.InFlight || s.RollingBack || s.Suspicion != "" {
			continue
		}
		before := e.suspended(e.tally())
		s.Suspicion = cut(why)
		if !before && e.suspended(e.tally()) {
			e.log("", fmt.Sprintf("starts nothing until it is known whether %s failed: %s", e.called(i), s.Suspicion))
		}
	}
}

// noteSuspended logs that starts go on, when they were suspended before.
func (e *Engine) noteSuspended(before bool) {
	if t := e.tally(); before && !e.suspended(t) && e.breachBy(t) == "" && e.state.Phase == rollout.PhaseRunning {
		e.log("", "starts go on")
	}
}

// suspect is true for a server that may have failed. It still holds its slot.
func (s *Server) suspect() bool { return s.State == rollout.InFlight && s.Suspicion != "" }

// suspended is true when the budget would be exceeded if every suspect had failed.
func (e *Engine) suspended(t tally) bool {
	if t.suspects == 0 || e.state.Phase != rollout.PhaseRunning {
		return false
	}
	t.failed, t.ended = t.failed+t.suspects, t.ended+t.suspects
	t.groupFailed = slices.Clone(t.groupFailed)
	for g, n := range t.groupSuspects {
		t.groupFailed[g] += n
	}
	return e.breachBy(t) != ""
}
