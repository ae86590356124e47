package activities

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/api/workflow/v1"
)

// FindStartedName is the name under which FindStarted is registered.
const FindStartedName = "FindStarted"

// FindStartedInput names a rollout whose workflow was reset.
type FindStartedInput struct {
	Project string `json:"project"`
	// WorkflowID is that of the rollout, Since when the run began that was reset.
	WorkflowID string    `json:"workflow_id"`
	Since      time.Time `json:"since"`
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
// reset. Temporal's list may trail behind, so it is given some seconds first. It only reads; its errors pass by themselves.
func (a *Activities) FindStarted(ctx context.Context, in FindStartedInput) (FindStartedResult, error) {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	if err := pause(ctx, listPatience); err != nil {
		return FindStartedResult{}, err
	}
	prefix := LockIDPrefix + in.Project + "/"
	found := map[string]StartedServer{}
	var order []string
	err := list(ctx, a.Temporal, "WorkflowId STARTS_WITH '"+prefix+"'", func(run *workflow.WorkflowExecutionInfo) {
		id, started := strings.TrimPrefix(run.GetExecution().GetWorkflowId(), prefix), run.GetStartTime().AsTime()
		newest, known := found[id]
		if run.GetParentExecution().GetWorkflowId() != in.WorkflowID || started.Before(in.Since) || (known && started.Before(newest.StartedAt)) {
			return
		}
		if !known {
			order = append(order, id)
		}
		found[id] = StartedServer{ServerID: id, RunID: runID(run), StartedAt: started}
	})
	if err != nil {
		return FindStartedResult{}, err
	}
	var result FindStartedResult
	for _, id := range order {
		result.Servers = append(result.Servers, found[id])
	}
	return result, nil
}
