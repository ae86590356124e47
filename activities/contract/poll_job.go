package contract

import (
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// PollJob is the name under which the activity is registered.
const PollJob = api.PollJobActivity

// PollJobInput names the job to wait for.
type PollJobInput struct {
	Project string `json:"project"`
	JobID   string `json:"job_id"`
	// ServerID is the server that the job is about.
	ServerID string `json:"server_id,omitempty"`
	// Change tells whether the server was sent secrets, which the cloud may repeat of its job.
	Change rollout.Change `json:"change"`
	// Deadline is when to stop waiting, by the workflow's clock.
	Deadline time.Time `json:"deadline"`
	// Rollout learns at once that the job has failed: the verdict takes minutes.
	Rollout api.RolloutRef `json:"rollout,omitzero"`
}

// PollJobResult is what the cloud answered about the job. None of its ends is proof: VerifyServer is.
type PollJobResult struct {
	End change.JobEnd `json:"end"`
	// Reason is the cloud's on a failure, or the last that is known of a job that is overdue.
	Reason string `json:"reason,omitempty"`
	// Status is that of a job that is overdue, where the cloud shows it.
	Status string `json:"status,omitempty"`
}
