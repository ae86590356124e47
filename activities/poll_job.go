package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout/change"
)

// PollJob waits for a job: change.Polling decides when it is over, and watch when it is worth a query. It only reads, so any
// attempt adopts the job where the last one left it.
func (a *Activities) PollJob(ctx context.Context, in contract.PollJobInput) (contract.PollJobResult, error) {
	first := isFirst(ctx)
	heart := startHeart(ctx, api.PollProgress{})
	defer heart.stop()
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return contract.PollJobResult{}, err
	}
	scheduled := activity.GetInfo(ctx).ScheduledTime
	decide := change.NewPolling(in.ServerID, in.JobID, in.Deadline, scheduled, a.Timing)
	schedule := s.watch(in.ServerID, scheduled)
	schedule.foreseen = true
	for next := decide.Begin(first); ; {
		if next.FollowJob {
			err = schedule.next(ctx, in.Deadline)
		} else {
			err = pause(ctx, next.Wait)
		}
		if err != nil {
			return contract.PollJobResult{}, err
		}
		job, answer, err := s.queryJob(ctx, in.JobID)
		if err != nil && answer.Status != change.JobUnknown && !answer.Withheld {
			return contract.PollJobResult{}, err
		}
		next = decide.Answered(answer, time.Now())
		switch {
		case next.Action != change.Finish:
			if answer.Name != "" {
				heart.say(ctx, api.PollProgress{Status: answer.Name})
			}
			continue
		case next.End.Failed:
			return contract.PollJobResult{}, err
		case next.End.Job.End == change.JobEndSucceeded && schedule.since.Before(in.Deadline): // a late query does not know how long it ran
			s.durations.note(s.Cloud.ProjectID(), took(job, schedule.since))
		case next.End.Job.End == change.JobEndFailed:
			s.suspect(ctx, in.Rollout, in.ServerID, "its job has failed")
		}
		return contract.PollJobResult(next.End.Job), nil
	}
}

// queryJob reads a job once. The error is for an attempt that ends with it.
func (s site) queryJob(ctx context.Context, jobID string) (ecs.Job, change.JobAnswer, error) {
	job, err := s.job(ctx, jobID)
	switch {
	case isNotFound(err):
		return job, change.JobAnswer{Status: change.JobUnknown, ByService: isAnswer(err)}, s.readError(ctx, err)
	case isAnswer(err):
		return job, change.JobAnswer{Withheld: true, Reason: err.Error()}, s.readError(ctx, err)
	case err != nil:
		return job, change.JobAnswer{}, err
	}
	return job, change.JobAnswer{Status: statusOf(job), Name: job.Status, Reason: job.Failure()}, nil
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
