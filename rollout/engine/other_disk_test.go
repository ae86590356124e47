package engine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

func disk(volume string) rollout.Fingerprint {
	return rollout.Fingerprint{ImageID: "img", VolumeID: volume}
}

// roundOfRetries fails the first server, tries it again, and has the budget exceeded after that.
type roundOfRetries struct {
	*testing.T
	*engine.Engine
}

func newRound(t *testing.T, first engine.Outcome) roundOfRetries {
	t.Helper()
	p := plan(4, 4, 1, func(p *rollout.Plan) { p.Budget.OnBreach = rollout.BreachRollback })
	r := roundOfRetries{t, engine.New(p, "ann", day())}
	r.Advance(day())
	r.Finished(0, first, day())
	r.Advance(day())
	return r
}

func (r roundOfRetries) retry(servers ...string) (string, error) {
	r.Helper()
	return r.Do(rollout.Command{Kind: rollout.Retry, By: "bob", Servers: servers}, day())
}

// TestARetryThatTouchesNothingKeepsWhatTheServerIs, however often it is tried.
func TestARetryThatTouchesNothingKeepsWhatTheServerIs(t *testing.T) {
	doubt := "it shows its old system disk, but the change may still come"
	r := newRound(t, engine.Outcome{End: rollout.FailedChanged, Reason: doubt, After: disk("ours")})
	for range 3 {
		_, err := r.retry()
		require.NoError(t, err)
		r.Advance(day())
		r.Finished(0, engine.Outcome{End: rollout.NotStarted, Reason: "it is locked"}, day())
		assert.Equal(t, "tried again, not-started: it is locked; before that: "+doubt, r.Progress().Failures[0].Reason)
	}
	_, err := r.retry()
	require.NoError(t, err)
	r.Advance(day())
	long := strings.Repeat("it is locked ", 100)
	r.Finished(0, engine.Outcome{End: rollout.NotStarted, Reason: long}, day())
	reason := r.Progress().Failures[0].Reason
	assert.LessOrEqual(t, len(reason), 500)
	assert.True(t, strings.HasSuffix(reason, "; before that: "+doubt), reason)
	assert.Regexp(t, " (it|is|locked)\\.\\.\\.; before that: ", reason, "no half a word, which may be a command or an id")
}

// TestAServerThatWasLeftStoppedSaysSoWithinItsBounds.
func TestAServerThatWasLeftStoppedSaysSoWithinItsBounds(t *testing.T) {
	r := newRound(t, engine.Outcome{End: rollout.FailedIntact, Reason: "refused", Down: true, After: disk("ours")})
	_, err := r.retry()
	require.NoError(t, err)
	r.Advance(day())
	r.Finished(0, engine.Outcome{End: rollout.NotStarted, Reason: strings.Repeat("it is locked ", 100)}, day())
	reason := r.Progress().Failures[0].Reason
	assert.LessOrEqual(t, len(reason), 500)
	assert.True(t, strings.HasSuffix(reason, "...; its power is not as asked: an earlier attempt left it stopped"), reason)
}

// TestAServerThatWasLeftStoppedSaysSoOnce, however often it is tried, and no more when it runs again.
func TestAServerThatWasLeftStoppedSaysSoOnce(t *testing.T) {
	r := newRound(t, engine.Outcome{End: rollout.FailedChanged, Reason: "broken", After: disk("ours")})
	again := func(out engine.Outcome) string {
		_, err := r.retry()
		require.NoError(t, err)
		r.Advance(day())
		r.Finished(0, out, day())
		return r.Progress().Failures[0].Reason
	}
	again(engine.Outcome{End: rollout.FailedIntact, Reason: "refused", Down: true, After: disk("ours")})
	for range 3 {
		assert.Equal(t, "tried again, not-started: it is locked; before that: broken; its power is not as asked: an earlier attempt left it stopped",
			again(engine.Outcome{End: rollout.NotStarted, Reason: "it is locked"}))
	}
	assert.Equal(t, "tried again, not-started: it is locked; before that: broken", again(engine.Outcome{End: rollout.NotStarted, Reason: "it is locked", Up: true}))
}

// TestAServerThatVanishedOnceHoldsNoSlot, also when an attempt finds it again and leaves it stopped.
func TestAServerThatVanishedOnceHoldsNoSlot(t *testing.T) {
	r := newRound(t, engine.Outcome{End: rollout.Vanished})
	_, err := r.retry()
	require.NoError(t, err)
	r.Advance(day())
	r.Finished(0, engine.Outcome{End: rollout.FailedIntact, Down: true}, day())
	assert.Equal(t, rollout.Vanished, r.Progress().Failures[0].End)
	assert.False(t, r.Progress().Failures[0].HoldsSlot)
}

// breach ends the others as failures, and gives what is started.
func (r roundOfRetries) breach() (starts []engine.Start) {
	r.Helper()
	for i := 1; i < 4; i++ {
		r.Finished(i, engine.Outcome{End: rollout.FailedChanged, After: disk("ours")}, day())
		starts = append(starts, r.Advance(day()).Start...)
	}
	return starts
}

// TestDiskOfWhoeverRepairedIsNotRolledBack: a look found another disk than the last attempt had left. Only a retry
// that names the server may destroy it.
func TestDiskOfWhoeverRepairedIsNotRolledBack(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		r := newRound(t, engine.Outcome{End: rollout.FailedChanged, After: disk("ours")})
		_, err := r.retry()
		require.NoError(t, err)
		require.Equal(t, disk("ours"), r.Advance(day()).Start[0].Expect)
		r.Finished(0, engine.Outcome{End: rollout.NotStarted, After: disk("repaired")}, day())
		r.Advance(day())

		_, err = r.retry()
		assert.ErrorContains(t, err, "name one to retry it all the same")
		if accepted {
			_, err = r.Do(rollout.Command{Kind: rollout.Accept, By: "bob"}, day())
			require.NoError(t, err)
		}
		for _, start := range r.breach() {
			assert.NotZero(t, start.Server, "rolls back over %v", start.Expect)
		}
	}
}

// TestNamedRetryMayTakeTheDiskThatWasSeen: the refusal has named it.
func TestNamedRetryMayTakeTheDiskThatWasSeen(t *testing.T) {
	r := newRound(t, engine.Outcome{End: rollout.FailedChanged, After: disk("ours")})
	_, err := r.retry()
	require.NoError(t, err)
	r.Advance(day())
	r.Finished(0, engine.Outcome{End: rollout.NotStarted, After: disk("repaired")}, day())
	r.Advance(day())
	assert.Equal(t, disk("repaired"), r.Server(0).After, "what it showed last")
	_, err = r.retry(r.Server(0).ID)
	require.NoError(t, err)
	assert.Equal(t, disk("repaired"), r.Advance(day()).Start[0].Expect)
	r.Finished(0, engine.Outcome{End: rollout.Done, After: disk("ours again")}, day())
	starts := r.breach()
	require.NotEmpty(t, starts)
	assert.Equal(t, disk("ours again"), starts[len(starts)-1].Expect, "and what it made of it is its own")
}

// TestForeignDiskIsNeverRetried: not by a retry of all, and not after its failure was accepted.
func TestForeignDiskIsNeverRetried(t *testing.T) {
	r := newRound(t, engine.Outcome{End: rollout.FailedChanged, Foreign: true})
	_, err := r.retry()
	assert.ErrorContains(t, err, "somebody else gave it")
	_, err = r.Do(rollout.Command{Kind: rollout.Accept, By: "bob"}, day())
	require.NoError(t, err)
	_, err = r.retry(r.Server(0).ID)
	assert.ErrorContains(t, err, "somebody else gave it")
	for _, start := range r.breach() {
		assert.NotZero(t, start.Server)
	}
}

// TestSlotIsFreeOnceTheServerRunsAgain, whatever an earlier attempt could not do.
func TestSlotIsFreeOnceTheServerRunsAgain(t *testing.T) {
	for _, test := range []struct {
		second engine.Outcome
		down   bool
	}{
		{engine.Outcome{End: rollout.FailedIntact, Up: true}, false},
		{engine.Outcome{End: rollout.FailedIntact}, true},
		{engine.Outcome{End: rollout.NotStarted, Up: true}, false},
	} {
		r := newRound(t, engine.Outcome{End: rollout.FailedIntact, Down: true})
		require.True(t, r.Server(0).HoldsSlot)
		_, err := r.retry()
		require.NoError(t, err)
		r.Advance(day())
		r.Finished(0, test.second, day())
		assert.Equal(t, test.down, r.Server(0).HoldsSlot, "%+v", test.second)
		assert.Equal(t, test.down, r.Server(0).Down)
	}
}
