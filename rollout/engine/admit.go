package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// tally is how many servers are where. It is counted anew each time: a count that is kept can be wrong.
type tally struct {
	slots       int // in use, held by failed servers included
	heldFailed  int
	inFlight    int
	soaking     int
	ended       int // tried and ended: the sample that a percentage of failures is judged by
	failed      int
	zoneSlots   []int
	groupSlots  []int
	groupFlight []int
	groupFailed []int
}

func (e *Engine) tally() tally {
	t := tally{
		zoneSlots:   make([]int, len(e.plan.Caps.Zones)),
		groupSlots:  make([]int, len(e.plan.Caps.Groups)),
		groupFlight: make([]int, len(e.plan.Caps.Groups)),
		groupFailed: make([]int, len(e.plan.Caps.Groups)),
	}
	for i, s := range e.state.Servers {
		zone, group := e.zone[i], e.group[i]
		if s.holdsSlot() {
			t.slots++
			if zone >= 0 {
				t.zoneSlots[zone]++
			}
			if group >= 0 {
				t.groupSlots[group]++
			}
		}
		switch s.State {
		case rollout.InFlight:
			t.inFlight++
			if group >= 0 {
				t.groupFlight[group]++
			}
		case rollout.Soaking:
			t.soaking++
		}
		if (s.State == rollout.Ended || s.State == rollout.Soaking) && s.Attempts > 0 && s.End != rollout.Skipped {
			t.ended++
		}
		if s.failed() {
			t.failed++
			if s.holdsSlot() {
				t.heldFailed++
			}
			if group >= 0 {
				t.groupFailed[group]++
			}
		}
	}
	return t
}

// take counts one more server in flight.
func (t *tally) take(zone, group int) {
	t.slots++
	t.inFlight++
	if zone >= 0 {
		t.zoneSlots[zone]++
	}
	if group >= 0 {
		t.groupSlots[group]++
		t.groupFlight[group]++
	}
}

// breach says why the budget is exceeded, nothing if it is not.
func (e *Engine) breach() string {
	t := e.tally()
	if tolerated := e.plan.Budget.Tolerated(t.ended); t.failed > tolerated {
		return fmt.Sprintf("%s failed and %d tolerated: %s", servers(t.failed), tolerated, e.failedNames())
	}
	if perGroup := e.plan.Budget.PerGroup; perGroup != nil {
		for g, failed := range t.groupFailed {
			if failed > *perGroup {
				return fmt.Sprintf("%s failed in group %q and %d tolerated in each", servers(failed), e.plan.Caps.Groups[g].Name, *perGroup)
			}
		}
	}
	return ""
}

// failedNames lists the failed servers, a handful of them.
func (e *Engine) failedNames() string {
	const most = 5
	var names []string
	more := 0
	for i, s := range e.state.Servers {
		switch {
		case !s.failed():
		case len(names) < most:
			names = append(names, e.called(i))
		default:
			more++
		}
	}
	text := strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// admit starts what the caps, the budget and the slow start let in, in the order of the plan. A server
// that its zone or group holds back lets others pass.
func (e *Engine) admit() []Start {
	if e.state.Wave >= len(e.plan.Waves) {
		return nil
	}
	t := e.tally()
	var starts []Start
	for i := range e.state.Servers[:e.plan.Waves[e.state.Wave].End] {
		s := &e.state.Servers[i]
		ready := s.State == rollout.Pending || s.State == rollout.Busy && e.due(s.Until)
		if !ready {
			continue
		}
		if e.full(t) {
			break
		}
		if e.heldBack(t, i) {
			continue
		}
		t.take(e.zone[i], e.group[i])
		starts = append(starts, e.start(i, false))
	}
	return starts
}

// full is true when no server at all may start.
func (e *Engine) full(t tally) bool {
	budget := e.plan.Budget
	return t.slots >= e.state.Cap ||
		budget.SlowStart && t.inFlight+t.soaking >= e.state.Window ||
		budget.Strict && t.inFlight+t.failed > e.toleratedAtLast()
}

// toleratedAtLast is the number of failures tolerated when every server has ended, which is what strict
// admission goes by: a sample that is still too small tolerates more for the moment only.
func (e *Engine) toleratedAtLast() int {
	return e.plan.Budget.Tolerated(max(len(e.plan.Servers), e.plan.Budget.MinSample))
}

// heldBack is true when the server's zone or group has no room for it.
func (e *Engine) heldBack(t tally, i int) bool {
	budget, group := e.plan.Budget, e.group[i]
	return e.noRoom(t, i) ||
		budget.Strict && budget.PerGroup != nil && group >= 0 && t.groupFlight[group]+t.groupFailed[group] > *budget.PerGroup
}

// noRoom is true when the cap of the server's zone or group holds it back.
func (e *Engine) noRoom(t tally, i int) bool {
	zone, group := e.zone[i], e.group[i]
	return zone >= 0 && t.zoneSlots[zone] >= e.plan.Caps.Zones[zone].Cap ||
		group >= 0 && t.groupSlots[group] >= e.plan.Caps.Groups[group].Cap
}

// start counts a server as in flight.
func (e *Engine) start(i int, rollback bool) Start {
	s := &e.state.Servers[i]
	expect := e.plan.Servers[i].Before
	if (s.After != rollout.Fingerprint{}) {
		expect = s.After // what it showed when the last attempt ended
	}
	s.State, s.RollingBack, s.Until, s.StartedAt, s.EndedAt = rollout.InFlight, rollback, time.Time{}, e.state.Now, time.Time{}
	s.Attempts++
	again := !rollback && s.Attempts > 1 && s.End == rollout.FailedChanged
	return Start{Server: i, Rollback: rollback, Again: again, Expect: expect}
}

// admitRollback gives changed servers their previous image, the last one first, once nothing goes forward
// any more. The caps hold, but failed servers hold no slots: repairing them is what this is for.
func (e *Engine) admitRollback() []Start {
	t := tally{zoneSlots: make([]int, len(e.plan.Caps.Zones)), groupSlots: make([]int, len(e.plan.Caps.Groups)), groupFlight: make([]int, len(e.plan.Caps.Groups))}
	for i, s := range e.state.Servers {
		if s.State != rollout.InFlight {
			continue
		}
		if !s.RollingBack {
			return nil
		}
		t.take(e.zone[i], e.group[i])
	}
	var starts []Start
	for i := len(e.state.Servers) - 1; i >= 0 && t.slots < e.state.Cap; i-- {
		if !e.toRollBack(i) || !e.due(e.state.Servers[i].Until) || e.noRoom(t, i) {
			continue
		}
		t.take(e.zone[i], e.group[i])
		starts = append(starts, e.start(i, true))
	}
	return starts
}

// toRollBack is true for a changed server whose rollback has not been tried.
func (e *Engine) toRollBack(i int) bool {
	s := e.state.Servers[i]
	return s.State == rollout.Ended && s.changed() && !s.RollingBack
}

// nextBusyRollback is when a server that was busy when its rollback was due is tried again.
func (e *Engine) nextBusyRollback() time.Time {
	var next time.Time
	for i, s := range e.state.Servers {
		if e.toRollBack(i) && !e.due(s.Until) && (next.IsZero() || s.Until.Before(next)) {
			next = s.Until
		}
	}
	return next
}

// rollbackEnd is rolled-back only if no server is left that lost its disk and did not get the old image.
func (e *Engine) rollbackEnd() rollout.RolloutEnd {
	for _, s := range e.state.Servers {
		if s.changed() || s.Attempts > 0 && (s.End == rollout.FailedLost || s.End == rollout.Vanished) {
			return rollout.RolledBackPartially
		}
	}
	return rollout.RolledBack
}
