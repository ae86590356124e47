package contract

import "github.com/reimage/reimage/rollout"

// AwaitServer is the name under which the activity is registered.
const AwaitServer = "AwaitServer"

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
