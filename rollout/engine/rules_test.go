package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// play starts a rollout and takes the first decision.
func play(t *testing.T, p rollout.Plan) *sim {
	s := newSim(t, p)
	s.advance()
	return s
}

func TestNothingToDoIsCompleted(t *testing.T) {
	for name, p := range map[string]rollout.Plan{
		"no waves":    fleet(0),
		"empty waves": plan(0, 1, 0, waves(rollout.Wave{Name: "one", Bake: time.Hour, Approval: true}, rollout.Wave{Name: "two"})),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no waves" {
				p.Waves = nil
			}
			s := newSim(t, p)
			s.probe() // also before the first decision
			require.True(t, s.advance().Over)
			assert.Equal(t, rollout.Completed, s.read().End)
		})
	}
}

func TestAnEndedRolloutRefusesEverything(t *testing.T) {
	s := play(t, fleet(1))
	s.finish(0, rollout.Done, "")
	require.True(t, s.advance().Over)
	for _, kind := range rollout.CommandKinds() {
		_, err := s.command(by("ben", kind, "web-01"))
		require.ErrorContains(t, err, kind.Typed()+" is refused: the rollout ended at 2026-03-02T08:00:00Z as completed")
	}
}

func TestRefusals(t *testing.T) {
	p := plan(4, 2, 3)
	p.Servers[2].Name = "web-02"
	s := play(t, p)
	s.finish(0, rollout.FailedIntact, "")
	for want, c := range map[string]rollout.Command{
		"nobody gives it":                               {Kind: rollout.Pause, By: " "},
		"there is no such command":                      {Kind: "promote", By: "ben"},
		"2 servers of the plan are called web-02":       by("ben", rollout.Skip, "web-02"),
		"the plan has no server web-99":                 by("ben", rollout.Retry, "web-99"),
		"web-04 has not failed: it is pending":          by("ben", rollout.Accept, "id-04"),
		"web-02 has not failed: it is in-flight; the p": by("ben", rollout.Retry, "id-02", "id-99"),
		"it is not paused":                              by("ben", rollout.Resume),
		"nothing waits for an approval":                 by("ben", rollout.Approve),
	} {
		_, err := s.command(c)
		var refusal *engine.Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Contains(t, refusal.Why, want)
		assert.Equal(t, c.Kind, refusal.Kind)
		assert.Equal(t, []rollout.CommandKind{rollout.Pause, rollout.Abort, rollout.Skip, rollout.Retry, rollout.Accept, rollout.Concurrency}, refusal.Accepts)
	}
}

// A server that needed no change is no failure and no sample to judge a percentage by.
func TestSkippedCountsForNothing(t *testing.T) {
	s := play(t, plan(4, 4, 0, share(0, 2)))
	s.finish(0, rollout.Skipped, "it is on the image already")
	s.finish(1, rollout.FailedIntact, "")
	s.advance()
	p := s.restored().Progress()
	assert.Equal(t, []int{1, 2}, []int{p.Failed, p.Tolerated}, "one of two has ended")
	assert.Equal(t, rollout.PhaseRunning, p.Phase)
	s.finish(2, rollout.Done, "")
	s.advance()
	assert.Equal(t, rollout.PhasePaused, s.read().Phase)
}

// Accepting a failure is no event of the server: when and why it failed stays.
func TestAcceptKeepsTheFailure(t *testing.T) {
	s := play(t, plan(2, 1, 1))
	s.now = day().Add(5 * time.Minute)
	s.finish(0, rollout.FailedChanged, "it does not run")
	s.advance()
	s.now = day().Add(time.Hour)
	_, err := s.command(by("ben", rollout.Accept, "web-01", "id-01"))
	require.NoError(t, err)
	got := s.restored().Server(0)
	assert.Equal(t, day().Add(5*time.Minute), got.EndedAt)
	assert.Equal(t, "it does not run", got.Reason)
	assert.Equal(t, rollout.FailedChanged, got.End)
	assert.True(t, got.Accepted)
	assert.False(t, got.HoldsSlot)
}

// A busy server shows who is at it; what it failed of before is not forgotten.
func TestBusyKeepsTheReason(t *testing.T) {
	s := play(t, plan(2, 1, 1, func(p *rollout.Plan) { p.BusyWait = time.Hour }))
	s.finish(0, rollout.FailedIntact, "it could not be stopped")
	_, err := s.command(by("ben", rollout.Retry))
	require.NoError(t, err)
	s.advance()
	s.busy(0, "rollout/db")
	assert.Equal(t, "busy: rollout/db", s.restored().Server(0).Reason)
	_, err = s.command(by("ben", rollout.Accept, "web-01"))
	require.NoError(t, err)
	assert.Equal(t, "it could not be stopped", s.restored().Server(0).Reason)
}

// An attempt that is turned away touched nothing: when the last one that did began and ended stays.
func TestATurnedAwayAttemptKeepsTheTimes(t *testing.T) {
	turnAway := map[string]func(s *sim){
		"busy":        func(s *sim) { s.busy(0, "rollout/db") },
		"credentials": func(s *sim) { s.refuse(0, true, "401") },
	}
	for name, away := range turnAway {
		t.Run(name, func(t *testing.T) {
			s := play(t, plan(2, 1, 1, func(p *rollout.Plan) { p.BusyWait = time.Hour }))
			assert.Equal(t, day(), s.restored().Server(0).StartedAt)
			s.now = day().Add(5 * time.Minute)
			s.finish(0, rollout.FailedIntact, "it could not be stopped")
			s.now = day().Add(time.Hour)
			_, err := s.command(by("ben", rollout.Retry))
			require.NoError(t, err)
			s.advance()
			require.Equal(t, day().Add(time.Hour), s.restored().Server(0).StartedAt, "the attempt in flight")
			s.now = day().Add(2 * time.Hour)
			away(s)
			got := s.restored().Server(0)
			assert.Equal(t, 1, got.Attempts)
			assert.Equal(t, day(), got.StartedAt)
			assert.Equal(t, day().Add(5*time.Minute), got.EndedAt)
		})
	}
}

// A busy server whose time has come is no reason to wait when failed servers hold the slots.
func TestDueBusyServerDoesNotHideThatAHumanIsNeeded(t *testing.T) {
	s := play(t, plan(2, 1, 2, func(p *rollout.Plan) { p.BusyWait = time.Hour }))
	s.busy(0, "rollout/db")
	s.advance()
	s.finish(1, rollout.FailedLost, "")
	s.now = day().Add(2 * time.Minute)
	d := s.advance()
	p := s.restored().Progress()
	assert.Zero(t, d.WakeAt)
	assert.Empty(t, d.Start)
	assert.True(t, p.NeedsHuman)
	assert.Contains(t, p.Why, "failed servers (web-02) hold the slots")
}

func TestLongReasonsAndLogsAreCut(t *testing.T) {
	n := 120
	s := play(t, plan(n, n, n))
	for i := range n {
		s.finish(i, rollout.FailedIntact, strings.Repeat("é", 300))
	}
	state, p := s.read(), s.restored().Progress()
	for _, server := range state.Servers {
		require.LessOrEqual(t, len(server.Reason), 500)
		require.True(t, utf8.ValidString(server.Reason))
		require.True(t, strings.HasSuffix(server.Reason, "é..."))
	}
	assert.Len(t, state.Log, 50)
	assert.Contains(t, state.Log[49].What, fmt.Sprintf("web-%d", n), "the latest are kept")
	assert.Len(t, p.Log, 10)
	assert.Len(t, p.Failures, 100)
	assert.Equal(t, n, p.Failed)
}

// Clocks of workers differ: what was decided at a later time is not undone at an earlier one.
func TestTimeNeverGoesBack(t *testing.T) {
	s := play(t, plan(2, 1, 0, waves(rollout.Wave{Name: "canary", End: 1, Bake: 10 * time.Minute}, rollout.Wave{Name: "rest", End: 2})))
	s.now = day().Add(20 * time.Minute)
	s.finish(0, rollout.Done, "")
	s.now = day()
	d := s.advance()
	assert.Equal(t, day().Add(30*time.Minute), d.WakeAt)
	assert.Equal(t, day().Add(20*time.Minute), s.restored().Server(0).EndedAt)
	s.now = day().Add(30 * time.Minute)
	assert.Len(t, s.advance().Start, 1)
}

// Whoever tells may tell twice: a word of failure for a server that soaks, proven, is of an attempt that is over.
func TestAFailureToldDuringTheSoakChangesNothing(t *testing.T) {
	s := play(t, plan(2, 1, 0, func(p *rollout.Plan) { p.Soak = 10 * time.Minute }))
	s.finish(0, rollout.Done, "")
	s.advance()
	for _, end := range []rollout.ServerEnd{rollout.FailedIntact, rollout.FailedChanged, rollout.FailedUnhealthy, rollout.FailedLost, rollout.Vanished, rollout.NotStarted} {
		s.repeat(0, end)
	}
	assert.Empty(t, s.advance().Start, "it keeps its slot")
	s.now = day().Add(10 * time.Minute)
	assert.Len(t, s.advance().Start, 1)
	got := s.restored().Server(0)
	assert.Equal(t, rollout.Done, got.End)
	assert.Empty(t, got.Reason)
}

// Edge cases of rolling engines that have no test here, on purpose:
//
//   - windows, freezes, calendars, time zones and their gaps, a server that does not fit into what is left of a
//     window: a rollout has none. It begins when somebody applies the plan, and has a deadline.
//   - drain and undrain, a hook that fails or may fail: there are no hooks.
//   - consecutive failures, and what resets their count: nothing counts them. The budget counts failed servers.
//   - an approval by the author, by too few, or after it expired: anybody may approve, one is enough, and an
//     approval does not expire. It is only refused before the bake has shown anything.
//   - promotion past a gate that failed: there are no gates besides the budget and the approval.
//   - servers that boot from a volume, and the quota for snapshots: every change goes by the system volume, and
//     none takes a snapshot.
//   - a scaling group that acts on a server: it is seen as what it does, as a server that vanished, is locked or has
//     got another disk, and each of these is tested.
//   - a server that breaks after its soak, or is changed by hand after its turn: nobody looks again after a
//     server's turn.
//   - servers that come to match the selection, or no longer do, while the rollout runs: the plan is what runs.
//   - a lease that expires, clocks of lock owners: the lock is the id of the server's workflow and has no clock.

// TestRefusalIsToldToItsEnd: what to do about it, and the request that the cloud's support asks for, come last.
func TestRefusalIsToldToItsEnd(t *testing.T) {
	refusal := "the cloud refuses the credentials: " + strings.Repeat("x", 900) + " (check the keys) (request 4711)"
	s := play(t, plan(2, 1, 0))
	s.refuse(0, true, refusal)
	assert.Contains(t, s.checker.restored().Progress().Why, refusal)
}
