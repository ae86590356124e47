package contract

import (
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// VerifyServer is the name under which the activity is registered.
const VerifyServer = "VerifyServer"

// VerifyServerInput says what would be proof.
type VerifyServerInput struct {
	Project  string `json:"project"`
	ServerID string `json:"server_id"`
	// Change names the image, and tells whether the server was sent secrets, which the cloud may repeat.
	Change rollout.Change      `json:"change"`
	Before rollout.Fingerprint `json:"before"`
	// Ended is true when nothing that was asked for can still be under way: a job has ended. Without
	// that word a server that looks untouched, or stopped, may be one that is being changed.
	Ended bool `json:"ended,omitempty"`
	// Deadline is until when a server that the cloud may still work on is waited for.
	Deadline time.Time `json:"deadline"`
	// Rollout learns at once of a server that looks failed: the verdict takes minutes. WasInError is true for one that was
	// in ERROR before its change.
	Rollout    api.RolloutRef `json:"rollout,omitzero"`
	WasInError bool           `json:"was_in_error,omitempty"`
}
