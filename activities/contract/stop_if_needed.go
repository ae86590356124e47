package contract

import (
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// StopIfNeeded is the name under which the activity is registered.
const StopIfNeeded = "StopIfNeeded"

// StopIfNeededInput names the server to stop.
type StopIfNeededInput struct {
	Project  string `json:"project"`
	ServerID string `json:"server_id"`
	// Change names the secrets that the cloud may repeat: an earlier attempt may have sent them.
	Change rollout.Change `json:"change"`
	// Disk is the system disk it is about: a server that has another one by now is left alone.
	Disk string `json:"disk,omitempty"`
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool `json:"allow_hard,omitempty"`
	// Rollout is asked before each stop.
	Rollout api.RolloutRef `json:"rollout,omitzero"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, nothing is stopped.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// StopIfNeededResult is the server as it was seen last.
type StopIfNeededResult struct {
	Status string `json:"status"`
	// Updated is when the cloud last worked on the server. Whatever moves it after this comes from outside.
	Updated string `json:"updated,omitempty"`
	// Doubt is true when a stop whose answer was lost may arrive yet.
	Doubt bool `json:"doubt,omitempty"`
	// Touched is true when a stop was sent, or may have been.
	Touched bool `json:"touched,omitempty"`
}
