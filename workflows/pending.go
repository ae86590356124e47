package workflows

import (
	"cmp"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
)

// maxMemoReason keeps the memo below the 2 KB from which Temporal warns.
const maxMemoReason = 400

// remember writes the record of the change to the memo, in the workflow task that schedules the next step. Later runs read nothing
// else to find out whether this change is pending.
func (c *changeOS) remember(ctx workflow.Context) {
	record, ok := c.book.Record()
	if !ok {
		return
	}
	result := c.book.Result
	if len(result.Reason) > maxMemoReason {
		result.Reason = strings.ToValidUTF8(result.Reason[:maxMemoReason], "") + "..."
	}
	memo := api.ChangeRecord{
		// An empty original run id comes from test environments only.
		FirstRunID: cmp.Or(originalRunID(ctx), workflow.GetInfo(ctx).WorkflowExecution.RunID),
		Change:     c.in.Change, AsBefore: c.book.PriorStatus(), Result: result,
		Pending: record.Pending, JobStatus: record.JobStatus, InProgressSince: record.InProgressSince, LeftOff: record.LeftOff,
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{api.ChangeMemo: memo}); err != nil {
		panic(err) // it fails the workflow task: no step is scheduled without its record
	}
}
