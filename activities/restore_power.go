package activities

import (
	"context"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout/change"
)

// RestorePower starts or stops the server and waits until it is there with nothing under way. A server to start was
// stopped for the change. A view that shows it running may be older than that, so it counts only once a start of this
// activity has succeeded, or once it was shown for the settle time.
//
// Errors: as those of StopIfNeeded; WorkflowReset has no details. ForeignDisk has the image and the disk of the server (rollout.Fingerprint) in its details.
func (a *Activities) RestorePower(ctx context.Context, in contract.RestorePowerInput) (contract.RestorePowerResult, error) {
	restore := powerChange{
		site: site{Activities: a}, project: in.Project, change: in.Change,
		in: change.PowerInput{ServerID: in.ServerID, Disk: in.Disk, On: in.On, AllowHard: in.AllowHard, Unsettled: in.Unsettled},
	}
	if wasReset(ctx, in.OriginalRunID) {
		restore.permit = func(ctx context.Context, s site) error { return s.mayRestorePower(ctx, in) }
	}
	server, err := restore.run(ctx)
	return contract.RestorePowerResult{Status: server.Status}, err
}
