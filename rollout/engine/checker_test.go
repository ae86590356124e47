package engine_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// checker holds the rules of design.md, "A fleet", against every step of a simulated rollout. It counts for
// itself and uses nothing of the engine but its written state.
type checker struct {
	*sim
	window    int // of the slow start: one more for every success of a server started since failedAt
	failedAt  time.Time
	startedAt []time.Time
	attempts  []int       // at each server, busy answers not counted
	busySince []time.Time // when a server was first found busy, since it last became pending
	endedAt   []time.Time // when a server was last seen to end
	tried     []bool      // servers whose rollback was tried
	// bakeEnded is true for waves whose bake was ended early since their last server ended.
	bakeEnded []bool
	// isDown are the servers that were down when that was read last, by the rules of docs/rollout.md; otherDown the same for
	// the servers that the rollout does not touch, and wavesRead how many waves began with a reading.
	isDown, otherDown []bool
	wavesRead         int
}

func newChecker(s *sim) checker {
	n := len(s.plan.Servers)
	isDown, otherDown := make([]bool, n), make([]bool, len(s.others))
	for i, m := range s.world {
		isDown[i] = m.off != ""
	}
	for i, status := range s.others {
		otherDown[i] = status != ""
	}
	return checker{
		isDown: isDown, otherDown: otherDown,
		sim: s, window: 1, startedAt: make([]time.Time, n), attempts: make([]int, n), busySince: make([]time.Time, n), endedAt: make([]time.Time, n), tried: make([]bool, n),
		bakeEnded: make([]bool, len(s.plan.Waves)),
	}
}

// advanced checks one decision.
func (c *checker) advanced(before engine.State, d engine.Decision) {
	after := c.read()
	c.reopened(before)
	c.barrier(before, after)
	c.starts(before, after, d)
	c.ends(before, after)
	if len(d.Start) > 0 {
		c.caps(before, after, d)
	}
	c.admission(after, len(d.Start) > 0)
	c.progress(after, d)
	if d.Over {
		c.over(after)
	}
}

// starts checks that what is started may be started now, in this order, and at the expense of the right disk.
func (c *checker) starts(before, after engine.State, d engine.Decision) {
	started := make(map[int]bool)
	for _, start := range d.Start {
		i, was := start.Server, before.Servers[start.Server]
		require.False(c.t, started[i], "server %d is started twice at once", i)
		started[i] = true
		require.Equal(c.t, rollout.InFlight, after.Servers[i].State)
		require.Equal(c.t, c.world[i].told, start.Expect, "server %d: a disk may be lost that nobody was told of", i)
		onNew := !start.Rollback && !start.Recheck && (was.End == rollout.FailedChanged || was.End == rollout.FailedUnhealthy)
		require.Equal(c.t, onNew, start.Again)
		require.Equal(c.t, !start.Rollback && (was.End == rollout.FailedChanged || start.Recheck), start.Prior != rollout.Fingerprint{})
		if (start.Prior != rollout.Fingerprint{}) {
			require.Equal(c.t, c.world[i].replaced, start.Prior, "server %d: proof against another disk than the last change was to replace", i)
		}
		if start.Recheck {
			require.Equal(c.t, rollout.FailedUnhealthy, was.End, "server %d: only the health of a proven disk is checked again", i)
			require.False(c.t, start.Rollback)
		} else {
			c.attempts[i]++
		}
		c.startedAt[i] = c.latest
		if start.Rollback {
			require.Equal(c.t, rollout.PhaseRollingBack, after.Phase)
			require.NotEqual(c.t, rollout.PhasePaused, before.Phase, "server %d is rolled back while paused", i)
			for j, other := range after.Servers {
				require.True(c.t, other.State != rollout.InFlight || other.RollingBack, "server %d is rolled back while server %d goes forward", i, j)
			}
			require.False(c.t, c.tried[i], "server %d is rolled back a second time", i)
			require.True(c.t, c.changed(i, was), "server %d is rolled back and was never changed", i)
			require.True(c.t, c.world[i].ours[start.Expect.VolumeID], "server %d: a rollback may destroy a disk that is not ours", i)
			c.tried[i] = true
			continue
		}
		require.Equal(c.t, rollout.PhaseRunning, before.Phase, "server %d is started while %s", i, before.Phase)
		require.Equal(c.t, rollout.PhaseRunning, after.Phase)
		require.Empty(c.t, c.breach(before), "server %d is started after a breach", i)
		require.False(c.t, c.wouldBreach(before), "server %d is started while others may have spent the budget", i)
		require.True(c.t, was.State == rollout.Pending || was.State == rollout.Busy && !c.latest.Before(was.Until), "server %d is %s until %s", i, was.State, was.Until)
		require.True(c.t, after.Deadline.IsZero() || c.latest.Before(after.Deadline), "server %d is started after the deadline", i)
		require.LessOrEqual(c.t, c.waveOf(i), after.Wave, "server %d is started before its wave", i)
		if c.plan.Caps.CountOthers {
			require.Greater(c.t, c.wavesRead, after.Wave, "server %d is started before the states were read in its wave", i)
		}
	}
	if len(d.Start) > 0 {
		c.order(before, after, started, d.Start[0].Rollback)
	}
	for i := range after.Servers {
		require.Equal(c.t, c.attempts[i], after.Servers[i].Attempts, "attempts at server %d", i)
	}
}

// changed is true for a server that was seen with a disk that an attempt gave it.
func (c *checker) changed(i int, s engine.Server) bool {
	m := c.world[i]
	return s.State != rollout.Pending && (s.End == rollout.Done || s.End == rollout.FailedChanged || s.End == rollout.FailedUnhealthy) && m.ours[m.told.VolumeID] && !m.foreign
}

// barrier checks that a wave that is left behind is over, baked and approved. A retry does not close the
// barrier again.
func (c *checker) barrier(before, after engine.State) {
	for wave := before.Wave; wave < after.Wave; wave++ {
		w := c.plan.Waves[wave]
		var last time.Time
		for i, server := range before.Servers[:w.End] {
			require.True(c.t, server.State == rollout.Ended || server.State == rollout.Soaking && !c.latest.Before(server.Until),
				"wave %s is left behind and server %d is %s", w.Name, i, server.State)
			if c.endedAt[i].After(last) {
				last = c.endedAt[i]
			}
		}
		if empty := c.waveStart(wave) == w.End; empty {
			continue
		}
		require.True(c.t, c.bakeEnded[wave] || !c.latest.Before(last.Add(w.Bake)), "wave %s was not baked", w.Name)
		require.True(c.t, !w.Approval || w.End == len(c.plan.Servers) || before.Approvals[wave] != "", "nobody approved what follows wave %s", w.Name)
	}
}

// reopened forgets that the bake of the current wave was ended when a server of it has to end anew.
func (c *checker) reopened(before engine.State) {
	if before.Wave < len(c.plan.Waves) && !c.allEnded(before) {
		c.bakeEnded[before.Wave] = false
	}
}

// allEnded is true when every server up to the end of the current wave has ended.
func (c *checker) allEnded(s engine.State) bool {
	open := func(server engine.Server) bool {
		return server.State != rollout.Ended && (server.State != rollout.Soaking || c.latest.Before(server.Until))
	}
	return !slices.ContainsFunc(s.Servers[:c.plan.Waves[s.Wave].End], open)
}

// order checks that no server was passed over but for the cap, or the strict budget, of its zone or group,
// and that a rollback goes from the last to the first.
func (c *checker) order(before, after engine.State, started map[int]bool, rollback bool) {
	passed := func(i int) bool {
		s := before.Servers[i]
		if rollback {
			return after.Servers[i].State == rollout.Ended && c.changed(i, s) && !c.tried[i] && !c.latest.Before(s.Until)
		}
		return !started[i] && (s.State == rollout.Pending || s.State == rollout.Busy && !c.latest.Before(s.Until))
	}
	for start := range started {
		if !rollback && c.holds(before, start) {
			continue // its slot already, and takes no other
		}
		for i := range before.Servers[:c.plan.Waves[after.Wave].End] {
			require.False(c.t, !rollback && c.isDown[i] && passed(i) && !c.workHolds(after, i), "server %d is started before server %d, which is down", start, i)
		}
		from, to := 0, start
		if rollback {
			from, to = start+1, len(after.Servers)
		}
		for i := from; i < to; i++ {
			require.True(c.t, !passed(i) || c.heldBack(after, i, rollback), "server %d is started before server %d", start, i)
		}
	}
}

func (c *checker) heldBack(s engine.State, i int, rollback bool) bool {
	planned, budget := c.plan.Servers[i], c.plan.Budget
	for _, zone := range c.plan.Caps.Zones {
		if zone.Name == planned.Zone && c.slots(s, rollback, func(p rollout.PlannedServer) bool { return p.Zone == zone.Name }) >= zone.Cap {
			return true
		}
	}
	for _, group := range c.plan.Caps.Groups {
		mine := func(p rollout.PlannedServer) bool { return p.Group == group.Name }
		if group.Name != planned.Group {
			continue
		}
		if c.slots(s, rollback, mine) >= group.Cap || budget.Strict && budget.PerGroup != nil && c.atRisk(s, mine) > *budget.PerGroup {
			return true
		}
	}
	return false
}

// workHolds is true when what is at work in its zone or group holds the server back, or the strict budget of the group.
func (c *checker) workHolds(s engine.State, i int) bool {
	planned, budget := c.plan.Servers[i], c.plan.Budget
	for _, zone := range c.plan.Caps.Zones {
		if zone.Name == planned.Zone && c.slots(s, true, func(p rollout.PlannedServer) bool { return p.Zone == zone.Name }) >= zone.Cap {
			return true
		}
	}
	for _, group := range c.plan.Caps.Groups {
		if group.Name == planned.Group && c.slots(s, true, func(p rollout.PlannedServer) bool { return p.Group == group.Name }) >= group.Cap {
			return true
		}
	}
	return budget.Strict && budget.PerGroup != nil && c.atRisk(s, func(p rollout.PlannedServer) bool { return p.Group == planned.Group }) > *budget.PerGroup
}

// holds is true for a server that is out of service before it is started.
func (c *checker) holds(s engine.State, i int) bool { return c.broken(s, i) || c.down(s, i) }

// down is true for a server that is out of service, and not because of the rollout. Accepted failures do not count.
func (c *checker) down(s engine.State, i int) bool {
	return c.isDown[i] && !s.Servers[i].Accepted && s.Servers[i].End != rollout.Vanished
}

// left notes what an attempt left of a server that was down before.
func (c *checker) left(i int, out engine.Outcome) {
	if out.Up || out.End == rollout.Done && c.plan.Change.Power == rollout.PowerOff {
		c.isDown[i] = false
	}
}

// foundDown notes a reading: what runs since an attempt of less than two minutes ago is not believed to be down.
func (c *checker) foundDown(down map[string]string) {
	s := c.read()
	if s.Wave >= len(c.plan.Waves) {
		return
	}
	c.wavesRead = s.Wave + 1
	for i, server := range s.Servers {
		if server.State == rollout.InFlight || server.State == rollout.Soaking {
			continue
		}
		fresh := server.Attempts > 0 && !c.isDown[i] && !c.broken(s, i) && c.latest.Before(server.EndedAt.Add(2*time.Minute))
		off := server.End == rollout.Done && c.plan.Change.Power == rollout.PowerOff
		c.isDown[i] = down[c.plan.Servers[i].ID] != "" && !fresh && !off
	}
	for i, other := range c.plan.Untouched() {
		c.otherDown[i] = down[other.ID] != ""
	}
}

// caps checks that no start takes a slot that is not there. An operator can lower the cap below what is in
// use; then nothing more is started. A broken server has its slot, so trying it again takes none.
func (c *checker) caps(before, after engine.State, d engine.Decision) {
	rollback := d.Start[0].Rollback
	all := func(rollout.PlannedServer) bool { return true }
	require.LessOrEqual(c.t, c.slots(after, true, all), after.Cap, "servers at work")
	taken := false
	for _, start := range d.Start {
		taken = taken || !c.holds(before, start.Server)
	}
	takenIn := func(which func(rollout.PlannedServer) bool) bool {
		return slices.ContainsFunc(d.Start, func(start engine.Start) bool {
			return which(c.plan.Servers[start.Server]) && (rollback || !c.holds(before, start.Server))
		})
	}
	if taken && !rollback {
		require.LessOrEqual(c.t, c.slots(after, false, all), after.Cap, "slots")
	}
	for _, zone := range c.plan.Caps.Zones {
		inZone := func(p rollout.PlannedServer) bool { return p.Zone == zone.Name }
		require.LessOrEqual(c.t, c.slots(after, true, inZone), zone.Cap, "servers at work in zone %s", zone.Name)
		if takenIn(inZone) {
			require.LessOrEqual(c.t, c.slots(after, rollback, inZone), zone.Cap, "slots of zone %s", zone.Name)
		}
	}
	for _, group := range c.plan.Caps.Groups {
		inGroup := func(p rollout.PlannedServer) bool { return p.Group == group.Name }
		require.LessOrEqual(c.t, c.slots(after, true, inGroup), group.Cap, "servers at work in group %s", group.Name)
		if takenIn(inGroup) {
			require.LessOrEqual(c.t, c.slots(after, rollback, inGroup), group.Cap, "slots of group %s", group.Name)
		}
	}
}

// slots counts servers out of service. At work leaves out those that are broken, or down, and not being repaired.
func (c *checker) slots(s engine.State, atWork bool, which func(rollout.PlannedServer) bool) int {
	n := 0
	for i, server := range s.Servers {
		working := server.State == rollout.InFlight || server.State == rollout.Soaking
		if which(c.plan.Servers[i]) && (working || !atWork && c.holds(s, i)) {
			n++
		}
	}
	for i, other := range c.plan.Untouched() {
		if !atWork && c.otherDown[i] && which(rollout.PlannedServer{Zone: other.Zone, Group: other.Group}) {
			n++
		}
	}
	return n
}

// broken is true for a server that a change left out of service, and that no one has accepted or is at.
func (c *checker) broken(s engine.State, i int) bool {
	server := s.Servers[i]
	if server.Accepted || server.State == rollout.InFlight {
		return false
	}
	stopped := c.world[i].down && (server.End == rollout.FailedIntact || server.End == rollout.NotStarted)
	return server.End.OutOfService() || stopped
}

func failed(s engine.Server) bool {
	switch s.End {
	case rollout.FailedIntact, rollout.FailedChanged, rollout.FailedUnhealthy, rollout.FailedLost, rollout.Vanished, rollout.NotStarted:
		return s.State == rollout.Ended && s.Attempts > 0 && !s.Accepted
	}
	return false
}

// atRisk counts servers that failed or may yet fail.
func (c *checker) atRisk(s engine.State, which func(rollout.PlannedServer) bool) int {
	n := 0
	for i, server := range s.Servers {
		if which(c.plan.Servers[i]) && (failed(server) || server.State == rollout.InFlight) {
			n++
		}
	}
	return n
}

func (c *checker) failures(s engine.State, which func(rollout.PlannedServer) bool) int {
	n := 0
	for i, server := range s.Servers {
		if which(c.plan.Servers[i]) && failed(server) {
			n++
		}
	}
	return n
}
