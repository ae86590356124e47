package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// AwaitServer waits for a server whose workflow was started by an earlier run of its rollout: the wait is
// what the new run adopts it by. It only reads, so any attempt takes over where the last one left it.
func (a *Activities) AwaitServer(ctx context.Context, in contract.AwaitServerInput) (contract.AwaitServerResult, error) {
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
		return contract.AwaitServerResult{}, workerStopping()
	case err := <-ended:
		switch {
		case err == nil:
			return contract.AwaitServerResult{Result: &result}, nil
		case ctx.Err() != nil:
			return contract.AwaitServerResult{}, ctx.Err()
		}
		return lostServer(err)
	}
}

// lostServer sorts out why there is no result. Trouble with asking is tried again.
func lostServer(err error) (contract.AwaitServerResult, error) {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return contract.AwaitServerResult{Lost: "Temporal no longer knows its workflow"}, nil
	}
	if _, ok := errors.AsType[*temporal.WorkflowExecutionError](err); !ok {
		return contract.AwaitServerResult{}, err
	}
	result, lost := api.EndWithoutResult(err)
	return contract.AwaitServerResult{Result: result, Lost: lost}, nil
}
