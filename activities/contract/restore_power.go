package contract

import "github.com/reimage/reimage/rollout"

// RestorePower is the name under which the activity is registered.
const RestorePower = "RestorePower"

// RestorePowerInput says how to leave the server.
type RestorePowerInput struct {
	Project  string `json:"project"`
	ServerID string `json:"server_id"`
	// Change names the secrets that the cloud was sent, and may repeat.
	Change rollout.Change `json:"change"`
	// Disk is the system disk it is about: a server that has another one by now is left alone.
	Disk string `json:"disk,omitempty"`
	// On is true for a running server, false for a stopped one.
	On bool `json:"on"`
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool `json:"allow_hard,omitempty"`
	// Unsettled is true when the server may be about to change by itself: a stop whose end is not known, or a
	// new system that still sets itself up. It is then watched for the settle time first.
	Unsettled bool `json:"unsettled,omitempty"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, nothing is stopped, and only what a change stopped is started.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// RestorePowerResult is the server as it was seen last.
type RestorePowerResult struct {
	Status string `json:"status"`
}
