package api

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// ChangeMemo is the field of the memo of ChangeOS that holds its ChangeRecord, as plain JSON. The workflow task that schedules
// a step writes it, so Temporal has it before the step can begin. Describe and list return it of closed runs too.
const ChangeMemo = "change"

// ChangeRecord is what a run of ChangeOS has asked of its server. A run without a record has touched nothing.
type ChangeRecord struct {
	// FirstRunID is the run as which the workflow began. Another one than the run itself means that it was reset.
	FirstRunID string         `json:"first_run_id"`
	Change     rollout.Change `json:"change"`
	// AsBefore is the status that "as before" means, when that is not the one of Result.Before.
	AsBefore string `json:"as_before,omitempty"`
	// Pending is true when the change may have been accepted, and is not over as far as is known.
	Pending bool `json:"pending,omitempty"`
	// JobStatus is the last known status of a job that was not over.
	JobStatus string `json:"job_status,omitempty"`
	// InProgressSince is when the cloud was first seen to work on the job after its deadline.
	InProgressSince time.Time `json:"in_progress_since,omitzero"`
	// LeftOff is the system disk of the server when the change took its power, or may have, and did not give it back.
	LeftOff string `json:"left_off,omitempty"`
	// Result is what is known of the server so far. Its End is empty until the run has ended.
	Result rollout.ServerResult `json:"result"`
}

// IsApplied is true when the server was seen with the change. What it showed before the order was paid is another change.
func (r ChangeRecord) IsApplied() bool {
	return r.Result.End == rollout.Done && r.JobStatus != JobAwaitsPayment
}

// IsInProgress is true for a status of a job that the cloud works on, or begins to.
func IsInProgress(status string) bool { return status == "INIT" || status == "RUNNING" }

// StuckAfter is longer than any job takes once it is worked on: the cloud deletes it a day after its end. A job that the cloud was
// seen to work on for so long may be dismissed.
const StuckAfter = 24 * time.Hour

// PendingChange is a change of a server that is pending.
type PendingChange struct {
	RunID string `json:"run_id"`
	ChangeRecord
}

// DismissChangeInput names pending changes of a server that are over, as a human knows. A change that it does not name stays pending.
type DismissChangeInput struct {
	Project  string `json:"project"`
	ServerID string `json:"server_id"`
	// Changes are the latest first.
	Changes []PendingChange `json:"changes"`
	// CheckOnly finds out whether the dismissal would be refused, and dismisses nothing.
	CheckOnly bool `json:"check_only,omitempty"`
	// By is who dismisses them, and Comment why.
	By      string `json:"by,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// DismissalMemo is the field of the memo of DismissChange that holds its Dismissal, as plain JSON.
const DismissalMemo = "dismissal"

// Dismissal is what a run of DismissChange has found out.
type Dismissal struct {
	// Runs are those whose changes are dismissed. Empty for a dismissal that was refused.
	Runs []string `json:"runs,omitempty"`
	// InProgressSince is when the cloud was first seen to work on the job of the earliest change.
	InProgressSince time.Time `json:"in_progress_since,omitzero"`
}
