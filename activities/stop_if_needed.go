package activities

import (
	"context"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout"
)

// StopIfNeeded stops a running server and ends only when the cloud shows SHUTOFF with nothing under
// way: right after the stop job the cloud still refuses a change of OS. A server that is stopped
// already, or failed, is left alone.
//
// Errors: Overdue (the guest ignores the shutdown), Refused, ForeignDisk, ServerVanished, WorkflowReset with the record of the first run,
// and what passes by itself. Recalled has in its details (bool) whether a stop was sent, or may have been.
func (a *Activities) StopIfNeeded(ctx context.Context, in contract.StopIfNeededInput) (contract.StopIfNeededResult, error) {
	if wasReset(ctx, in.OriginalRunID) {
		return contract.StopIfNeededResult{}, a.resetError(ctx, in.ServerID, in.OriginalRunID)
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
	return contract.StopIfNeededResult{Status: server.Status, Updated: server.Updated, Doubt: stop.lost || !first, Touched: touched}, err
}
