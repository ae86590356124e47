package contract

import (
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// SubmitChangeOS is the name under which the activity is registered.
const SubmitChangeOS = "SubmitChangeOS"

// SubmitChangeOSInput asks for the change that destroys the system disk.
type SubmitChangeOSInput struct {
	Project  string         `json:"project"`
	ServerID string         `json:"server_id"`
	Change   rollout.Change `json:"change"`
	// Before is the system disk that may be destroyed. No other one is.
	Before rollout.Fingerprint `json:"before"`
	// Updated is when the cloud had last worked on the server before anything was sent. Empty for not known.
	Updated string `json:"updated,omitempty"`
	// MayAwaitPayment is true for a server whose change the cloud may accept and not begin before it is paid.
	MayAwaitPayment bool `json:"may_await_payment,omitempty"`
	// Rollout is asked before the change is sent. Touched is true when the server was stopped for it.
	Rollout api.RolloutRef `json:"rollout,omitzero"`
	Touched bool           `json:"touched,omitempty"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, nothing is sent.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// SubmitChangeOSResult says that the cloud has accepted the change.
type SubmitChangeOSResult struct {
	// JobID is empty when the answer was lost and the acceptance was seen on the server itself.
	JobID string `json:"job_id,omitempty"`
	// Seen is what the server showed in place of an answer.
	Seen string `json:"seen,omitempty"`
}
