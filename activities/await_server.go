package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/rollout"
)

// AwaitServerName is the name under which AwaitServer is registered.
const AwaitServerName = "AwaitServer"

// ErrInvalidInput is the type of the error with which a workflow refuses its input. It has done nothing then.
const ErrInvalidInput = "InvalidInput"

// AwaitServerInput names the run of a ChangeOS workflow.
type AwaitServerInput struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

// AwaitServerResult is how the server ended, or why its workflow cannot tell.
type AwaitServerResult struct {
	Result *rollout.ServerResult `json:"result,omitempty"`
	// Lost says what became of a workflow that left no result. Only the server itself can tell then.
	Lost string `json:"lost,omitempty"`
}

// AwaitServer waits for a server whose workflow was started by an earlier run of its rollout: the wait is
// what the new run adopts it by. It only reads, so any attempt takes over where the last one left it.
func (a *Activities) AwaitServer(ctx context.Context, in AwaitServerInput) (AwaitServerResult, error) {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	waitCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Buffered, so that a wait that is given up ends.
	ended := make(chan error, 1)
	var result rollout.ServerResult
	go func() {
		ended <- activity.GetClient(ctx).GetWorkflow(waitCtx, in.WorkflowID, in.RunID).Get(waitCtx, &result)
	}()
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return AwaitServerResult{}, workerStopping()
	case err := <-ended:
		switch {
		case err == nil:
			return AwaitServerResult{Result: &result}, nil
		case ctx.Err() != nil:
			return AwaitServerResult{}, ctx.Err()
		}
		return lostServer(err)
	}
}

// lostServer sorts out why there is no result. Trouble with asking is tried again.
func lostServer(err error) (AwaitServerResult, error) {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return AwaitServerResult{Lost: "Temporal no longer knows its workflow"}, nil
	}
	if _, ok := errors.AsType[*temporal.WorkflowExecutionError](err); !ok {
		return AwaitServerResult{}, err
	}
	result, lost := EndWithoutResult(err)
	return AwaitServerResult{Result: result, Lost: lost}, nil
}

// EndWithoutResult reads the error with which a ChangeOS workflow ended: the result that a cancelled one
// left behind, or what became of it.
func EndWithoutResult(err error) (result *rollout.ServerResult, lost string) {
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok {
		var left rollout.ServerResult
		if canceled.HasDetails() && canceled.Details(&left) == nil {
			return &left, ""
		}
		return nil, "its workflow was cancelled"
	}
	if _, ok := errors.AsType[*temporal.TerminatedError](err); ok {
		return nil, "its workflow was terminated by hand"
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return nil, "its workflow timed out (" + timeout.TimeoutType().String() + ")"
	}
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case ok && app.Type() == ErrInvalidInput:
		return &rollout.ServerResult{End: rollout.NotStarted, Reason: "its workflow was refused, nothing was touched: " + app.Message()}, ""
	case ok:
		return nil, "its workflow failed: " + app.Message()
	}
	return nil, "its workflow ended without a result"
}
