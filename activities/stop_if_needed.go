package activities

import (
	"context"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout/change"
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
		site: site{Activities: a}, project: in.Project, change: in.Change, recall: &recallCheck{rollout: in.Rollout, serverID: in.ServerID},
		in: change.PowerInput{ServerID: in.ServerID, Disk: in.Disk, AllowHard: in.AllowHard, ErrorSuffices: true},
	}
	first := isFirst(ctx)
	server, err := stop.run(ctx)
	doubt := stop.decide.Lost || !first
	touched := doubt || stop.decide.HasActed()
	if isRecalled(err) {
		err = recalledAfter(err, touched)
	}
	return contract.StopIfNeededResult{Status: server.Status, Updated: server.Updated, Doubt: doubt, Touched: touched}, err
}
