package contract

import "time"

// FindStarted is the name under which the activity is registered.
const FindStarted = "FindStarted"

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
