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

	"github.com/reimage/reimage/api"
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
	for step, says := range map[api.Step]string{
		"": "", api.StepLook: "", api.StepStop: "",
		api.StepSubmit: "has been submitted or is about to be",
		api.StepWait:   "(wait job j-1)",
		api.StepProve:  "is carried to its end",
		api.StepLeave:  "is over, and the server is only left as it should be",
		api.StepEnded:  "is over",
	} {
		late := tooLate(api.Status{Name: "web-01", JobID: "j-1", Steps: []api.StepAt{{Step: step}}}, "s-1")
		assert.Contains(t, late, says)
		assert.Equal(t, says == "", late == "", step)
	}
	assert.Empty(t, tooLate(api.Status{}, "s-1"), "nobody answered")
	unpaid := api.Status{Name: "web-01", JobID: "j-1", JobStatus: api.JobAwaitsPayment, Deadline: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	assert.Equal(t, "the change of web-01 is submitted and begins when its order is paid. Cancel the order in the cloud's console; its job does not show that, "+
		"so the change is judged at 2026-03-01T12:00:00Z; then say so with: reimage server forget s-1", tooLate(unpaid, "s-1"))
}

// TestTrouble: only what waits for its next attempt has any, and a worker that stopped is none.
func TestTrouble(t *testing.T) {
	failed := func(kind string) *failure.Failure {
		return &failure.Failure{Message: "HTTP 503", FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{Type: kind}}}
	}
	waits, works := enums.PENDING_ACTIVITY_STATE_SCHEDULED, enums.PENDING_ACTIVITY_STATE_STARTED
	assert.Equal(t, "HTTP 503", trouble(&workflow.PendingActivityInfo{State: waits, LastFailure: failed(api.ErrCloud)}))
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: works, LastFailure: failed(api.ErrCloud)}), "the next attempt may be well")
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: waits, LastFailure: failed(api.ErrWorkerStopping)}))
	assert.Empty(t, trouble(&workflow.PendingActivityInfo{State: waits}))

	status := api.Status{Steps: []api.StepAt{{Step: api.StepLook}, {Step: api.StepWait}}, JobID: "j-1", Trouble: "HTTP 503"}
	assert.Equal(t, "job j-1; tried again after: HTTP 503", about(status.Now(), status))
	assert.Empty(t, about(status.Steps[0], status), "of an earlier step it says nothing")
}
