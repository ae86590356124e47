package activities

import (
	"cmp"
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// PollJobName is the name under which PollJob is registered.
const PollJobName = "PollJob"

// PollJobInput names the job to wait for.
type PollJobInput struct {
	Project string `json:"project"`
	JobID   string `json:"job_id"`
	// ServerID is the server that the job is about. Empty from workflows of before it was known here.
	ServerID string `json:"server_id,omitempty"`
	// Change tells whether the server was sent secrets, which the cloud may repeat of its job.
	Change rollout.Change `json:"change"`
	// Deadline is when to stop waiting, by the workflow's clock.
	Deadline time.Time `json:"deadline"`
	// Rollout learns at once that the job has failed: the verdict takes minutes.
	Rollout RolloutRef `json:"rollout,omitzero"`
}

// JobEnd is how the wait for a job ended.
type JobEnd string

// The ends of a wait. None of them is proof: VerifyServer is.
const (
	JobSucceeded JobEnd = "succeeded"
	JobFailed    JobEnd = "failed"
	JobForgotten JobEnd = "forgotten" // finished jobs are deleted after a day
	JobOverdue   JobEnd = "overdue"   // not known to be over at the deadline
)

// PollJobResult is the verdict of the job.
type PollJobResult struct {
	End JobEnd `json:"end"`
	// Reason is the cloud's word on a failure, or the last that was heard of a job that is overdue.
	Reason string `json:"reason,omitempty"`
	// Status is that of a job that is overdue, where the cloud tells it.
	Status string `json:"status,omitempty"`
}

// JobAwaitsPayment is the status of a job that does not begin before its order is paid.
const JobAwaitsPayment = "PENDING_PAYMENT"

// UnderWay is true for a status of a job that the cloud works on, or begins to.
func UnderWay(status string) bool { return status == "INIT" || status == "RUNNING" }

// PollProgress is the heartbeat: the last status of the job.
type PollProgress struct {
	Status string `json:"status,omitempty"`
}

// PollJob waits for a job: watch says when it looks. It only reads, so any attempt adopts the job where the last
// one left it. Statuses it does not know are not final: the deadline bounds them.
func (a *Activities) PollJob(ctx context.Context, in PollJobInput) (PollJobResult, error) {
	adopted := !isFirst(ctx)
	heart := startHeart(ctx, PollProgress{})
	defer heart.stop()
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return PollJobResult{}, err
	}
	// The job began when the activity was scheduled, or a moment before.
	job := s.watch(in.ServerID, activity.GetInfo(ctx).ScheduledTime)
	job.foreseen = true
	for ; ; adopted = false {
		if !adopted { // an attempt that takes over looks at once
			if err := job.next(ctx, in.Deadline); err != nil {
				return PollJobResult{}, err
			}
		}
		now, err := confirmMissing(ctx, s, func() (ecs.Job, error) { return s.job(ctx, in.JobID) })
		switch {
		case isNotFound(err) && (isAnswer(err) || job.since.Before(in.Deadline)): // who asks once takes no page for a word on the job
			return PollJobResult{End: JobForgotten, Reason: "the cloud no longer knows its job"}, nil
		case isAnswer(err) && !time.Now().Before(in.Deadline): // it may say so for ever
			return PollJobResult{End: JobOverdue, Reason: "the cloud does not tell of its job: " + err.Error()}, nil
		case err != nil:
			return PollJobResult{}, s.readError(ctx, err)
		case now.Succeeded():
			if job.since.Before(in.Deadline) { // who asks once does not know since when it runs
				s.durations.note(s.Cloud.ProjectID(), took(now, job.since))
			}
			return PollJobResult{End: JobSucceeded}, nil
		case now.Final():
			s.suspect(ctx, in.Rollout, in.ServerID, "its job has failed")
			return PollJobResult{End: JobFailed, Reason: now.Failure()}, nil
		case !time.Now().Before(in.Deadline):
			return PollJobResult{End: JobOverdue, Status: now.Status, Reason: "the job is still " + now.Status + owed(now.Status, in.ServerID)}, nil
		}
		heart.say(ctx, PollProgress{Status: now.Status})
	}
}

// owed is what to do about an order that nobody has paid: until then another change would be another order.
func owed(status, serverID string) string {
	if status != JobAwaitsPayment {
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
