package activities

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/internal/pending"
)

// Temporal is what activities ask of the server that gave them their work. A client.Client is one.
type Temporal interface {
	// RecordActivityHeartbeat delivers a heartbeat at once, and fails when the attempt of the token is not, or no
	// longer, the one that is waited for.
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
	pending.Temporal
	// SignalWorkflow sends a signal to the newest run of a workflow.
	SignalWorkflow(ctx context.Context, workflowID, runID, signalName string, arg any) error
}

// confirm asks Temporal whether it still waits for this attempt, before anything is written to the cloud. An attempt
// that was frozen, or is cut off from Temporal, has a successor that it knows nothing of; only Temporal can tell. The
// answer may take a third of the time that the request has, which needs the rest itself.
func (s site) confirm(ctx context.Context, h *heart) error {
	within, cancel := context.WithTimeout(ctx, s.Cloud.RequestTimeout()/3)
	defer cancel()
	err := s.Temporal.RecordActivityHeartbeat(within, activity.GetInfo(ctx).TaskToken, h.details.Load())
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("nothing was sent: the look at the server is too old by now, or the worker stops: %w", ctx.Err())
	case isA[*serviceerror.NotFound](err):
		return errors.New("nothing was sent: Temporal has given up this attempt, and another one carries on")
	case isA[*temporal.CanceledError](err) || errors.Is(err, activity.ErrActivityPaused) || errors.Is(err, activity.ErrActivityReset):
		return fmt.Errorf("nothing was sent: somebody has stopped this attempt by hand: %w", err)
	}
	return fmt.Errorf("nothing was sent: Temporal does not say whether it still waits for this attempt: %w", err)
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
