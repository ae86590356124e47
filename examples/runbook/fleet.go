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
	"github.com/reimage/reimage/rollout/document"
)

// RefreshFleetInput is a specification: which servers get which image, and how carefully (docs/rollout.md).
type RefreshFleetInput struct {
	Document document.Rollout `json:"document"`
	// StartedBy is shown in reports and logs.
	StartedBy string `json:"started_by"`
	// Queue is the task queue of reimage's workers, if not api.TaskQueue.
	Queue string `json:"queue,omitempty"`
}

// FleetReport is the end of a fleet.
type FleetReport struct {
	// Planned is how many servers the plan had, Skipped how many it left out, for instance because they run the image.
	Planned int               `json:"planned"`
	Skipped int               `json:"skipped"`
	Rollout api.RolloutResult `json:"rollout"`
	// NotDone are the planned servers that were not changed, with the reason.
	NotDone []string `json:"not_done,omitempty"`
}

// RefreshFleet plans a rollout and carries it out.
func RefreshFleet(ctx workflow.Context, in RefreshFleetInput) (FleetReport, error) {
	var report FleetReport
	planned, err := planRollout(ctx, in)
	if err != nil {
		return report, err
	}
	if planned.Plan == nil {
		return report, temporal.NewNonRetryableApplicationError(strings.Join(planned.Problems, "; "), "NoPlan", nil)
	}
	report.Planned, report.Skipped = len(planned.Plan.Servers), len(planned.Plan.Skipped)
	if report.Planned == 0 {
		return report, nil // all of them run the image
	}
	// The place to ask for consent. If that takes long, CheckPlan finds what has changed since.

	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          api.RolloutID(planned.Plan.Name),
		TaskQueue:           cmp.Or(in.Queue, api.TaskQueue),
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_ABANDON, // operators may steer it without this workflow
		WaitForCancellation: true,                              // a cancel aborts it: what is in flight is finished first
	})
	err = workflow.ExecuteChildWorkflow(ctx, api.RolloutName, api.RolloutInput{
		Plan: *planned.Plan, StartedBy: in.StartedBy,
	}).Get(ctx, &report.Rollout)
	if _, busy := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); busy {
		message := "rollout " + planned.Plan.Name + " is under way: nothing was started"
		return report, temporal.NewNonRetryableApplicationError(message, "Busy", err)
	}
	if err != nil {
		return report, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var own *Activities
	err = workflow.ExecuteActivity(ctx, own.NotDone, api.RolloutID(planned.Plan.Name)).Get(ctx, &report.NotDone)
	return report, err
}

// planRollout has a worker of reimage read the servers and make a plan. It touches nothing.
func planRollout(ctx workflow.Context, in RefreshFleetInput) (api.PlanRolloutResult, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: api.PlanID(in.Document.Metadata.Name, workflow.GetInfo(ctx).WorkflowExecution.RunID),
		TaskQueue:  cmp.Or(in.Queue, api.TaskQueue),
	})
	var planned api.PlanRolloutResult
	err := workflow.ExecuteChildWorkflow(ctx, api.PlanRolloutName, api.PlanRolloutInput{Document: in.Document}).Get(ctx, &planned)
	return planned, err
}
