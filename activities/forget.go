package activities

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// ForgetChangeName is the name under which the workflow is registered that stands for the word of a human.
const ForgetChangeName = "ForgetChange"

// CheckDismissalName is the name under which the workflow is registered that checks whether ForgetChange would be refused.
// It takes the same input, and dismisses nothing.
const CheckDismissalName = "CheckDismissal"

// ForgetChangeInput says of changes that were not seen to their end that nothing comes of them any more.
type ForgetChangeInput struct {
	Project string `json:"project"`
	// Runs are those that sent them, of the workflow that locks the server. One that is not named may still come.
	Runs []string `json:"runs"`
	// JobID is the job of the earliest of them, if that is known, UnderWaySince when the cloud was last seen to work on it,
	// and Change what was asked for: it names the secrets that the cloud may repeat in its words.
	JobID         string         `json:"job_id,omitempty"`
	UnderWaySince time.Time      `json:"under_way_since,omitzero"`
	Change        rollout.Change `json:"change"`
	// Last is how the latest of them ended as far as it was seen.
	Last rollout.ServerResult `json:"last"`
	// By says so, and why.
	By      string `json:"by"`
	Comment string `json:"comment,omitempty"`
}

// Forget is what to say when nothing comes of them any more.
func (e Earlier) Forget(project, serverID string) ForgetChangeInput {
	in := ForgetChangeInput{Project: project}
	for i, change := range e.Open {
		in.Runs = append(in.Runs, change.RunID)
		in.JobID, in.UnderWaySince, in.Change = change.JobID, change.UnderWaySince, change.Change
		switch {
		case i > 0:
		case change.Result != nil:
			in.Last = *change.Result
		default:
			in.Last = rollout.ServerResult{End: rollout.FailedChanged, ServerID: serverID, Name: change.Name, JobID: change.JobID, Before: change.Before}
		}
	}
	return in
}
