package activities

import (
	"context"
	"time"

	"go.temporal.io/api/serviceerror"
)

// FindStartedName is the name under which FindStarted is registered.
const FindStartedName = "FindStarted"

// FindStartedInput names a rollout whose workflow was reset.
type FindStartedInput struct {
	Project string `json:"project"`
	// WorkflowID is that of the rollout, Since when the run began that was reset.
	WorkflowID string    `json:"workflow_id"`
	Since      time.Time `json:"since"`
	// ServerIDs are the servers of its plan.
	ServerIDs []string `json:"server_ids"`
}

// FindStartedResult are the servers that the rollout has started since, each by the newest run of its workflow.
type FindStartedResult struct {
	Servers []StartedServer `json:"servers,omitempty"`
}

// StartedServer is a server whose change a rollout has started.
type StartedServer struct {
	ServerID  string    `json:"server_id"`
	RunID     string    `json:"run_id"`
	StartedAt time.Time `json:"started_at"`
}

// FindStarted finds the servers that a rollout has started, also those of which its own history says nothing because it was
// reset. It asks for each server by the workflow that locks it: Temporal's list may trail behind, and a description does
// not. It only reads; its errors pass by themselves.
func (a *Activities) FindStarted(ctx context.Context, in FindStartedInput) (FindStartedResult, error) {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	found := make([]StartedServer, len(in.ServerIDs))
	err := atOnce(ctx, len(in.ServerIDs), func(ctx context.Context, i int) error {
		described, err := a.Temporal.DescribeWorkflowExecution(ctx, lockID(in.Project, in.ServerIDs[i]), "")
		if isA[*serviceerror.NotFound](err) {
			return nil
		}
		newest := described.GetWorkflowExecutionInfo()
		started := newest.GetStartTime().AsTime()
		if err == nil && newest.GetParentExecution().GetWorkflowId() == in.WorkflowID && !started.Before(in.Since) {
			found[i] = StartedServer{ServerID: in.ServerIDs[i], RunID: runID(newest), StartedAt: started}
		}
		return err
	})
	if err != nil {
		return FindStartedResult{}, err
	}
	var result FindStartedResult
	for _, server := range found {
		if server.RunID != "" {
			result.Servers = append(result.Servers, server)
		}
	}
	return result, nil
}
