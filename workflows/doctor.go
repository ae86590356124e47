package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
)

// Doctor has a worker say what stands in the way of its work, for somebody who has no cloud credentials. It touches
// nothing. A check that failed is data.
func Doctor(ctx workflow.Context, in activities.DiagnoseInput) (activities.DiagnoseResult, error) {
	var found activities.DiagnoseResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "check what a worker needs of the cloud"), act.Diagnose, in).Get(ctx, &found)
	return found, err
}
