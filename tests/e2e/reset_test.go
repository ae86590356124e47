package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// unseen is a cloud that shows nothing of a change for most of its time, and is slow enough for that to mislead.
func unseen(faults ...emulator.Fault) emulator.Options {
	return emulator.Options{Edition: emulator.Edition{RebuildView: "shutoff"}, Speed: 6, Faults: faults}
}

// TestWorkflowReset resets a workflow to a point before its request, which was accepted: the new run follows its job, and
// sends nothing.
func TestWorkflowReset(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unseen())
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	lab.AwaitStep(run, api.StepWait)

	again := resetToSubmit(t, lab, run)

	ended := lab.Result(again)
	assert.Equal(t, rollout.Done, ended.End, ended.Reason)
	assert.Contains(t, ended.PowerTrouble, "it was left alone", "what was asked for is not done any more, and the result says why")
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(again)
}

// TestWorkflowResetToItsBeginning: its server was stopped, or its disk is being replaced. It gets its power back, or the job
// is followed, and neither ends as "not started".
func TestWorkflowResetToItsBeginning(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		lab := machine.NewLab(t, emulator.Options{Speed: 30, Timing: emulator.Timing{Stop: emulator.Span{Median: 5 * time.Minute}}})
		lab.StartWorker(nil)
		before := lab.Server("ACTIVE")
		run := lab.Start(before.ID, rollout.Change{ImageID: lab.OtherImage(before).ID})
		lab.Eventually("it is being stopped", func() bool {
			now, _ := lab.Cloud.Server(before.ID)
			return now.TaskState == "powering-off"
		})

		again := resetTo(t, run, finished(t, lab, run, 0))

		ended := lab.Result(again)
		assert.Equal(t, rollout.FailedIntact, ended.End, ended.Reason)
		assert.Equal(t, rollout.StatusActive, ended.Left, "its power is given back")
		assert.Zero(t, lab.Accepted(before.ID))
		lab.Replay(again)
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		lab := machine.NewLab(t, unseen())
		lab.StartWorker(nil)
		before := lab.Server("ACTIVE")
		image := lab.OtherImage(before)
		run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
		lab.AwaitStep(run, api.StepWait)

		again := resetTo(t, run, finished(t, lab, run, 0))

		requireDoneOnce(t, lab, before, image, lab.Result(again))
		lab.Replay(again)
	})
}

// TestWorkflowResetAndCancelled before any activity could find out what the first run did: no old disk is claimed.
func TestWorkflowResetAndCancelled(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unseen())
	worker := lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	run := lab.Start(before.ID, rollout.Change{ImageID: lab.OtherImage(before).ID})
	lab.AwaitStep(run, api.StepWait)
	require.NoError(t, worker.Kill())

	again := resetTo(t, run, finished(t, lab, run, 0))
	require.NoError(t, machine.Temporal.Client.CancelWorkflow(t.Context(), again.GetID(), again.GetRunID()))
	lab.StartWorker(nil)

	ended := lab.Result(again)
	assert.Equal(t, rollout.FailedChanged, ended.End, ended.Reason)
	assert.Contains(t, ended.Reason, "cannot be found out")
	lab.Replay(again)
}

// resetToSubmit resets a workflow to before its request.
func resetToSubmit(t *testing.T, lab *harness.Lab, run client.WorkflowRun) client.WorkflowRun {
	t.Helper()
	var decided int64 // the workflow task that asked for the submit
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		if event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == contract.SubmitChangeOS {
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

// TestResetOfAChangeThatFailed: however the first job ended, a run that was reset sends nothing. Another change is asked for
// by a retry.
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
	assert.Equal(t, rollout.FailedIntact, ended.End, ended.Reason)
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(second)

	third := resetToSubmit(t, lab, second)
	assert.Equal(t, rollout.FailedIntact, lab.Result(third).End)
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(third)
}

// TestResetsAnywhere resets a change to each of its workflow tasks, while it is under way and after its end, and what
// comes of that once more. Whatever the cloud does, no second change is accepted, no disk that was replaced is called intact,
// and no server that may have been touched is called not started.
func TestResetsAnywhere(t *testing.T) {
	const underWay, inAll = 4, 10 // servers that are reset before their change is over, and all
	onChange := func(kind emulator.FaultKind, variant string) emulator.Fault {
		return emulator.Fault{Op: emulator.OpChangeOS, Kind: kind, Variant: variant, Times: -1}
	}
	unpaid := onChange(emulator.JobStuck, "pending_payment")
	for name, test := range map[string]struct {
		faults []emulator.Fault
	}{
		"all is well":                           {nil},
		"its answer is lost":                    {[]emulator.Fault{onChange(emulator.DropAfter, "")}},
		"its job fails":                         {[]emulator.Fault{onChange(emulator.JobFail, "")}},
		"its order is not paid":                 {[]emulator.Fault{unpaid}},
		"nor is it, and no answer tells":        {[]emulator.Fault{unpaid, onChange(emulator.DropAfter, "")}},
		"its job fails, and the answer is lost": {[]emulator.Fault{onChange(emulator.JobFail, ""), onChange(emulator.DropAfter, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := machine.NewLab(t, emulator.Options{Servers: inAll, Faults: test.faults})
			whole.StartWorker(nil)
			for i, server := range whole.Cloud.Servers() {
				require.NoError(t, whole.Cloud.Update(server.ID, func(s *emulator.Server) { s.Status, s.ChargingMode = "SHUTOFF", "1" }))
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					lab := *whole
					lab.T = t
					run := lab.Start(server.ID, rollout.Change{ImageID: lab.OtherImage(server).ID, Deadline: 15 * time.Second, Power: rollout.PowerOn})
					to := i
					polls := 0
					lab.Eventually("it is accepted, or over", func() bool {
						polls++
						return lab.Accepted(server.ID) == 1 || (polls%200 == 0 && isOver(t, lab.Temporal.Client, run)) // Temporal is asked rarely
					})
					if lab.Accepted(server.ID) == 0 {
						// On an overloaded machine the attempt loses its heartbeat before it sends. Its successor sends nothing: of a
						// server that is paid by the year an order may be open.
						assert.Equal(t, rollout.FailedChanged, lab.Result(run).End)
						return
					}
					if i >= underWay {
						lab.Result(run)
						to -= underWay
					}
					for range 2 {
						run = resetTo(t, run, finished(t, &lab, run, to))
						ended := lab.Result(run)
						lab.Replay(run)
						assert.NotEqual(t, rollout.NotStarted, ended.End, "its change was accepted: %s", ended.Reason)
						if now, _ := lab.Cloud.Server(server.ID); now.SystemVolumeID != server.SystemVolumeID {
							assert.NotEqual(t, rollout.FailedIntact, ended.End, "its disk was touched: %s", ended.Reason)
						}
					}
					account := lab.Cloud.Ledger().Servers[server.ID]
					assert.Equal(t, 1, account.ChangeOSAccepted)
					for _, write := range account.Writes {
						assert.Empty(t, write.Beside, write.Op)
					}
				})
			}
		})
	}
}

// finished is the event that finished a task of a workflow, or its last one when it has not that many.
func finished(t *testing.T, lab *harness.Lab, run client.WorkflowRun, task int) int64 {
	t.Helper()
	var tasks []int64
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			tasks = append(tasks, event.GetEventId())
		}
	}
	require.NotEmpty(t, tasks)
	return tasks[min(task, len(tasks)-1)]
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
		return len(pending) == 1 && pending[0].GetActivityType().GetName() == contract.SubmitChangeOS &&
			pending[0].GetAttempt() == 2 && pending[0].GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED
	})

	_, err := machine.Temporal.Client.WorkflowService().ResetActivity(t.Context(), &workflowservice.ResetActivityRequest{
		Namespace: client.DefaultNamespace, Execution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Activity: &workflowservice.ResetActivityRequest_Type{Type: contract.SubmitChangeOS},
	})
	require.NoError(t, err)

	requireDoneOnce(t, lab, before, image, lab.Result(run))
	var answered contract.SubmitChangeOSResult
	submitted(t, lab, run, &answered)
	assert.NotEmpty(t, answered.Seen, "the first request was found out")
	lab.Replay(run)
}

// submitted reads what the last submit of a run was answered.
func submitted(t *testing.T, lab *harness.Lab, run client.WorkflowRun, answered *contract.SubmitChangeOSResult) {
	t.Helper()
	var scheduled int64
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		switch event.GetEventType() {
		case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			started := event.GetActivityTaskScheduledEventAttributes()
			if started.GetActivityType().GetName() == contract.SubmitChangeOS {
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

// isOver is true for a workflow that has ended.
func isOver(t *testing.T, temporal client.Client, run client.WorkflowRun) bool {
	t.Helper()
	described, err := temporal.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
	return err == nil && described.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}
