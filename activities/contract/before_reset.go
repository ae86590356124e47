package contract

import "github.com/reimage/reimage/rollout"

// BeforeReset is what the first run of a workflow did that was reset, as far as its history has it. It is in the details
// of ErrReset. Only that run can have changed anything: a run that was reset sends no change and no stop.
type BeforeReset struct {
	// Known is false when Temporal no longer has the whole history, or it cannot be read.
	Known bool `json:"known,omitempty"`
	// Name and Before are the server as its look found it.
	Name   string              `json:"name,omitempty"`
	Before rollout.Observation `json:"before"`
	// AsBefore is the status that "as before" means, when that is not the one of Before.
	AsBefore string `json:"as_before,omitempty"`
	// Touched is true when it may have changed the power of the server, Submitted when it may have sent the change.
	Touched   bool `json:"touched,omitempty"`
	Submitted bool `json:"submitted,omitempty"`
	// JobID is the job of the change, and JobOver true when that has ended.
	JobID   string `json:"job_id,omitempty"`
	JobOver bool   `json:"job_over,omitempty"`
	// Result is how it ended. Nil when it did not.
	Result *rollout.ServerResult `json:"result,omitempty"`
}
