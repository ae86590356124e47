package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// tally is how many servers are where. It is counted anew each time: a count that is kept can be wrong.
type tally struct {
	slots         int // in use, held by failed servers included
	heldFailed    int
	heldDown      int // by servers that are down, and not because of the rollout
	inFlight      int
	soaking       int
	ended         int // tried and ended: the sample that a percentage of failures is judged by
	failed        int
	suspects      int // in flight, and may have failed
	zoneSlots     []int
	groupSlots    []int
	zoneWork      []int // of the slots: in flight and soaking
	groupWork     []int
	groupFlight   []int
	groupFailed   []int
	groupSuspects []int
}

func (e *Engine) tally() tally { return e.tallyOf(true) }

// tallyOf leaves out, without countDown, what is down and not because of the rollout.
func (e *Engine) tallyOf(countDown bool) tally {
	t := e.emptyTally()
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		zone, group := e.zone[i], e.group[i]
		if s.holdsSlot() && (countDown || s.working() || s.broken()) {
			t.hold(zone, group)
		}
		if s.working() {
			t.work(zone, group)
		}
		switch {
		case s.State == rollout.InFlight:
			t.inFlight++
			if group >= 0 {
				t.groupFlight[group]++
			}
		case s.State == rollout.Soaking:
			t.soaking++
		case s.broken():
			t.heldFailed++
		case s.isDown() && countDown:
			t.heldDown++
		}
		if (s.State == rollout.Ended || s.State == rollout.Soaking) && s.Attempts > 0 && s.End != rollout.Skipped {
			t.ended++
		}
		if s.suspect() {
			t.suspects++
			if group >= 0 {
				t.groupSuspects[group]++
			}
		}
		if s.failed() {
			t.failed++
			if group >= 0 {
				t.groupFailed[group]++
			}
		}
	}
	if !countDown {
		return t
	}
	for _, d := range e.state.Down {
		t.heldDown++
		t.hold(e.otherZone[d.Other], e.otherGroup[d.Other])
	}
	return t
}

func (e *Engine) emptyTally() tally {
	zones, groups := len(e.plan.Caps.Zones), len(e.plan.Caps.Groups)
	return tally{
		zoneSlots: make([]int, zones), zoneWork: make([]int, zones),
		groupSlots: make([]int, groups), groupWork: make([]int, groups), groupFlight: make([]int, groups), groupFailed: make([]int, groups),
		groupSuspects: make([]int, groups),
	}
}

// work counts one more server at work.
func (t *tally) work(zone, group int) {
	if zone >= 0 {
		t.zoneWork[zone]++
	}
	if group >= 0 {
		t.groupWork[group]++
	}
}

// hold counts one more slot in use.
func (t *tally) hold(zone, group int) {
	t.slots++
	if zone >= 0 {
		t.zoneSlots[zone]++
	}
	if group >= 0 {
		t.groupSlots[group]++
	}
}

// take counts one more server in flight. One that is broken, or down, holds its slot already.
func (t *tally) take(zone, group int, holdsSlot bool) {
	t.inFlight++
	t.work(zone, group)
	if group >= 0 {
		t.groupFlight[group]++
	}
	if !holdsSlot {
		t.hold(zone, group)
	}
}

// breach says why the budget is exceeded, nothing if it is not.
func (e *Engine) breach() string { return e.breachBy(e.tally()) }

func (e *Engine) breachBy(t tally) string {
	if tolerated := e.tolerated(t); t.failed > tolerated {
		return fmt.Sprintf("%s failed and %d tolerated: %s", servers(t.failed), tolerated, e.names(e.which((*Server).failed)))
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

// which are the servers that are so.
func (e *Engine) which(so func(*Server) bool) []int {
	var chosen []int
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if so(s) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// names lists servers, a handful of them.
func (e *Engine) names(chosen []int) string {
	const most = 5
	var names []string
	for _, i := range chosen[:min(most, len(chosen))] {
		names = append(names, e.called(i))
	}
	text := strings.Join(names, ", ")
	if more := len(chosen) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// admit starts what the caps, the budget and the slow start let in, in the order of the plan, but first what is down: to
// change it takes nothing out of service. A server that its zone or group holds back lets others pass, and one that is
// broken or down takes no slot.
func (e *Engine) admit() []Start {
	if e.state.Wave >= len(e.plan.Waves) {
		return nil
	}
	t := e.tally()
	if e.suspended(t) {
		return nil
	}
	var starts []Start
	for _, downFirst := range []bool{true, false} {
		for i := range e.state.Servers[:e.plan.Waves[e.state.Wave].End] {
			s := &e.state.Servers[i]
			if !e.ready(i) || s.isDown() != downFirst {
				continue
			}
			holds := s.holdsSlot()
			if e.full(t, holds) || e.heldBack(t, i, holds) {
				continue
			}
			t.take(e.zone[i], e.group[i], holds)
			starts = append(starts, e.start(i, false))
		}
	}
	return starts
}

// ready is true for a server whose turn is now, if there is room.
func (e *Engine) ready(i int) bool {
	s := &e.state.Servers[i]
	return s.State == rollout.Pending || s.State == rollout.Busy && e.due(s.Until)
}

// full is true when no server at all may start, or none that holds its slot already.
func (e *Engine) full(t tally, holdsSlot bool) bool {
	budget, slots := e.plan.Budget, t.slots
	if holdsSlot {
		slots = t.inFlight + t.soaking
	}
	return slots >= e.state.Cap ||
		budget.SlowStart && t.inFlight+t.soaking >= e.state.Window ||
		budget.Strict && t.inFlight+t.failed > e.tolerated(t)
}

// tolerated is the number of failures in force. Strict admission goes by the number when every server has
// ended: a sample that is still too small tolerates more, but for the moment only.
func (e *Engine) tolerated(t tally) int {
	if budget := e.plan.Budget; budget.Strict {
		return budget.Tolerated(max(len(e.plan.Servers), budget.MinSample))
	}
	return e.plan.Budget.Tolerated(t.ended)
}

// heldBack is true when the server's zone or group has no room for it.
func (e *Engine) heldBack(t tally, i int, holdsSlot bool) bool {
	budget, group := e.plan.Budget, e.group[i]
	return e.noRoom(t, i, holdsSlot) ||
		budget.Strict && budget.PerGroup != nil && group >= 0 && t.groupFlight[group]+t.groupFailed[group] > *budget.PerGroup
}

// noRoom is true when the cap of the server's zone or group holds it back. What holds its slot already takes none, but more
// than the cap are not at work together: one that was found down may run again by now.
func (e *Engine) noRoom(t tally, i int, holdsSlot bool) bool {
	zones, groups := t.zoneSlots, t.groupSlots
	if holdsSlot {
		zones, groups = t.zoneWork, t.groupWork
	}
	zone, group := e.zone[i], e.group[i]
	return zone >= 0 && zones[zone] >= e.plan.Caps.Zones[zone].Cap ||
		group >= 0 && groups[group] >= e.plan.Caps.Groups[group].Cap
}

// start counts a server as in flight.
func (e *Engine) start(i int, rollback bool) Start {
	s := &e.state.Servers[i]
	expect := e.plan.Servers[i].Before
	if (s.After != rollout.Fingerprint{}) {
		expect = s.After // what it showed when the last attempt ended
	}
	if (s.Seen != rollout.Fingerprint{}) {
		expect = s.Seen // whoever named the server was told of it
	}
	s.State, s.RollingBack, s.Until = rollout.InFlight, rollback, time.Time{}
	s.Suspicion = ""
	s.Earlier = times{StartedAt: s.StartedAt, EndedAt: s.EndedAt}
	s.StartedAt, s.EndedAt = e.state.Now, time.Time{}
	s.Recheck = s.Recheck && !rollback
	if !s.Recheck { // which changes nothing
		s.Attempts++
	}
	start := Start{Server: i, Rollback: rollback, Attempt: s.Attempts, Expect: expect, Recheck: s.Recheck}
	failedOnNew := s.End == rollout.FailedChanged || s.End == rollout.FailedUnhealthy
	start.Again = !rollback && !s.Recheck && s.Attempts > 1 && failedOnNew
	if s.Recheck || (start.Again && s.End == rollout.FailedChanged) {
		start.Prior = e.plan.Servers[i].Before
		if (s.Replaced != rollout.Fingerprint{}) {
			start.Prior = s.Replaced
		}
	}
	s.Replacing = rollout.Fingerprint{}
	if expect != e.plan.Servers[i].Before { // what the plan has need not be carried along
		s.Replacing = expect
	}
	return start
}

// admitRollback gives changed servers their previous image, the last one first, once nothing goes forward
// any more. The caps hold, but failed servers hold no slots: repairing them is what this is for.
func (e *Engine) admitRollback() []Start {
	t := e.emptyTally()
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if s.State != rollout.InFlight {
			continue
		}
		if !s.RollingBack {
			return nil
		}
		t.take(e.zone[i], e.group[i], false)
	}
	var starts []Start
	for i := len(e.state.Servers) - 1; i >= 0 && t.slots < e.state.Cap; i-- {
		if !e.toRollBack(i) || !e.due(e.state.Servers[i].Until) || e.noRoom(t, i, false) {
			continue
		}
		t.take(e.zone[i], e.group[i], false)
		starts = append(starts, e.start(i, true))
	}
	return starts
}

// toRollBack is true for a server that shows a disk of our making, and whose rollback has not been tried. One
// whose change may still come, that was not looked at, or that somebody else changed is left to a human: the
// disk it has may be its only one.
func (e *Engine) toRollBack(i int) bool {
	s := &e.state.Servers[i]
	ours := s.After.VolumeID != "" && s.After.VolumeID != e.plan.Servers[i].Before.VolumeID && !s.other()
	return s.State == rollout.Ended && !s.asBefore() && ours && !s.RollingBack && (s.End == rollout.Done || s.End == rollout.FailedChanged || s.End == rollout.FailedUnhealthy)
}

// nextBusyRollback is when a server that was busy when its rollback was due is tried again.
func (e *Engine) nextBusyRollback() time.Time {
	var next time.Time
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if e.toRollBack(i) && !e.due(s.Until) && (next.IsZero() || s.Until.Before(next)) {
			next = s.Until
		}
	}
	return next
}

// rollbackEnd is rolled-back only if no server is left that lost its disk and did not get the old image.
func (e *Engine) rollbackEnd() rollout.RolloutEnd {
	for i := range e.state.Servers {
		if !e.state.Servers[i].asBefore() {
			return rollout.RolledBackPartially
		}
	}
	return rollout.RolledBack
}
