package engine_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

func anywhere(rollout.PlannedServer) bool { return true }

// breach says which limit on failures is exceeded, nothing if none is.
func (c *checker) breach(s engine.State) string {
	sample := 0
	for _, server := range s.Servers {
		if (server.State == rollout.Ended || server.State == rollout.Soaking) && server.Attempts > 0 && server.End != rollout.Skipped {
			sample++
		}
	}
	if c.failures(s, anywhere) > c.tolerated(sample) {
		return "budget"
	}
	for _, group := range c.plan.Caps.Groups {
		if limit := c.plan.Budget.PerGroup; limit != nil && c.failures(s, func(p rollout.PlannedServer) bool { return p.Group == group.Name }) > *limit {
			return "group " + group.Name
		}
	}
	return ""
}

// tolerated is the number of failures tolerated after so many ended servers. Strict admission goes by the
// number of the whole rollout from the beginning.
func (c *checker) tolerated(sample int) int {
	b := c.plan.Budget
	judged := b.Share != nil && (sample >= b.MinSample || b.Strict)
	switch {
	case b.Count != nil && judged:
		return min(*b.Count, *b.Share)
	case b.Count != nil:
		return *b.Count
	case judged:
		return *b.Share
	case b.Share != nil:
		return b.MinSample
	}
	return 0
}

// admission checks strict admission, whose breach is never exceeded further, and the slow start.
func (c *checker) admission(s engine.State, started bool) {
	forward := s.Phase == rollout.PhaseRunning || s.Phase == rollout.PhasePaused && s.Pause.From == rollout.PhaseRunning
	if b := c.plan.Budget; b.Strict && forward {
		require.LessOrEqual(c.t, c.atRisk(s, anywhere), c.tolerated(0)+1, "failed or in flight under strict admission")
		for _, group := range c.plan.Caps.Groups {
			if b.PerGroup != nil {
				inGroup := func(p rollout.PlannedServer) bool { return p.Group == group.Name }
				require.LessOrEqual(c.t, c.atRisk(s, inGroup), *b.PerGroup+1, "failed or in flight in group %s", group.Name)
			}
		}
	}
	if started && c.plan.Budget.SlowStart && s.Phase == rollout.PhaseRunning {
		require.LessOrEqual(c.t, c.slots(s, true, anywhere), c.window, "in flight at a slow start")
	}
}

// finished notes an end before the engine is told of it.
func (c *checker) finished(i int, end rollout.ServerEnd) {
	c.endedAt[i] = c.latest
	switch {
	case c.world[i].last.Rollback:
	case end == rollout.Done:
		if !c.startedAt[i].Before(c.failedAt) {
			c.window++
		}
		if c.plan.Health == nil {
			c.endedAt[i] = c.latest.Add(c.plan.Soak)
		}
	case end != rollout.Skipped:
		c.window, c.failedAt = 1, c.latest
	}
}

func (c *checker) busy(i int) {
	c.takeBack(i)
	c.tried[i] = false
	if c.busySince[i].IsZero() {
		c.busySince[i] = c.latest
	}
	c.endedAt[i] = c.latest
}

// takeBack takes back the count of an attempt. A recheck is none.
func (c *checker) takeBack(i int) {
	if !c.world[i].last.Recheck {
		c.attempts[i]--
	}
}

// refused notes credentials that were refused before the engine is told of it.
func (c *checker) refused(i int) {
	c.takeBack(i)
	c.tried[i] = false
	c.busySince[i] = time.Time{}
	c.endedAt[i] = c.latest
}

// unblamed checks, after credentials were refused, that no server failed for it, and that nothing is started before
// somebody has mended them.
func (c *checker) unblamed(before engine.State, i int, refusal string) {
	after := c.read()
	require.Equal(c.t, c.failures(before, anywhere)+c.failedBefore(before, i), c.failures(after, anywhere))
	if before.Phase != rollout.PhaseAborting {
		require.Equal(c.t, rollout.PhasePaused, after.Phase)
		require.Contains(c.t, c.restored().Progress().Why, refusal+": mend that, then resume")
	}
}

// recalled checks, after a server was taken back, that it has not failed for it, and that it has its turn again unless
// no server has.
func (c *checker) recalled(before engine.State, i int) {
	after := c.read()
	require.Equal(c.t, c.failures(before, anywhere)+c.failedBefore(before, i), c.failures(after, anywhere))
	require.Equal(c.t, before.Phase, after.Phase)
	want := rollout.Pending
	if c.givesUp(before) {
		want = rollout.Ended
	}
	require.Equal(c.t, want, after.Servers[i].State)
	require.Empty(c.t, after.Servers[i].Suspicion)
}

// givesUp is true for a rollout that goes forward with no server any more.
func (c *checker) givesUp(s engine.State) bool {
	return s.Phase == rollout.PhaseAborting || s.Phase == rollout.PhaseRollingBack || s.Phase == rollout.PhasePaused && s.Pause.From == rollout.PhaseRollingBack
}

// takesBack checks which servers in flight are taken back after a decision, and that nothing is started beside that.
func (c *checker) takesBack(d engine.Decision) {
	s, recall := c.read(), c.restored().Recall()
	want := rollout.RecallNone
	forward := false
	for _, server := range s.Servers {
		forward = forward || server.State == rollout.InFlight && !server.RollingBack
	}
	switch {
	case s.Phase == rollout.PhaseAborting, s.Phase == rollout.PhasePaused && s.Pause.Breach, c.givesUp(s) && forward:
		want = rollout.RecallUnsubmitted
	case s.Phase == rollout.PhasePaused, s.Phase == rollout.PhaseRunning && c.wouldBreach(s):
		want = rollout.RecallUntouched
	}
	require.Equal(c.t, want, recall)
	if len(d.Start) > 0 {
		require.Equal(c.t, rollout.RecallNone, recall, "servers are started and taken back at once")
	}
}

// wouldBreach is true when the budget would be exceeded if every suspect had failed.
func (c *checker) wouldBreach(s engine.State) bool {
	then := s
	then.Servers = slices.Clone(s.Servers)
	suspects := 0
	for i := range then.Servers {
		if server := &then.Servers[i]; server.State == rollout.InFlight && server.Suspicion != "" {
			server.State, server.End, server.Accepted = rollout.Ended, rollout.FailedChanged, false
			suspects++
		}
	}
	return suspects > 0 && c.breach(then) != ""
}

// failedBefore is 1 for a server in flight that failed before, and is given up or was to be rolled back.
func (c *checker) failedBefore(before engine.State, i int) int {
	if after := c.read().Servers[i]; failed(after) && before.Servers[i].End.Failed() && before.Servers[i].Attempts > 1 {
		return 1
	}
	return 0
}

// patience checks, after a busy answer, that the server is waited for no longer than the plan says.
func (c *checker) patience(i int) {
	if c.read().Servers[i].State == rollout.Busy {
		require.True(c.t, c.latest.Before(c.busySince[i].Add(c.plan.BusyWait)), "server %d is waited for since %s", i, c.busySince[i])
	}
}

// commanded checks what an accepted command did to the servers.
func (c *checker) commanded(before engine.State, cmd rollout.Command) {
	if cmd.Kind == rollout.Resume && before.Pause.From == rollout.PhaseRunning {
		require.Empty(c.t, c.breach(before), "resumed in spite of a breach")
	}
	after := c.read()
	if cmd.Kind == rollout.EndBake {
		require.False(c.t, c.givesUp(before), "a bake is ended that nothing follows")
		require.False(c.t, before.WaveOverAt.IsZero() || !c.latest.Before(before.WaveOverAt.Add(c.plan.Waves[before.Wave].Bake)), "a bake is ended that was none")
		require.False(c.t, c.bakeEnded[before.Wave], "a bake is ended twice")
		require.Equal(c.t, before.Wave, after.Wave, "the next decision moves on, not the command")
		c.bakeEnded[before.Wave] = true
	}
	for i, server := range after.Servers {
		was := before.Servers[i]
		switch {
		case was.State == server.State:
		case cmd.Kind == rollout.Skip && server.State == rollout.Ended:
			c.endedAt[i] = c.latest
		case cmd.Kind == rollout.Recheck && server.State == rollout.Pending:
			require.Equal(c.t, rollout.FailedUnhealthy, was.End)
			require.True(c.t, server.Recheck)
			c.busySince[i] = time.Time{}
		case cmd.Kind == rollout.Retry && server.State == rollout.Pending:
			require.False(c.t, server.Recheck)
			c.busySince[i] = time.Time{}
		default:
			stops := cmd.Kind == rollout.Abort || cmd.Kind == rollout.Accept
			require.True(c.t, stops && server.State == rollout.Ended, "%s made server %d %s", cmd.Kind, i, server.State)
		}
	}
}

// ends checks what becomes of servers that are not started: nothing ends but by its soak or with the rollout.
func (c *checker) ends(before, after engine.State) {
	stopped := after.Phase == rollout.PhaseAborting || after.Phase == rollout.PhaseRollingBack || after.Phase == rollout.PhaseEnded ||
		after.Phase == rollout.PhasePaused && after.Pause.From == rollout.PhaseRollingBack
	for i, server := range after.Servers {
		was := before.Servers[i]
		switch {
		case was.State == server.State || server.State == rollout.InFlight:
		case was.State == rollout.Soaking:
			require.Equal(c.t, rollout.Ended, server.State)
			require.True(c.t, stopped || !c.latest.Before(was.Until), "the soak of server %d ends early", i)
		default:
			require.True(c.t, stopped, "server %d was %s and is %s", i, was.State, server.State)
			c.endedAt[i] = c.latest
		}
		c.truth(i, server)
	}
}

// truth checks that the end of a server says what became of its disk.
func (c *checker) truth(i int, s engine.Server) {
	if s.State != rollout.Ended && s.State != rollout.Soaking {
		return
	}
	m, old := c.world[i], c.plan.Servers[i].Before
	require.Equal(c.t, m.gone, s.End == rollout.Vanished, "server %d: %s", i, s.End)
	switch s.End {
	case rollout.Vanished:
	case rollout.FailedChanged:
		require.True(c.t, m.disk.VolumeID != "" && (m.disk != old || m.late), "server %d: %s", i, s.End)
	case rollout.Done, rollout.Restored, rollout.FailedUnhealthy:
		require.NotContains(c.t, []string{"", old.VolumeID}, m.disk.VolumeID, "server %d: %s", i, s.End)
		isBack := s.End == rollout.Restored || (s.End == rollout.FailedUnhealthy && s.RollingBack)
		require.Equal(c.t, isBack, m.disk.ImageID == old.ImageID, "server %d: %s", i, s.End)
	case rollout.FailedLost:
		require.Empty(c.t, m.disk.VolumeID, "server %d: %s", i, s.End)
	case rollout.FailedIntact, rollout.Skipped, rollout.NotStarted:
		require.Equal(c.t, old, m.disk, "server %d: %s", i, s.End)
	default:
		require.Fail(c.t, "no end", "server %d: %q", i, s.End)
	}
}

// progress checks that what an operator sees adds up, and that a rollout that stands still says so.
func (c *checker) progress(s engine.State, d engine.Decision) {
	e := c.restored()
	p := e.Progress()
	n := p.Counts
	require.Equal(c.t, len(c.plan.Servers), n.Servers)
	require.Equal(c.t, n.Servers, n.Pending+n.InFlight+n.Soaking+n.Done+n.Skipped+n.Failed+n.NotStarted+n.RolledBack, "the counts do not add up")
	require.Equal(c.t, n, e.Counts())
	var sum rollout.Counts
	for _, wave := range p.Waves {
		w := wave.Counts
		sum = rollout.Counts{
			Servers: sum.Servers + w.Servers, Pending: sum.Pending + w.Pending, InFlight: sum.InFlight + w.InFlight, Soaking: sum.Soaking + w.Soaking,
			Done: sum.Done + w.Done, Skipped: sum.Skipped + w.Skipped, Failed: sum.Failed + w.Failed, NotStarted: sum.NotStarted + w.NotStarted, RolledBack: sum.RolledBack + w.RolledBack,
			Accepted: sum.Accepted + w.Accepted,
		}
	}
	require.Equal(c.t, n, sum, "the waves do not add up to the whole")
	slots, held, failed := 0, 0, 0
	for _, isDown := range c.otherDown {
		if isDown {
			slots, held = slots+1, held+1
		}
	}
	broken := 0
	for i := range s.Servers {
		server := e.Server(i)
		if server.HoldsSlot {
			slots++
			if server.State != rollout.InFlight && server.State != rollout.Soaking {
				held++
				if c.broken(s, i) {
					broken++
				}
			}
		}
		if server.State == rollout.Ended && server.Failed() {
			failed++
		}
	}
	require.Equal(c.t, []int{slots, broken, held - broken, failed}, []int{p.Slots, p.SlotsHeldFailed, p.SlotsHeldDown, p.Failed}, "slots, held by failed ones, by ones that are down, failed")
	require.Equal(c.t, slots, c.slots(s, false, anywhere))
	require.Equal(c.t, n.Failed, p.Failed+n.Accepted, "failures that count, and accepted ones, are all failures")
	require.NotEmpty(c.t, p.Why)
	require.True(c.t, d.WakeAt.IsZero() || d.WakeAt.After(c.latest), "wake at %s, it is %s", d.WakeAt, c.latest)
	if n.InFlight == 0 && !d.Over && d.WakeAt.IsZero() && !d.ReadStates {
		require.True(c.t, p.NeedsHuman, "stands still, and nobody is asked: %s", p.Why)
	}
	require.False(c.t, d.Over && (p.NeedsHuman || len(p.Accepts) > 0))
}

// over checks the end of a rollout against what became of the servers.
func (c *checker) over(s engine.State) {
	bad, left := 0, 0
	for i, server := range s.Servers {
		require.Equal(c.t, rollout.Ended, server.State, "server %d at the end", i)
		if server.End.Failed() {
			bad++
		}
		if m := c.world[i]; m.gone && server.Attempts > 0 || (m.disk != c.plan.Servers[i].Before || m.late) && server.End != rollout.Restored || m.disk != c.plan.Servers[i].Before && server.End != rollout.Restored {
			left++
		}
	}
	switch s.End {
	case rollout.Completed:
		require.Zero(c.t, bad)
	case rollout.CompletedWithFailures:
		require.Positive(c.t, bad)
	case rollout.RolledBack:
		require.Zero(c.t, left, "servers not as they were")
	case rollout.RolledBackPartially:
		require.Positive(c.t, left, "servers not as they were")
	default:
		require.Equal(c.t, rollout.Aborted, s.End)
	}
}

func (c *checker) waveStart(wave int) int {
	if wave == 0 {
		return 0
	}
	return c.plan.Waves[wave-1].End
}

func (c *checker) waveOf(server int) int {
	w := 0
	for c.plan.Waves[w].End <= server {
		w++
	}
	return w
}
