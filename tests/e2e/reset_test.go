package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
	"github.com/reimage/reimage/workflows"
)

// unseen is a cloud that shows nothing of a change for most of its time, and is slow enough for that to mislead.
func unseen(faults ...emulator.Fault) emulator.Options {
	return emulator.Options{Edition: emulator.Edition{RebuildView: "shutoff"}, Speed: 6, Faults: faults}
}

// TestWorkflowReset resets a workflow to a point before its request, which was accepted: the new run must not
// take its first attempt for the first one.
func TestWorkflowReset(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unseen())
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	lab.AwaitStep(run, workflows.StepWait)

	again := resetToSubmit(t, lab, run)

	requireDoneOnce(t, lab, before, image, lab.Result(again))
	var answered activities.SubmitChangeOSResult
	submitted(t, lab, again, &answered)
	assert.NotEmpty(t, answered.Seen, "the request of the run that is no more was found out")
	lab.Replay(again)
}

// resetToSubmit resets a workflow to before its request.
func resetToSubmit(t *testing.T, lab *harness.Lab, run client.WorkflowRun) client.WorkflowRun {
	t.Helper()
	var decided int64 // the workflow task that asked for the submit
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		if event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activities.SubmitChangeOSName {
			decided = event.GetActivityTaskScheduledEventAttributes().GetWorkflowTaskCompletedEventId()
		}
	}
	return resetTo(t, run, decided)
}

// resetTo resets a workflow to one of its tasks, by the event that finished it.
func resetTo(t *testing.T, run client.WorkflowRun, finished int64) client.WorkflowRun {
	t.Helper()
	reset, err := machine.Temporal.Client.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: client.DefaultNamespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Reason: "by hand", WorkflowTaskFinishEventId: finished, RequestId: run.GetRunID(),
	})
	require.NoError(t, err)
	return machine.Temporal.Client.GetWorkflow(t.Context(), run.GetID(), reset.GetRunId())
}

// TestResetBehindTheSubmit keeps the request scheduled as it was, and begins it anew as if nothing had been sent.
func TestResetBehindTheSubmit(t *testing.T) {
	t.Parallel()
	options := unpaid() // it would take a second order
	options.Faults = append(options.Faults, emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropAfter, Times: 1})
	lab := machine.NewLab(t, options)
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	require.NoError(t, lab.Cloud.Update(before.ID, func(s *emulator.Server) { s.ChargingMode = "1" }))
	run := lab.Start(before.ID, rollout.Change{ImageID: lab.OtherImage(before).ID, Deadline: 20 * time.Second})
	lab.Eventually("it is accepted", func() bool { return lab.Accepted(before.ID) == 1 })
	require.NoError(t, machine.Temporal.Client.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	var asked, decided int64 // the cancel, and the task that it makes
	lab.Eventually("it has heard of the cancel", func() bool {
		for _, event := range lab.History(t.Context(), t, run).GetEvents() {
			switch event.GetEventType() {
			case enums.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
				asked = event.GetEventId()
			case enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
				decided = event.GetEventId()
			}
		}
		return asked > 0 && decided > asked
	})

	again := resetTo(t, run, decided)
	ended := lab.Result(again)
	assert.Equal(t, rollout.FailedChanged, ended.End, ended.Reason)
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(again)
}

// TestResetOfAChangeThatFailed: the cloud has told that nothing comes of the first request, so the reset one is in no doubt,
// though the failed job has left its trace on the server. Reset once more, when it has come, nothing is sent.
func TestResetOfAChangeThatFailed(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 30, Faults: []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Times: 1}}})
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	first := lab.Start(before.ID, rollout.Change{ImageID: image.ID, Power: rollout.PowerOn})
	require.Equal(t, rollout.FailedIntact, lab.Result(first).End)

	second := resetToSubmit(t, lab, first)
	ended := lab.Result(second)
	assert.Equal(t, rollout.Done, ended.End, ended.Reason)
	assert.Equal(t, 2, lab.Accepted(before.ID), "as of a retry")
	lab.Replay(second)

	third := resetToSubmit(t, lab, second)
	assert.Equal(t, rollout.Done, lab.Result(third).End)
	assert.Equal(t, 2, lab.Accepted(before.ID))
	lab.Replay(third)
}

// TestActivityReset resets the submit by hand after an attempt whose answer was lost: attempts are counted anew,
// and the doubt has to be remembered all the same.
func TestActivityReset(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unseen(emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropAfter}))
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	lab.Eventually("the next attempt waits for its turn", func() bool {
		described, err := machine.Temporal.Client.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
		require.NoError(t, err)
		pending := described.GetPendingActivities()
		return len(pending) == 1 && pending[0].GetActivityType().GetName() == activities.SubmitChangeOSName &&
			pending[0].GetAttempt() == 2 && pending[0].GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED
	})

	_, err := machine.Temporal.Client.WorkflowService().ResetActivity(t.Context(), &workflowservice.ResetActivityRequest{
		Namespace: client.DefaultNamespace, Execution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Activity: &workflowservice.ResetActivityRequest_Type{Type: activities.SubmitChangeOSName},
	})
	require.NoError(t, err)

	requireDoneOnce(t, lab, before, image, lab.Result(run))
	var answered activities.SubmitChangeOSResult
	submitted(t, lab, run, &answered)
	assert.NotEmpty(t, answered.Seen, "the first request was found out")
	lab.Replay(run)
}

// submitted reads what the last submit of a run was answered.
func submitted(t *testing.T, lab *harness.Lab, run client.WorkflowRun, answered *activities.SubmitChangeOSResult) {
	t.Helper()
	var scheduled int64
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		switch event.GetEventType() {
		case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			started := event.GetActivityTaskScheduledEventAttributes()
			if started.GetActivityType().GetName() == activities.SubmitChangeOSName {
				scheduled = event.GetEventId()
			}
		case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			if done := event.GetActivityTaskCompletedEventAttributes(); done.GetScheduledEventId() == scheduled {
				require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(done.GetResult(), answered))
				return
			}
		}
	}
	require.FailNow(t, "the submit did not complete")
}
