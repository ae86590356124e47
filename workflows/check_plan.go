package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
)

// CheckPlan tells whether a plan still fits the servers, before it is applied. It touches nothing. A plan
// that was edited fails with InvalidRequest.
func CheckPlan(ctx workflow.Context, in api.CheckPlanInput) (api.CheckPlanResult, error) {
	var checked contract.CheckPlanResult
	ctx = planOptions(ctx, "see what has changed since the plan was made")
	err := workflow.ExecuteActivity(ctx, contract.CheckPlan, contract.CheckPlanInput{Plan: in.Plan}).Get(ctx, &checked)
	return api.CheckPlanResult{Drift: checked.Drift}, err
}
