package change

import (
	"fmt"

	"github.com/reimage/reimage/rollout"
)

// Pending is an earlier change of a server whose record says that it may have been accepted and is not over.
type Pending struct {
	JobID   string
	ImageID string
	// Before is the server before it. Its disk is empty when that is not known.
	Before rollout.Fingerprint
	// Applied is true when the server was seen with the change.
	Applied bool
}

// Reason says why the change may still be applied to the server. Empty when it may not. The answer is that to a query of its
// job, and does not matter without a job id.
func (p Pending) Reason(answer JobAnswer, now rollout.Observation) string {
	isUntouched := p.Before.VolumeID == "" || now.VolumeID == p.Before.VolumeID || Foreign(now, p.Before, p.ImageID)
	isNotApplied := !p.Applied && isUntouched
	switch {
	case p.JobID == "" && isNotApplied:
		return "it may have been sent, its job is not known, and it was not seen to come"
	case p.JobID == "":
		return ""
	case answer.Status == JobUnknown && answer.ByService && isNotApplied: // jobs are deleted a day after their end; this one may be unpaid
		return fmt.Sprintf("the cloud no longer knows its job %s, and it was not seen to come", p.JobID)
	case answer.Status == JobUnknown && answer.ByService:
		return ""
	case answer.Status == JobUnknown || answer.Withheld: // a page of a proxy proves nothing about the job
		return fmt.Sprintf("of its job %s the cloud does not tell: %s", p.JobID, answer.Reason)
	case answer.Status == JobSucceeded || answer.Status == JobFailed:
		return ""
	}
	return fmt.Sprintf("its job %s is %s", p.JobID, answer.Name)
}
