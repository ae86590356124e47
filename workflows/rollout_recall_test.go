package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// memo notes what the rollout writes into its memo, and when.
type memo struct {
	fleet  *fleet
	values []rollout.Recall
	at     []time.Duration
}

func (f *fleet) watchMemo() *memo {
	m := &memo{fleet: f}
	f.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		value, _ := args.Get(0).(map[string]any)[api.RecallMemo].(string)
		m.values = append(m.values, rollout.Recall(value))
		m.at = append(m.at, f.env.Now().Sub(curtain))
	}).Return(nil)
	return m
}

func (m *memo) now() rollout.Recall {
	if len(m.values) == 0 {
		return rollout.RecallNone
	}
	return m.values[len(m.values)-1]
}

// recallable plays a server that is submitted eight minutes after its start, and asks its rollout every second until then.
func (f *fleet) recallable(m *memo, submitted ...string) {
	f.play = func(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
		for range 8 * 60 {
			if err := workflow.Sleep(ctx, time.Second); err != nil {
				return rollout.ServerResult{}, err
			}
			if m.now().Includes(false) && !contains(submitted, f.name(in.ServerID)) {
				return rollout.ServerResult{End: rollout.NotStarted, Recalled: true, Before: untouched()}, nil
			}
		}
		return rollout.ServerResult{End: rollout.Done, After: changed()}, workflow.Sleep(ctx, 2*time.Minute)
	}
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// TestAbortRecallsInItsOwnTask: a description of the rollout after the answer to the command holds it.
func TestAbortRecallsInItsOwnTask(t *testing.T) {
	f := newFleet(t, 5, 3, 5)
	m := f.watchMemo()
	f.recallable(m, "web-00")
	var answer *told
	f.at(5*time.Minute, func() { answer = f.tell(rollout.Command{Kind: rollout.Abort}) })

	result := f.result()

	assert.Equal(t, "aborted: 3 servers in flight: submitted changes are finished, all others are recalled", answer.done)
	assert.Equal(t, []rollout.Recall{rollout.RecallUnsubmitted}, m.values)
	assert.Equal(t, []time.Duration{5 * time.Minute}, m.at)
	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, rollout.Counts{Servers: 5, Done: 1, NotStarted: 4}, result.Counts)
	assert.Zero(t, result.Failed)
	assert.Equal(t, "the rollout was aborted before its disk was touched", f.server(1).Reason)
}

// TestCancelRecalls, as it aborts.
func TestCancelRecalls(t *testing.T) {
	f := newFleet(t, 3, 2, 3)
	m := f.watchMemo()
	f.recallable(m)
	f.at(5*time.Minute, f.env.CancelWorkflow)
	assert.Equal(t, rollout.Counts{Servers: 3, NotStarted: 3}, f.result().Counts)
	assert.Equal(t, []rollout.Recall{rollout.RecallUnsubmitted}, m.values)
}

// TestPauseRecallsAndResumeStartsAgain: the attempt that was taken back does not count.
func TestPauseRecallsAndResumeStartsAgain(t *testing.T) {
	f := newFleet(t, 3, 2, 3)
	m := f.watchMemo()
	f.recallable(m)
	var paused rollout.Progress
	f.at(5*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Pause}) })
	f.at(6*time.Minute, func() {
		paused = f.progress()
		f.tell(rollout.Command{Kind: rollout.Resume})
	})

	result := f.result()

	assert.Equal(t, rollout.Counts{Servers: 3, Pending: 3}, paused.Counts)
	assert.Equal(t, []rollout.Recall{rollout.RecallUntouched, rollout.RecallNone}, m.values)
	assert.Equal(t, rollout.Counts{Servers: 3, Done: 3}, result.Counts)
	assert.Equal(t, 1, f.server(0).Attempts)
	assert.Len(t, f.orders, 5)
}

// TestBreachRecalls what was not submitted, in the task that takes in the failure.
func TestBreachRecalls(t *testing.T) {
	f := newFleet(t, 3, 2, 3)
	m := f.watchMemo()
	f.recallable(m)
	recallable := f.play
	f.play = func(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
		if f.name(in.ServerID) == "web-00" {
			return rollout.ServerResult{End: rollout.FailedIntact, Reason: "no luck"}, workflow.Sleep(ctx, time.Minute)
		}
		return recallable(ctx, in)
	}
	var paused rollout.Progress
	f.at(5*time.Minute, func() {
		paused = f.progress()
		f.tell(rollout.Command{Kind: rollout.Abort})
	})
	f.run()
	assert.Equal(t, rollout.Counts{Servers: 3, Pending: 2, Failed: 1}, paused.Counts)
	assert.Equal(t, []rollout.Recall{rollout.RecallUnsubmitted}, m.values)
	assert.Equal(t, []time.Duration{time.Minute}, m.at)
}

// TestSuspicionHoldsStarts until the server has ended: here it is done after all.
func TestSuspicionHoldsStarts(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	m := f.watchMemo()
	f.recallable(m, "web-00", "web-01")
	var held rollout.Progress
	f.at(9*time.Minute, func() {
		f.env.SignalWorkflow(api.SuspicionSignal, api.Suspicion{ServerID: f.plan.Servers[0].ID, Reason: "its job has failed"})
		f.env.SignalWorkflow(api.SuspicionSignal, api.Suspicion{ServerID: "unknown", Reason: "its job has failed"})
	})
	f.at(9*time.Minute+time.Second, func() { held = f.progress() })

	result := f.result()

	assert.Equal(t, "wave wave-1: starts nothing until it is known whether web-00 failed: 2 servers in flight, 2 pending", held.Why)
	assert.Equal(t, "its job has failed", held.InFlight[0].Suspicion)
	assert.Equal(t, []rollout.Recall{rollout.RecallUntouched, rollout.RecallNone}, m.values)
	assert.Equal(t, []time.Duration{9 * time.Minute, 10 * time.Minute}, m.at)
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 4}, result.Counts)
}

// TestRecalledServerWithoutItsPowerHasFailed: it ran before and does not run now.
func TestRecalledServerWithoutItsPowerHasFailed(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.ends["web-00"] = rollout.ServerResult{
		End: rollout.NotStarted, Recalled: true, Before: seen(rollout.StatusActive, oldImage, oldDisk), PowerTrouble: "the zone is sold out",
	}
	f.at(5*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
	f.run()
	p := f.progress()
	require.Len(t, p.Failures, 1)
	assert.True(t, p.Failures[0].Down)
	assert.Contains(t, p.Failures[0].Reason, "the zone is sold out")
}

// TestAbortDuringTheHandOverRecallsAtOnce, by a command or by a cancel: the starts that the hand-over waits for may take
// long. The next run knows what the memo says.
func TestAbortDuringTheHandOverRecallsAtOnce(t *testing.T) {
	for name, abort := range map[string]func(*fleet){
		"command": func(f *fleet) { f.tell(rollout.Command{Kind: rollout.Abort}) },
		"cancel":  func(f *fleet) { f.env.CancelWorkflow() },
	} {
		t.Run(name, func(t *testing.T) {
			first := newFleet(t, 4, 2, 4)
			m := first.watchMemo()
			first.env.SetContinueAsNewSuggested(true)
			first.startTakes = 30 * time.Second
			first.at(10*time.Second, func() { abort(first) })
			next := first.handed()
			assert.Equal(t, []time.Duration{10 * time.Second}, m.at)
			assert.Equal(t, rollout.RecallUnsubmitted, next.Carry.Recall)
		})
	}
}
