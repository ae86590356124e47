package activities

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
)

// Temporal is what activities ask of the server that gave them their work. A client.Client is one.
type Temporal interface {
	// RecordActivityHeartbeat delivers a heartbeat at once, and fails when the attempt of the token is not, or no
	// longer, the one that is waited for.
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
	// ListWorkflow reads a page of the workflows that fit a query.
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
}

// confirm asks Temporal whether it still waits for this attempt, before anything is written to the cloud. An attempt
// that was frozen, or is cut off from Temporal, has a successor that it knows nothing of; only Temporal can tell. The
// question is a heartbeat, so there is no successor before another heartbeat timeout is over. The answer may take a
// third of the time that the request has, which needs the rest itself.
func (s site) confirm(ctx context.Context, h *heart) error {
	ctx, cancel := context.WithTimeout(ctx, s.Cloud.RequestTimeout()/3)
	defer cancel()
	err := s.Temporal.RecordActivityHeartbeat(ctx, activity.GetInfo(ctx).TaskToken, h.details.Load())
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return errors.New("Temporal has given up this attempt, and another one carries on; nothing was sent")
	}
	if err != nil {
		return fmt.Errorf("Temporal does not say whether it still waits for this attempt, so nothing was sent: %w", err)
	}
	return nil
}
