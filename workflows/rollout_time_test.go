package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

// TestBakeIsATimer: nothing happens while a wave bakes, so only a timer can end it.
func TestBakeIsATimer(t *testing.T) {
	f := newFleet(t, 3, 2, 1, 3)
	f.plan.Waves[0].Bake = 30 * time.Minute
	var baking, after rollout.Progress
	f.at(39*time.Minute, func() { baking = f.progress() })
	f.at(41*time.Minute, func() { after = f.progress() })

	result := f.result()

	assert.Empty(t, baking.InFlight)
	assert.Equal(t, curtain.Add(40*time.Minute), baking.Waves[0].BakeUntil.UTC())
	assert.Equal(t, []string{"web-01", "web-02"}, names(after.InFlight))
	assert.Equal(t, curtain.Add(50*time.Minute), result.EndedAt)
	assert.Equal(t, []askedTimer{{30 * time.Minute, "wait until 2026-03-01T08:40:00Z"}}, f.timers)
}

// TestBakeIsEndedEarly by an update, which starts the next wave at once and leaves no timer.
func TestBakeIsEndedEarly(t *testing.T) {
	f := newFleet(t, 3, 2, 1, 3)
	f.plan.Waves[0].Bake, f.plan.Waves[0].Approval = 30*time.Minute, true
	var refused, ended, again *told
	var after rollout.Progress
	enough := rollout.Command{Kind: rollout.EndBake, Wave: "wave-1", Comment: "all checks are green"}
	f.at(5*time.Minute, func() { refused = f.tell(enough) })
	f.at(15*time.Minute, func() { ended = f.tell(enough) })
	f.at(16*time.Minute, func() { after, again = f.progress(), f.tell(enough) })

	result := f.result()

	assert.ErrorContains(t, refused.rejected, "approve --end-bake is refused: no wave bakes: wave wave-1 will, for 30m0s, once its last server has ended")
	assert.Equal(t, "ended the bake of wave wave-1, 25m0s before its time, and approved what follows it", ended.done)
	assert.ErrorContains(t, again.rejected, "no wave bakes: wave wave-2 is not over, and has no bake")
	assert.Equal(t, []string{"web-01", "web-02"}, names(after.InFlight))
	assert.Equal(t, []string{"bob", "bob"}, []string{after.Waves[0].BakeEndedBy, after.Waves[0].ApprovedBy})
	assert.Contains(t, after.Log, rollout.LogEntry{At: curtain.Add(15 * time.Minute), By: "bob", What: ended.done + ": all checks are green"})
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, curtain.Add(25*time.Minute), result.EndedAt)
}

// TestDeadlineIsATimer that is set once, however many servers end meanwhile: a timer costs history.
func TestDeadlineIsATimer(t *testing.T) {
	f := newFleet(t, 4, 1, 4)
	f.plan.Deadline = 25 * time.Minute
	var before, late rollout.Progress
	var resume *told
	f.at(24*time.Minute, func() { before = f.progress() })
	f.at(26*time.Minute, func() { late = f.progress() })
	f.at(40*time.Minute, func() { resume = f.tell(rollout.Command{Kind: rollout.Resume}) })

	result := f.result()

	assert.Equal(t, rollout.PhaseRunning, before.Phase)
	assert.Equal(t, rollout.PhasePaused, late.Phase)
	assert.Contains(t, late.Why, "its deadline of 25m0s has passed")
	assert.Equal(t, []string{"web-02"}, names(late.InFlight), "what is in flight is finished")
	assert.Equal(t, "resumed", resume.done)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, curtain.Add(50*time.Minute), result.EndedAt, "the fourth began when somebody resumed")
	require.Len(t, f.timers, 2)
	assert.Equal(t, askedTimer{25 * time.Minute, "wait until 2026-03-01T08:25:00Z"}, f.timers[0])
	assert.Equal(t, askedTimer{25 * time.Minute, "wait until 2026-03-01T09:05:00Z"}, f.timers[1], "as long again for who resumes")
}

// TestSoakIsATimer: a changed server keeps its slot until the soak is over.
func TestSoakIsATimer(t *testing.T) {
	f := newFleet(t, 2, 1, 2)
	f.plan.Soak = 7 * time.Minute
	var soaking rollout.Progress
	f.at(16*time.Minute, func() { soaking = f.progress() })
	result := f.result()
	assert.Equal(t, rollout.Counts{Servers: 2, Soaking: 1, Pending: 1}, soaking.Counts)
	assert.Equal(t, curtain.Add(34*time.Minute), result.EndedAt, "ten minutes and a soak, twice")
}

// TestCancelBeforeTheFirstTask: nobody polled yet when the rollout was started and cancelled.
func TestCancelBeforeTheFirstTask(t *testing.T) {
	f := newFleet(t, 3, 1, 3)
	f.at(0, f.env.CancelWorkflow)
	assert.Equal(t, rollout.Aborted, f.result().End)
	assert.Empty(t, f.orders)
}
