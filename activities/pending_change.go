package activities

import (
	"context"
	"fmt"
	"slices"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/rollout"
)

// pendingReason says why one of the changes may still be applied to the server. Empty when none may.
func (s site) pendingReason(ctx context.Context, changes []api.PendingChange, now rollout.Observation) (why string, err error) {
	for _, change := range slices.Backward(changes) { // the one with a job says more
		if why, err = s.changePendingReason(ctx, change, now); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (s site) changePendingReason(ctx context.Context, change api.PendingChange, now rollout.Observation) (string, error) {
	// It is applied when its own workflow has seen it, or when the server has another disk now, and one that the change leaves.
	before, jobID := change.Result.Before.Fingerprint, change.Result.JobID
	isNotApplied := !change.IsApplied() && (before.VolumeID == "" || now.VolumeID == before.VolumeID || now.Foreign(before, change.Change.ImageID))
	switch {
	case jobID == "" && isNotApplied:
		return "it may have been sent, its job is not known, and it was not seen to come", nil
	case jobID == "":
		return "", nil
	}
	s = s.about(change.Change) // the cloud may repeat what it was sent then, and not now
	job, err := confirmMissing(ctx, s, func() (ecs.Job, error) { return s.Cloud.Job(ctx, jobID) })
	switch {
	case isNotFound(err) && isAnswer(err) && isNotApplied: // jobs are deleted a day after their end; this one may be unpaid
		return fmt.Sprintf("the cloud no longer knows its job %s, and it was not seen to come", jobID), nil
	case isNotFound(err) && isAnswer(err):
		return "", nil
	case isNotFound(err) || isAnswer(err): // or a page of a proxy, which proves nothing about the job
		return fmt.Sprintf("of its job %s the cloud does not tell: %s", jobID, err.Error()), nil
	case err != nil:
		return "", s.cloudError(ctx, err)
	case job.Final():
		return "", nil
	}
	return fmt.Sprintf("its job %s is %s", jobID, job.Status), nil
}

// pendingChanges notes which of the planned servers have a pending change, or an earlier one that left them stopped; the latter
// also of those that are skipped because they run the image: no other look follows.
// Asked are those on which most of them are: an order that is not paid is one of a server paid by the year or month, and
// any other change stops its server, or has the platform do it. Each look of the rollout asks again, about every server.
func (g *gathering) pendingChanges(ctx context.Context, plan rollout.Plan) error {
	g.reading(ctx, "earlier changes")
	isPlanned, isSkipped := map[string]bool{}, map[string]bool{}
	for _, s := range plan.Servers {
		isPlanned[s.ID] = true
	}
	for _, s := range plan.Skipped {
		isSkipped[s.ID] = true
	}
	var servers []*rollout.InventoryServer
	var locks []string
	for i := range g.Servers {
		s := &g.Servers[i]
		isMeant := isPlanned[s.ID] || isSkipped[s.ID] && s.Observation.ImageID == plan.Change.ImageID && s.Observation.Status == rollout.StatusShutoff
		if isMeant && s.HeldBy == "" && (s.Prepaid || s.Observation.Status != rollout.StatusActive) {
			servers, locks = append(servers, s), append(locks, api.ChangeOSID(g.Project, s.ID))
		}
	}
	earlier, err := pending.OfServers(ctx, g.Temporal, locks)
	if err != nil {
		return err
	}
	return atOnce(ctx, len(servers), func(ctx context.Context, i int) (err error) {
		server := servers[i]
		found := earlier[locks[i]]
		server.LeftStopped = found.LeftStopped(server.Observation)
		server.Unfinished, err = g.pendingReason(ctx, found.Pending, server.Observation)
		return err
	})
}
