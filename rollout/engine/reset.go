package engine

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// whyReset is why a rollout pauses whose workflow was reset.
const whyReset = "its workflow was reset by hand: the servers that it had started by then are followed, and nothing is started before it is resumed"

// WasReset takes in that the workflow of the rollout was reset: it may have done more than the engine knows. It pauses, so
// that a human decides whether it goes on. An abort stays one.
func (e *Engine) WasReset(now time.Time) {
	e.tick(now)
	if e.state.Phase == rollout.PhaseRunning || e.state.Phase == rollout.PhaseRollingBack || e.state.Phase == rollout.PhasePaused {
		e.pause(PauseState{Why: whyReset})
	}
	e.log("", whyReset)
}

// Started takes in that the rollout has started a server of which the engine does not know, because the workflow was
// reset. The server is in flight until its end is known. It is false for a start whose end the engine knows.
func (e *Engine) Started(i int, at, now time.Time) bool {
	e.tick(now)
	s := &e.state.Servers[i]
	switch {
	case s.State == rollout.InFlight:
		return true
	case s.Attempts > 0 && !at.After(s.EndedAt): // an untried one may have been given up by an abort since
		return false
	}
	e.start(i, false)
	s.StartedAt = at
	return true
}
