package faults

import (
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

// viewLag is for how long after an attempt the cloud may show a server down that runs.
const viewLag = 2 * time.Minute

// plannedDown are the servers that count against the caps and were down when the plan was made.
func plannedDown(plan rollout.Plan) map[string]bool {
	down := map[string]bool{}
	if !plan.Caps.CountOthers {
		return down
	}
	for _, s := range plan.Servers {
		down[s.ID] = rollout.IsDown(s.Status)
	}
	for _, s := range plan.Untouched() {
		down[s.ID] = rollout.IsDown(s.Status)
	}
	return down
}

// read takes in which servers the rollout found down. Servers in flight or in their soak are followed by their own workflows.
func (r *referee) read(e Event) {
	if e.Refused {
		r.paused = r.paused || !r.aborted && !r.turned
		return
	}
	r.moveOn()
	r.wavesRead = max(r.wavesRead, r.wave+1)
	for _, s := range r.servers {
		if s.inFlight || r.soaks(s) {
			continue
		}
		r.down[s.ID] = slices.Contains(e.Down, s.ID) && !r.ranJustNow(s) && !r.isLeftOff(s.end)
	}
	for _, other := range r.plan.Untouched() {
		r.down[other.ID] = slices.Contains(e.Down, other.ID)
	}
}

// ranJustNow is true for a server whose last attempt left it running so late that the cloud may show an older state.
func (r *referee) ranJustNow(s *standing) bool {
	return s.last() != nil && !r.down[s.ID] && !r.isBroken(s) && r.now.Before(s.heardAt.Add(viewLag))
}

// isDown is true for a server that is out of service for another reason. One that has vanished does not return, and an
// accepted failure does not count.
func (r *referee) isDown(s *standing) bool {
	return r.down[s.ID] && !s.accepted && s.end != rollout.Vanished
}

// isLeftOff is true for a server that is stopped after its change because the plan asks for it.
func (r *referee) isLeftOff(end rollout.ServerEnd) bool {
	return end == rollout.Done && r.plan.Change.Power == rollout.PowerOff
}

// isLeftRunning is true when an attempt left the server running, or found it running and did nothing to it, or proved that
// it runs with its new disk.
func isLeftRunning(result rollout.ServerResult) bool {
	switch {
	case result.Left != "":
		return result.Left == rollout.StatusActive
	case result.PowerTrouble != "":
		return false
	case result.End == rollout.Done && result.After.Status == rollout.StatusActive:
		return true
	}
	return result.Before.Status == rollout.StatusActive && result.Before.Idle()
}
