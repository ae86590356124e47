package activities

import (
	"context"
	"time"

	"github.com/reimage/reimage/rollout"
)

// PollJobName is the name under which PollJob is registered.
const PollJobName = "PollJob"

// PollJobInput names the job to wait for.
type PollJobInput struct {
	Project string `json:"project"`
	JobID   string `json:"job_id"`
	// Change names the secrets that the cloud may repeat in its words on a failure.
	Change rollout.Change `json:"change"`
	// Deadline is when to stop waiting, by the workflow's clock.
	Deadline time.Time `json:"deadline"`
}

// JobEnd is how the wait for a job ended.
type JobEnd string

// The ends of a wait. None of them is proof: VerifyServer is.
const (
	JobSucceeded JobEnd = "succeeded"
	JobFailed    JobEnd = "failed"
	JobForgotten JobEnd = "forgotten" // finished jobs are deleted after a day
	JobOverdue   JobEnd = "overdue"   // still not over at the deadline
)

// PollJobResult is the verdict of the job.
type PollJobResult struct {
	End JobEnd `json:"end"`
	// Reason is the cloud's word on a failure, or the last status of a job that is overdue.
	Reason string `json:"reason,omitempty"`
}

// PollProgress is the heartbeat: the last status of the job.
type PollProgress struct {
	Status string `json:"status,omitempty"`
}

// PollJob waits for a job. It only reads, so any attempt adopts the job where the last one left it.
// Statuses it does not know are not final: the deadline bounds them.
func (a *Activities) PollJob(ctx context.Context, in PollJobInput) (PollJobResult, error) {
	heart := startHeart(ctx, PollProgress{})
	defer heart.stop()
	s, err := a.at(in.Project)
	if err != nil {
		return PollJobResult{}, err
	}
	for {
		job, err := s.Cloud.Job(ctx, in.JobID)
		switch {
		case isNotFound(err):
			return PollJobResult{End: JobForgotten, Reason: "the cloud no longer knows its job"}, nil
		case err != nil:
			return PollJobResult{}, readError(ctx, err)
		case job.Succeeded():
			return PollJobResult{End: JobSucceeded}, nil
		case job.Final():
			return PollJobResult{End: JobFailed, Reason: s.scrub(in.Change, job.Failure())}, nil
		case !time.Now().Before(in.Deadline):
			return PollJobResult{End: JobOverdue, Reason: "the job is still " + job.Status}, nil
		}
		heart.say(ctx, PollProgress{Status: job.Status})
		if err := pause(ctx, a.Timing.Poll); err != nil {
			return PollJobResult{}, err
		}
	}
}
