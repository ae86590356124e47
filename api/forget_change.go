package api

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

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

// StuckAfter is longer than any job takes once it is worked on: the cloud deletes it a day after its end.
const StuckAfter = 24 * time.Hour
