package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
)

// PlanRollout plans a rollout for somebody who has no cloud credentials: the command line, before it asks
// for consent. It touches nothing.
func PlanRollout(ctx workflow.Context, in api.PlanRolloutInput) (api.PlanRolloutResult, error) {
	var made contract.MakePlanResult
	ctx = planOptions(ctx, "read the servers and images, and plan")
	err := workflow.ExecuteActivity(ctx, contract.MakePlan, contract.MakePlanInput{Document: in.Document}).Get(ctx, &made)
	return api.PlanRolloutResult{Plan: made.Plan, Problems: made.Problems, Whole: made.Whole}, err
}
