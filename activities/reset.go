package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
)

// wasReset is true in a workflow that was reset since it began. originalRunID is the run as which it began, by
// workflow.GetInfo: a reset gives the workflow another run id, keeps the original one, and may run an activity again
// that was scheduled before it. Empty comes from test environments only; every Temporal server fills it.
func wasReset(ctx context.Context, originalRunID string) bool {
	return originalRunID != "" && originalRunID != activity.GetInfo(ctx).WorkflowExecution.RunID
}

// resetError refuses to touch the server for a workflow that was reset: the run before may have gone further than this
// one knows. The record of the first run is in the details of the error (api.ChangeRecord), unless it is unknown. It needs neither the project nor
// credentials.
func (a *Activities) resetError(ctx context.Context, serverID, originalRunID string) error {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	first, err := pending.RecordOf(ctx, a.Temporal, activity.GetInfo(ctx).WorkflowExecution.ID, originalRunID)
	if err != nil {
		return again(api.ErrNotSent, fmt.Errorf("nothing was sent to server %s: %w", serverID, err), 0)
	}
	var details []any
	if first != nil {
		details = []any{*first}
	}
	message := fmt.Sprintf("the workflow of server %s was reset: nothing is sent to it any more", serverID)
	return temporal.NewNonRetryableApplicationError(message, api.ErrReset, nil, details...)
}

// mayRestorePower refuses a power action of a workflow that was reset, unless the records of its server prove that it is stopped
// because a change took its power, and that nothing has given it back since.
func (s site) mayRestorePower(ctx context.Context, in contract.RestorePowerInput) error {
	lock := api.ChangeOSID(s.Cloud.ProjectID(), in.ServerID)
	earlier, err := pending.Of(ctx, s.Temporal, lock, activity.GetInfo(ctx).WorkflowExecution.RunID)
	if err != nil {
		return again(api.ErrNotSent, fmt.Errorf("the power of server %s was left alone: %w", in.ServerID, err), 0)
	}
	if in.On && earlier.LeftOff != "" && earlier.LeftOff == in.Disk {
		return nil
	}
	message := fmt.Sprintf("the workflow of server %s was reset, and nothing proves that it took the server's power: it was left alone", in.ServerID)
	return temporal.NewNonRetryableApplicationError(message, api.ErrReset, nil)
}
