package activities

import (
	"context"

	"github.com/reimage/reimage/rollout"
)

// StopIfNeededName is the name under which StopIfNeeded is registered.
const StopIfNeededName = "StopIfNeeded"

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
	Rollout RolloutRef `json:"rollout,omitzero"`
	// OriginalRunID is the run as which the workflow began. In a workflow that was reset since, nothing is stopped.
	OriginalRunID string `json:"original_run_id,omitempty"`
}

// StopIfNeededResult is the server as it was seen last.
type StopIfNeededResult struct {
	Status string `json:"status"`
	// Updated is when the cloud last worked on the server. Whatever moves it after this is somebody's doing.
	Updated string `json:"updated,omitempty"`
	// Doubt is true when a stop whose answer nobody saw may arrive yet.
	Doubt bool `json:"doubt,omitempty"`
	// Touched is true when a stop was sent, or may have been.
	Touched bool `json:"touched,omitempty"`
}

// StopIfNeeded stops a running server and ends only when the cloud shows SHUTOFF with nothing under
// way: right after the stop job the cloud still refuses a change of OS. A server that is stopped
// already, or failed, is left alone.
//
// Errors: Overdue (the guest ignores the shutdown), Refused, ForeignDisk, ServerVanished, WorkflowReset with BeforeReset,
// and what passes by itself. Recalled has in its details (bool) whether a stop was sent, or may have been.
func (a *Activities) StopIfNeeded(ctx context.Context, in StopIfNeededInput) (StopIfNeededResult, error) {
	if wasReset(ctx, in.OriginalRunID) {
		return StopIfNeededResult{}, a.resetError(ctx, in.ServerID, in.OriginalRunID)
	}
	stop := powerChange{
		site: site{Activities: a}, project: in.Project, serverID: in.ServerID, change: in.Change, disk: in.Disk,
		want: rollout.StatusShutoff, allowHard: in.AllowHard,
		failedWillDo: true, // it can be changed as it is, and cannot be stopped
	}
	first := isFirst(ctx)
	stop.recall = &recallCheck{rollout: in.Rollout, serverID: in.ServerID}
	server, err := stop.run(ctx)
	touched := stop.lost || !first || stop.progress.Acted
	if isRecalled(err) {
		err = recalledAfter(err, touched)
	}
	return StopIfNeededResult{Status: server.Status, Updated: server.Updated, Doubt: stop.lost || !first, Touched: touched}, err
}
