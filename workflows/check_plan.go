package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
)

// CheckPlan tells whether a plan still fits the servers, before it is applied. It touches nothing. A plan
// that was edited fails with InvalidRequest.
func CheckPlan(ctx workflow.Context, in CheckPlanInput) (CheckPlanResult, error) {
	var checked activities.CheckPlanResult
	ctx = planOptions(ctx, "see what has changed since the plan was made")
	err := workflow.ExecuteActivity(ctx, act.CheckPlan, activities.CheckPlanInput{Plan: in.Plan}).Get(ctx, &checked)
	return CheckPlanResult{Drift: checked.Drift}, err
}
