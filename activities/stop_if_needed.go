package activities

import (
	"context"

	"github.com/reimage/reimage/rollout"
)

// StopIfNeededName is the name under which StopIfNeeded is registered.
const StopIfNeededName = "StopIfNeeded"

// StopIfNeededInput names the server to stop.
type StopIfNeededInput struct {
	ServerID string `json:"server_id"`
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool `json:"allow_hard,omitempty"`
}

// StopIfNeededResult is the server as it was seen last.
type StopIfNeededResult struct {
	Status string `json:"status"`
}

// StopIfNeeded stops a running server and ends only when the cloud shows SHUTOFF with nothing under
// way: right after the stop job the cloud still refuses a change of OS. A server that is stopped
// already, or failed, is left alone.
//
// Errors: Overdue (the guest ignores the shutdown), Refused, ServerVanished, and what passes by itself.
func (a *Activities) StopIfNeeded(ctx context.Context, in StopIfNeededInput) (StopIfNeededResult, error) {
	server, err := a.observe(ctx, in.ServerID)
	if err != nil {
		return StopIfNeededResult{}, err
	}
	if server.Idle() && server.Status == rollout.StatusError {
		return StopIfNeededResult{Status: server.Status}, nil
	}
	stop := powerChange{Activities: a, serverID: in.ServerID, want: rollout.StatusShutoff, allowHard: in.AllowHard}
	server, err = stop.run(ctx)
	return StopIfNeededResult{Status: server.Status}, err
}
