package activities

import (
	"context"

	"github.com/reimage/reimage/rollout"
)

// RestorePowerName is the name under which RestorePower is registered.
const RestorePowerName = "RestorePower"

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
	// Unsettled is true when the server may be about to change by itself: a stop whose end nobody saw, or a
	// new system that still sets itself up. It is then watched for the settle time first.
	Unsettled bool `json:"unsettled,omitempty"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, nothing is stopped, and only what a change stopped is started.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// RestorePowerResult is the server as it was seen last.
type RestorePowerResult struct {
	Status string `json:"status"`
}

// RestorePower starts or stops the server and waits until it is there with nothing under way. A server to start was
// stopped for the change. A view that shows it running may be older than that, so it counts only once a start of this
// activity has succeeded, or once it was shown for the settle time.
//
// Errors: as those of StopIfNeeded; WorkflowReset has no details. ForeignDisk has the image and the disk of the server (rollout.Fingerprint) in its details.
func (a *Activities) RestorePower(ctx context.Context, in RestorePowerInput) (RestorePowerResult, error) {
	restore := powerChange{
		site: site{Activities: a}, project: in.Project, serverID: in.ServerID, change: in.Change, disk: in.Disk,
		want: rollout.StatusShutoff, allowHard: in.AllowHard, unsettled: in.Unsettled,
	}
	if in.On {
		restore.want = rollout.StatusActive
	}
	if wasReset(ctx, in.OriginalRunID) {
		restore.permit = func(ctx context.Context, s site) error { return s.mayRestorePower(ctx, in) }
	}
	server, err := restore.run(ctx)
	return RestorePowerResult{Status: server.Status}, err
}
