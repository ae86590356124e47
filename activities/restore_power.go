package activities

import (
	"context"

	"github.com/reimage/reimage/rollout"
)

// RestorePowerName is the name under which RestorePower is registered.
const RestorePowerName = "RestorePower"

// RestorePowerInput says how to leave the server.
type RestorePowerInput struct {
	ServerID string `json:"server_id"`
	// On is true for a running server, false for a stopped one.
	On bool `json:"on"`
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool `json:"allow_hard,omitempty"`
}

// RestorePowerResult is the server as it was seen last.
type RestorePowerResult struct {
	Status string `json:"status"`
}

// RestorePower starts or stops the server and waits until it is there with nothing under way.
//
// Errors: as those of StopIfNeeded.
func (a *Activities) RestorePower(ctx context.Context, in RestorePowerInput) (RestorePowerResult, error) {
	restore := powerChange{Activities: a, serverID: in.ServerID, want: rollout.StatusShutoff, allowHard: in.AllowHard}
	if in.On {
		restore.want = rollout.StatusActive
	}
	server, err := restore.run(ctx)
	return RestorePowerResult{Status: server.Status}, err
}
