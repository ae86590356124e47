package workflows

import (
	"cmp"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// maxMemoReason keeps the memo below the 2 KB from which Temporal warns.
const maxMemoReason = 400

// remember writes the record of the change to the memo, in the workflow task that schedules the next step. Later runs read nothing
// else to find out whether this change is pending.
func (c *changeOS) remember(ctx workflow.Context) {
	r := &c.record
	// An empty original run id comes from test environments only.
	r.FirstRunID = cmp.Or(originalRunID(ctx), workflow.GetInfo(ctx).WorkflowExecution.RunID)
	r.Change, r.AsBefore, r.Result = c.in.Change, c.in.AsBefore, c.result
	if reason := r.Result.Reason; len(reason) > maxMemoReason {
		r.Result.Reason = strings.ToValidUTF8(reason[:maxMemoReason], "") + "..."
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{api.ChangeMemo: *r}); err != nil {
		panic(err) // it fails the workflow task: no step is scheduled without its record
	}
}

// rememberStep is before a step that may take the power of the server, or have the change accepted.
func (c *changeOS) rememberStep(ctx workflow.Context, submits bool) {
	c.record.Pending = submits
	if c.powerBefore() == rollout.StatusActive {
		c.record.LeftOff = c.result.Before.VolumeID
	}
	c.remember(ctx)
}

// noteSubmit ends what is pending when the submission proves that nothing was accepted.
func (c *changeOS) noteSubmit(err error) {
	switch kind(err) {
	case api.ErrRefused, api.ErrInvalid, api.ErrCredentials, api.ErrSecret, api.ErrForeignDisk, api.ErrGivenUp, api.ErrRecalled:
		c.record.Pending = !isFinal(err)
	}
}

// noteJob ends what is pending when the job is over.
func (c *changeOS) noteJob(ctx workflow.Context) {
	c.record.Pending = c.job.End != contract.JobSucceeded && c.job.End != contract.JobFailed
	c.record.JobStatus = c.job.Status
	if api.IsInProgress(c.job.Status) {
		c.record.InProgressSince = workflow.Now(ctx)
	}
}

// rememberEnd is in the last workflow task of a run that has a record. The job decides, and not the server, which may have the image
// because somebody else changed it. Only without a job, the end of the server does. A run that was reset, and does not know what the
// first one did, has nothing to add.
func (c *changeOS) rememberEnd(ctx workflow.Context) {
	r, end := &c.record, c.result.End
	if r.FirstRunID == "" || c.reset && c.first == nil {
		return
	}
	r.Result = c.result
	isOver := r.JobStatus == "RUNNING" && r.IsApplied()
	if c.result.JobID == "" { // a server that is looked at again was not gone
		isOver = end != rollout.FailedChanged && end != rollout.FailedLost && end != rollout.Vanished
	}
	r.Pending = r.Pending && !isOver
	if c.running || end == rollout.Done || cmp.Or(c.result.Left, c.result.After.Status) == rollout.StatusActive {
		r.LeftOff = ""
	}
	c.remember(ctx)
}
