package engine_test

import (
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
}

func newChecker(s *sim) checker {
	n := len(s.plan.Servers)
	return checker{
		sim: s, window: 1, startedAt: make([]time.Time, n), attempts: make([]int, n), busySince: make([]time.Time, n), endedAt: make([]time.Time, n), tried: make([]bool, n),
	}
}

// advanced checks one decision.
func (c *checker) advanced(before engine.State, d engine.Decision) {
	after := c.read()
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
		require.Equal(c.t, !start.Rollback && was.End == rollout.FailedChanged, start.Again)
		c.attempts[i]++
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
		require.True(c.t, was.State == rollout.Pending || was.State == rollout.Busy && !c.latest.Before(was.Until), "server %d is %s until %s", i, was.State, was.Until)
		require.True(c.t, after.Deadline.IsZero() || c.latest.Before(after.Deadline), "server %d is started after the deadline", i)
		require.LessOrEqual(c.t, c.waveOf(i), after.Wave, "server %d is started before its wave", i)
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
	return s.State != rollout.Pending && (s.End == rollout.Done || s.End == rollout.FailedChanged) && m.ours[m.told.VolumeID] && !m.foreign
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
		require.False(c.t, c.latest.Before(last.Add(w.Bake)), "wave %s was not baked", w.Name)
		require.True(c.t, !w.Approval || w.End == len(c.plan.Servers) || before.Approvals[wave] != "", "nobody approved what follows wave %s", w.Name)
	}
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
		if !rollback && c.broken(before, start) {
			continue // holds its slot already and takes nobody else's
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

// caps checks that no start takes a slot that is not there. An operator can lower the cap below what is in
// use; then nothing more is started. A broken server has its slot, so trying it again takes none.
func (c *checker) caps(before, after engine.State, d engine.Decision) {
	rollback := d.Start[0].Rollback
	all := func(rollout.PlannedServer) bool { return true }
	require.LessOrEqual(c.t, c.slots(after, true, all), after.Cap, "servers at work")
	taken := false
	for _, start := range d.Start {
		taken = taken || !c.broken(before, start.Server)
	}
	if taken && !rollback {
		require.LessOrEqual(c.t, c.slots(after, false, all), after.Cap, "slots")
	}
	for _, zone := range c.plan.Caps.Zones {
		inZone := func(p rollout.PlannedServer) bool { return p.Zone == zone.Name }
		require.LessOrEqual(c.t, c.slots(after, rollback, inZone), zone.Cap, "slots of zone %s", zone.Name)
	}
	for _, group := range c.plan.Caps.Groups {
		inGroup := func(p rollout.PlannedServer) bool { return p.Group == group.Name }
		require.LessOrEqual(c.t, c.slots(after, rollback, inGroup), group.Cap, "slots of group %s", group.Name)
	}
}

// slots counts servers out of service because of the rollout. At work leaves out those that are broken and
// not being repaired.
func (c *checker) slots(s engine.State, atWork bool, which func(rollout.PlannedServer) bool) int {
	n := 0
	for i, server := range s.Servers {
		working := server.State == rollout.InFlight || server.State == rollout.Soaking
		if which(c.plan.Servers[i]) && (working || !atWork && c.broken(s, i)) {
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
	return server.End == rollout.FailedChanged || server.End == rollout.FailedLost || stopped
}

func failed(s engine.Server) bool {
	switch s.End {
	case rollout.FailedIntact, rollout.FailedChanged, rollout.FailedLost, rollout.Vanished, rollout.NotStarted:
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
