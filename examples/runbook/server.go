package main

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// RefreshServerInput names a server and what is done to it.
type RefreshServerInput struct {
	ServerID string         `json:"server_id"`
	Change   rollout.Change `json:"change"`
	// BusyWait is how long to wait for the end of another change of the server.
	BusyWait time.Duration `json:"busy_wait,omitempty"`
	// Queue is the task queue of reimage's workers, if not api.TaskQueue.
	Queue string `json:"queue,omitempty"`
}

// ServerReport is the end of a server.
type ServerReport struct {
	End    rollout.ServerEnd `json:"end"`
	Reason string            `json:"reason"`
	// Verified is true when the application serves on the new image.
	Verified bool `json:"verified"`
}

// RefreshServer checks a server, patches, changes its operating system, and verifies.
func RefreshServer(ctx workflow.Context, in RefreshServerInput) (ServerReport, error) {
	found, err := checkServer(ctx, in)
	if err != nil {
		return ServerReport{}, err
	}
	if len(found.Refusals) > 0 {
		return ServerReport{End: rollout.NotStarted, Reason: strings.Join(found.Refusals, "; ")}, nil
	}
	// The place to ask for consent: found names the server, both images, and the size of the disk that is lost.

	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, ScheduleToCloseTimeout: 30 * time.Minute,
	})
	var own *Activities
	if err := workflow.ExecuteActivity(ctx, own.Patch, in.ServerID, in.Change.ImageID).Get(ctx, nil); err != nil {
		return ServerReport{}, err
	}
	result, err := changeOS(ctx, in, found)
	if err != nil {
		return ServerReport{}, err
	}
	report := ServerReport{End: result.End, Reason: result.Reason}
	switch result.End {
	case rollout.Done: // proven: the image, on a new system disk, running
	case rollout.Skipped: // nothing was sent: the server is on the image already
	default: // the reason says what state the server is in, and docs/rollout.md what each end means
		return report, nil
	}
	if err := workflow.ExecuteActivity(ctx, own.Verify, in.ServerID, in.Change.ImageID).Get(ctx, nil); err != nil {
		report.Reason += "; the application does not serve: " + err.Error()
		return report, nil
	}
	report.Verified = true
	return report, nil
}

// checkServer has a worker of reimage read the server and the image. It touches nothing.
func checkServer(ctx workflow.Context, in RefreshServerInput) (api.CheckServerResult, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: api.CheckServerID(in.ServerID, workflow.GetInfo(ctx).WorkflowExecution.RunID),
		TaskQueue:  cmp.Or(in.Queue, api.TaskQueue),
	})
	var found api.CheckServerResult
	err := workflow.ExecuteChildWorkflow(ctx, api.CheckServerName, api.CheckServerInput{
		ServerID: in.ServerID, Change: in.Change,
	}).Get(ctx, &found)
	return found, err
}

// busyPause is the time between two attempts while another change is under way.
const busyPause = time.Minute

// changeOS changes the operating system of the server, and only if it still has the disk that was found.
func changeOS(ctx workflow.Context, in RefreshServerInput, found api.CheckServerResult) (rollout.ServerResult, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          api.ChangeOSID(found.Project, in.ServerID), // the lock on the server
		TaskQueue:           cmp.Or(in.Queue, api.TaskQueue),
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_ABANDON, // never cut off between two disks
		WaitForCancellation: true,                              // after a cancel the server gets its power back first
	})
	for until := workflow.Now(ctx).Add(in.BusyWait); ; {
		var result rollout.ServerResult
		err := workflow.ExecuteChildWorkflow(ctx, api.ChangeOSName, api.ChangeOSInput{
			Project: found.Project, ServerID: in.ServerID, Change: in.Change, Expect: &found.Before.Fingerprint,
		}).Get(ctx, &result)
		if err == nil {
			return result, nil
		}
		if _, busy := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); !busy {
			// A cancelled change leaves a result behind. Without one, only the server shows what happened.
			if left, _ := api.EndWithoutResult(err); left != nil {
				return *left, nil
			}
			return rollout.ServerResult{}, err
		}
		if !workflow.Now(ctx).Before(until) {
			return rollout.ServerResult{End: rollout.NotStarted, Reason: "busy: another change of the server is under way"}, nil
		}
		if err := workflow.Sleep(ctx, min(busyPause, until.Sub(workflow.Now(ctx)))); err != nil {
			return rollout.ServerResult{}, err
		}
	}
}
