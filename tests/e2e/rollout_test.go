package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// requireFleetChangedOnce looks at the truth: every planned server runs the image, from one accepted change.
func requireFleetChangedOnce(t *testing.T, lab *harness.Lab, plan rollout.Plan) {
	t.Helper()
	for _, server := range plan.Servers {
		after, ok := lab.Cloud.Server(server.ID)
		require.True(t, ok)
		assert.Equal(t, plan.Change.ImageID, after.ImageID, server.Name)
		assert.NotEqual(t, server.Before.VolumeID, after.SystemVolumeID, server.Name)
		assert.Equal(t, 1, lab.Accepted(server.ID), "%s: changes accepted", server.Name)
	}
}

// TestRolloutInWaves carries out a plan in three waves and looks at every server.
func TestRolloutInWaves(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 12})
	lab.StartWorker(nil)
	plan := lab.Plan("in-waves", 4, 1, 4, 12)
	mostOut := lab.WatchOutOfService()
	run := lab.Roll(api.RolloutInput{Plan: plan})

	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 12, Done: 12}, result.Counts)
	requireFleetChangedOnce(t, lab, plan)
	assert.LessOrEqual(t, mostOut(), 4)
	assert.Equal(t, 1, lab.ReplayRuns(run))
}

// TestRolloutContinuesAsNewWithServersInFlight goes on in new runs without draining: while the history turns
// over the slots stay full, and a server whose workflow is terminated by hand is noticed by the run that
// did not start it.
func TestRolloutContinuesAsNewWithServersInFlight(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 30, Speed: 15})
	lab.StartWorker(nil)
	plan := lab.Plan("continued", 8, 30)
	plan.Budget.Count = ptr(1)
	plan.Change.Deadline = 20 * time.Second // how long a server is watched whose workflow is gone
	require.NoError(t, plan.Seal())
	run := lab.Roll(api.RolloutInput{Plan: plan, HistoryLimit: 60})

	first := run.GetRunID() // waiting for the end moves run on to later runs
	var victim string
	lab.Eventually("full slots in a second run, with a server in flight that it did not start", func() bool {
		description, err := lab.Temporal.Client.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
		require.NoError(t, err)
		execution := description.GetWorkflowExecutionInfo()
		if execution.GetExecution().GetRunId() == first {
			return false
		}
		progress := lab.Progress(run)
		if len(progress.InFlight) < 8 {
			return false
		}
		for _, server := range progress.InFlight {
			if server.StartedAt.Before(execution.GetStartTime().AsTime()) {
				victim = server.ID
				err := lab.Temporal.Client.TerminateWorkflow(t.Context(), api.ChangeOSID(plan.Project, victim), "", "by hand")
				return err == nil // it may have ended a moment ago
			}
		}
		return false
	})

	result := lab.Rolled(run)
	assert.Equal(t, 30, result.Counts.Done+result.Counts.Failed, "%+v", result.Counts)
	assert.LessOrEqual(t, result.Counts.Failed, 1, "how far the terminated one was decides")
	for _, server := range plan.Servers {
		if server.ID == victim {
			assert.LessOrEqual(t, lab.Accepted(server.ID), 1, "the one whose workflow was terminated")
		} else {
			assert.Equal(t, 1, lab.Accepted(server.ID), server.Name)
		}
	}
	assert.Greater(t, lab.ReplayRuns(run), 1)
}

func ptr[T any](v T) *T { return &v }

// TestRolloutPausesAfterAFailedCanary stops before it spreads, and goes on after a retry.
func TestRolloutPausesAfterAFailedCanary(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 60})
	lab.StartWorker(nil)
	plan := lab.Plan("canary", 12, 2, 60)
	canary := plan.Servers[0]
	lab.Cloud.AddFault(emulator.Fault{Op: "changeos", Kind: "job_fail", Variant: "intact", Times: 1, Server: canary.ID})
	mostOut := lab.WatchOutOfService()
	run := lab.Roll(api.RolloutInput{Plan: plan})

	paused := lab.Await(run, "the pause after the canary", func(p rollout.Progress) bool {
		return p.Phase == rollout.PhasePaused && len(p.InFlight) == 0
	})
	assert.True(t, paused.NeedsHuman)
	assert.Equal(t, canary.ID, paused.Failures[0].ID)
	assert.Equal(t, 58, paused.Waves[1].Counts.Pending, "nothing of the next wave was started")

	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
	assert.ErrorContains(t, err, "retry or accept failures first")
	_, err = lab.Tell(run, rollout.Command{Kind: rollout.Retry, Servers: []string{canary.Name}})
	require.NoError(t, err)
	_, err = lab.Tell(run, rollout.Command{Kind: rollout.Resume})
	require.NoError(t, err)

	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, 60, result.Counts.Done)
	for _, server := range plan.Servers {
		want := 1
		if server.ID == canary.ID {
			want = 2 // the failed one and the one that somebody asked for again
		}
		assert.Equal(t, want, lab.Accepted(server.ID), server.Name)
	}
	assert.LessOrEqual(t, mostOut(), 12)
	lab.ReplayRuns(run)
}

// TestRolloutAborted aborts in the middle of a wave: what is in flight and untouched is recalled, and nothing more is
// started, though slots become free.
func TestRolloutAborted(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 20})
	plan := lab.Plan("aborted", 4, 20)
	through, held := plan.Servers[:2], plan.Servers[2:]
	gate := newGate(t, lab, held)
	lab.StartWorker(gate.worker())
	run := lab.Roll(api.RolloutInput{Plan: plan})
	awaitInFlight(lab, run, held[:4])

	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Abort, Comment: "wrong image"})
	require.NoError(t, err)
	aborting := lab.Progress(run)
	assert.Equal(t, rollout.PhaseAborting, aborting.Phase)
	assert.Equal(t, rollout.Counts{Servers: 20, InFlight: 4, Done: 2, NotStarted: 14}, aborting.Counts)
	assert.Equal(t, 2, accepted(lab, plan), "the others were untouched when the abort came")

	gate.open(held)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, rollout.Counts{Servers: 20, Done: 2, NotStarted: 18}, result.Counts)
	for i, server := range servers(t, lab, run) {
		now, _ := lab.Cloud.Server(server.ID)
		assert.Empty(t, now.TaskState, "%s is not left half way", server.Name)
		if i < len(through) {
			assert.Equal(t, rollout.Done, server.End, server.Name)
			assert.Equal(t, plan.Change.ImageID, now.ImageID, server.Name)
			assert.Equal(t, 1, lab.Accepted(server.ID), server.Name)
		} else {
			assert.Equal(t, rollout.NotStarted, server.End, server.Name)
			assert.Equal(t, server.Before.VolumeID, now.SystemVolumeID, server.Name)
			assert.Zero(t, lab.Accepted(server.ID), server.Name)
		}
	}
	requireNoStartAfterAbort(t, lab, run)
	lab.ReplayRuns(run)
}

// requireNoStartAfterAbort reads in the history that no server was started after the abort was accepted.
func requireNoStartAfterAbort(t *testing.T, lab *harness.Lab, run client.WorkflowRun) {
	t.Helper()
	var aborted, started *history.HistoryEvent
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		switch event.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
			aborted = event
		case enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			started = event
		}
	}
	require.NotNil(t, aborted)
	require.NotNil(t, started)
	assert.Less(t, started.GetEventId(), aborted.GetEventId(), "nothing is started after the abort")
	t.Logf("the last start, event %d, was %v before the abort, event %d", started.GetEventId(),
		aborted.GetEventTime().AsTime().Sub(started.GetEventTime().AsTime()), aborted.GetEventId())
}

// TestRolloutOutlivesItsWorkers kills the worker three times on the way.
func TestRolloutOutlivesItsWorkers(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 18})
	worker := lab.StartWorker(nil)
	plan := lab.Plan("outlives", 6, 2, 18)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	for _, done := range []int{1, 6, 11} {
		lab.Await(run, "progress", func(p rollout.Progress) bool { return p.Counts.Done >= done && len(p.InFlight) > 0 })
		require.NoError(t, worker.Kill())
		worker = lab.StartWorker(nil)
	}
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End, "%+v", result.Counts)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}
