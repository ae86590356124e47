package activities

import (
	"cmp"
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
)

// PollJob waits for a job: watch says when it looks. It only reads, so any attempt adopts the job where the last
// one left it. Statuses it does not know are not final: the deadline bounds them.
func (a *Activities) PollJob(ctx context.Context, in contract.PollJobInput) (contract.PollJobResult, error) {
	adopted := !isFirst(ctx)
	heart := startHeart(ctx, api.PollProgress{})
	defer heart.stop()
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return contract.PollJobResult{}, err
	}
	// The job began when the activity was scheduled, or a moment before.
	job := s.watch(in.ServerID, activity.GetInfo(ctx).ScheduledTime)
	job.foreseen = true
	for ; ; adopted = false {
		if !adopted { // an attempt that takes over looks at once
			if err := job.next(ctx, in.Deadline); err != nil {
				return contract.PollJobResult{}, err
			}
		}
		now, err := confirmMissing(ctx, s, func() (ecs.Job, error) { return s.job(ctx, in.JobID) })
		switch {
		case isNotFound(err) && (isAnswer(err) || job.since.Before(in.Deadline)): // who asks once takes no page for a word on the job
			return contract.PollJobResult{End: contract.JobForgotten, Reason: "the cloud no longer knows its job"}, nil
		case isAnswer(err) && !time.Now().Before(in.Deadline): // it may say so for ever
			return contract.PollJobResult{End: contract.JobOverdue, Reason: "the cloud does not tell of its job: " + err.Error()}, nil
		case err != nil:
			return contract.PollJobResult{}, s.readError(ctx, err)
		case now.Succeeded():
			if job.since.Before(in.Deadline) { // who asks once does not know since when it runs
				s.durations.note(s.Cloud.ProjectID(), took(now, job.since))
			}
			return contract.PollJobResult{End: contract.JobSucceeded}, nil
		case now.Final():
			s.suspect(ctx, in.Rollout, in.ServerID, "its job has failed")
			return contract.PollJobResult{End: contract.JobFailed, Reason: now.Failure()}, nil
		case !time.Now().Before(in.Deadline):
			return contract.PollJobResult{End: contract.JobOverdue, Status: now.Status, Reason: "the job is still " + now.Status + owed(now.Status, in.ServerID)}, nil
		}
		heart.say(ctx, api.PollProgress{Status: now.Status})
	}
}

// owed is what to do about an order that nobody has paid: until then another change would be another order.
func owed(status, serverID string) string {
	if status != api.JobAwaitsPayment {
		return ""
	}
	return ": pay its order in the cloud's console, or cancel it there and say so with reimage server forget " + cmp.Or(serverID, "ID") + ", before the server is tried again"
}

// took is how long the job took by its own word, which does not depend on when somebody looked. A job that claims
// more than the time that has passed is one of an emulated cloud that is faster than time.
func took(job ecs.Job, since time.Time) time.Duration {
	passed := time.Since(since)
	if own := job.End.Sub(job.Begin); own > 0 && own <= passed {
		return own
	}
	return passed
}
