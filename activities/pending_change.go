package activities

import (
	"context"
	"slices"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// pendingReason says why one of the changes may still be applied to the server. Empty when none may.
func (s site) pendingReason(ctx context.Context, changes []api.PendingChange, now rollout.Observation) (why string, err error) {
	for _, earlier := range slices.Backward(changes) { // the one with a job says more
		if why, err = s.changePendingReason(ctx, earlier, now); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (s site) changePendingReason(ctx context.Context, earlier api.PendingChange, now rollout.Observation) (string, error) {
	p := change.Pending{
		JobID: earlier.Result.JobID, ImageID: earlier.Change.ImageID, Before: earlier.Result.Before.Fingerprint, Applied: earlier.IsApplied(),
	}
	if p.JobID == "" {
		return p.Reason(change.JobAnswer{}, now), nil
	}
	s = s.about(earlier.Change) // the cloud may repeat what it was sent then, and not now
	job, err := confirmMissing(ctx, s, func() (ecs.Job, error) { return s.Cloud.Job(ctx, p.JobID) })
	answer := change.JobAnswer{Status: statusOf(job), Name: job.Status}
	switch {
	case isNotFound(err):
		answer = change.JobAnswer{Status: change.JobUnknown, ByService: isAnswer(err), Reason: err.Error()}
	case isAnswer(err):
		answer = change.JobAnswer{Withheld: true, Reason: err.Error()}
	case err != nil:
		return "", s.cloudError(ctx, err)
	}
	return p.Reason(answer, now), nil
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
