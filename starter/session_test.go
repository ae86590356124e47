package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/workflows"
)

// TestDeclined: only Temporal's own word is proof that nothing was started.
func TestDeclined(t *testing.T) {
	for _, err := range []error{
		serviceerror.NewInvalidArgument("the id is too long"), serviceerror.NewPermissionDenied("no", ""),
		serviceerror.NewNamespaceNotFound("fleet"), serviceerror.NewResourceExhausted(0, "slow down"),
	} {
		assert.True(t, declined(err), "%T", err)
	}
	for _, err := range []error{
		serviceerror.NewUnavailable("connection refused"), serviceerror.NewDeadlineExceeded("late"), serviceerror.NewCanceled("gone"),
		serviceerror.NewInternal("stream terminated by RST_STREAM"), context.DeadlineExceeded, context.Canceled, errors.New("EOF"),
	} {
		assert.False(t, declined(err), "%T", err)
	}
}

// TestTooLate: from the submission on a cancel has no effect, and before it nobody is told so.
func TestTooLate(t *testing.T) {
	for step, says := range map[workflows.Step]string{
		"": "", workflows.StepLook: "", workflows.StepStop: "",
		workflows.StepSubmit: "has been submitted or is about to be",
		workflows.StepWait:   "(wait job j-1)",
		workflows.StepProve:  "is carried to its end",
		workflows.StepLeave:  "is over, and the server is only left as it should be",
		workflows.StepEnded:  "is over",
	} {
		late := tooLate(workflows.Status{Name: "web-01", JobID: "j-1", Steps: []workflows.StepAt{{Step: step}}}, "s-1")
		assert.Contains(t, late, says)
		assert.Equal(t, says == "", late == "", step)
	}
	assert.Empty(t, tooLate(workflows.Status{}, "s-1"), "nobody answered")
	unpaid := workflows.Status{Name: "web-01", JobID: "j-1", JobStatus: activities.JobAwaitsPayment, Deadline: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	assert.Equal(t, "the change of web-01 is submitted and begins when its order is paid. Cancel the order in the cloud's console; its job does not show that, "+
		"so the change is judged at 2026-03-01T12:00:00Z; then say so with: reimage server forget s-1", tooLate(unpaid, "s-1"))
}

// TestTrouble: only what waits for its next attempt has any, and a worker that stopped is none.
func TestTrouble(t *testing.T) {
	failed := func(kind string) *failure.Failure {
		return &failure.Failure{Message: "HTTP 503", FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{Type: kind}}}
	}
	waits, works := enums.PENDING_ACTIVITY_STATE_SCHEDULED, enums.PENDING_ACTIVITY_STATE_STARTED
	assert.Equal(t, "HTTP 503", trouble(&workflow.PendingActivityInfo{State: waits, LastFailure: failed(activities.ErrCloud)}))
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: works, LastFailure: failed(activities.ErrCloud)}), "the next attempt may be well")
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: waits, LastFailure: failed(activities.ErrWorkerStopping)}))
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: waits}))

	status := workflows.Status{Steps: []workflows.StepAt{{Step: workflows.StepLook}, {Step: workflows.StepWait}}, JobID: "j-1", Trouble: "HTTP 503"}
	assert.Equal(t, "job j-1; tried again after: HTTP 503", about(status.Now(), status))
	assert.Empty(t, about(status.Steps[0], status), "of an earlier step it says nothing")
}
