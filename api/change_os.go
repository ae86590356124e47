package api

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/rollout"
)

// ChangeOSInput asks for the change of one server.
type ChangeOSInput struct {
	Project  string         `json:"project"`
	ServerID string         `json:"server_id"`
	Change   rollout.Change `json:"change"`
	// Expect is the system disk that the operator was shown and agreed to lose. Nil accepts any.
	Expect *rollout.Fingerprint `json:"expect,omitempty"`
	// Earlier is the disk from before an earlier attempt whose change may have come after it was judged. A
	// server that shows proof against it is done, and nothing is sent.
	Earlier *rollout.Fingerprint `json:"earlier,omitempty"`
	// AsBefore is the status that "as before" means, for an attempt that is not the first. Empty is the status
	// at the look, or that from before an earlier change which has left the server stopped.
	AsBefore string `json:"as_before,omitempty"`
	// Health is what proves that the application works. Nil asks nothing beyond the new disk.
	Health *rollout.Health `json:"health,omitempty"`
	// Soak is for how long a healthy server is watched on. It needs Health.
	Soak time.Duration `json:"soak,omitempty"`
	// Recheck asks for the health of a server that an earlier attempt has changed, and changes nothing. Earlier is the disk
	// from before that attempt, and Expect the one that it made.
	Recheck bool `json:"recheck,omitempty"`
	// Rollout is the rollout that the server belongs to. It may take the server back until the change is submitted.
	Rollout RolloutRef `json:"rollout,omitzero"`
}

// Step is where a server is in its runbook.
type Step string

// The steps in their order.
const (
	StepLook   Step = "look"
	StepStop   Step = "stop"
	StepSubmit Step = "submit"
	StepWait   Step = "wait"
	StepProve  Step = "prove"
	StepHealth Step = "health"
	StepSoak   Step = "soak"
	StepLeave  Step = "leave"
	StepEnded  Step = "ended"
)

// StepAt is a step and when it began.
type StepAt struct {
	Step Step      `json:"step"`
	At   time.Time `json:"at"`
}

// Status is the answer to StatusQuery.
type Status struct {
	// Steps are the steps so far; the server is at the last one.
	Steps    []StepAt `json:"steps"`
	ServerID string   `json:"server_id,omitempty"`
	Name     string   `json:"name,omitempty"`
	JobID    string   `json:"job_id,omitempty"`
	// Deadline is when the change that was submitted is judged by what the server shows. Zero before.
	Deadline time.Time `json:"deadline,omitzero"`
	// JobStatus is the last status of the job in the step wait. The workflow does not know it: a reader adds it from
	// the heartbeat of PollJobActivity.
	JobStatus string `json:"job_status,omitempty"`
	// Trouble is why the step is tried again, as a reader has it from Temporal. Empty without any.
	Trouble string `json:"trouble,omitempty"`
	// CancelRequested is true once a cancel was requested. From the step submit on it comes too late.
	CancelRequested bool              `json:"cancel_requested,omitempty"`
	End             rollout.ServerEnd `json:"end,omitempty"`
	Reason          string            `json:"reason,omitempty"`
}

// Now is the step the server is at.
func (s Status) Now() StepAt {
	if len(s.Steps) == 0 {
		return StepAt{}
	}
	return s.Steps[len(s.Steps)-1]
}

// AwaitsPayment is true while the change does not begin because its order was not paid.
func (s Status) AwaitsPayment() bool { return s.JobStatus == JobAwaitsPayment }

// JobAwaitsPayment is the status of a job that does not begin before its order is paid.
const JobAwaitsPayment = "PENDING_PAYMENT"

// PollJobActivity is the type of the activity of ChangeOS that waits for the job. Its heartbeat, which a description of the
// workflow has, is a PollProgress.
const PollJobActivity = "PollJob"

// PollProgress is the last status of the job.
type PollProgress struct {
	Status string `json:"status,omitempty"`
}

// EndWithoutResult reads the error with which a ChangeOS workflow ended: the result that a cancelled one
// left behind, or what became of it.
func EndWithoutResult(err error) (result *rollout.ServerResult, lost string) {
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok {
		var left rollout.ServerResult
		if canceled.HasDetails() && canceled.Details(&left) == nil {
			return &left, ""
		}
		return nil, "its workflow was cancelled"
	}
	if _, ok := errors.AsType[*temporal.TerminatedError](err); ok {
		return nil, "its workflow was terminated by hand"
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return nil, "its workflow timed out (" + timeout.TimeoutType().String() + ")"
	}
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case ok && app.Type() == ErrInvalidInput:
		return &rollout.ServerResult{End: rollout.NotStarted, Reason: "its workflow was refused, nothing was touched: " + app.Message()}, ""
	case ok:
		return nil, "its workflow failed: " + app.Message()
	}
	return nil, "its workflow ended without a result"
}
