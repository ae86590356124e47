package activities

import (
	"context"

	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
)

// FindStarted finds the servers that a rollout has started, also those of which its own history says nothing because it was
// reset. It asks for each server by the workflow that locks it: Temporal's list may trail behind, and a description does
// not. It only reads; its errors pass by themselves.
func (a *Activities) FindStarted(ctx context.Context, in contract.FindStartedInput) (contract.FindStartedResult, error) {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	found := make([]contract.StartedServer, len(in.ServerIDs))
	err := atOnce(ctx, len(in.ServerIDs), func(ctx context.Context, i int) error {
		described, err := a.Temporal.DescribeWorkflowExecution(ctx, api.ChangeOSID(in.Project, in.ServerIDs[i]), "")
		if isA[*serviceerror.NotFound](err) {
			return nil
		}
		newest := described.GetWorkflowExecutionInfo()
		started := newest.GetStartTime().AsTime()
		if err == nil && newest.GetParentExecution().GetWorkflowId() == in.WorkflowID && !started.Before(in.Since) {
			found[i] = contract.StartedServer{ServerID: in.ServerIDs[i], RunID: pending.RunID(newest), StartedAt: started}
		}
		return err
	})
	if err != nil {
		return contract.FindStartedResult{}, err
	}
	var result contract.FindStartedResult
	for _, server := range found {
		if server.RunID != "" {
			result.Servers = append(result.Servers, server)
		}
	}
	return result, nil
}
