package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
)

// PlanRollout plans a rollout for somebody who has no cloud credentials: the command line, before it asks
// for consent. It touches nothing.
func PlanRollout(ctx workflow.Context, in PlanRolloutInput) (PlanRolloutResult, error) {
	var made activities.MakePlanResult
	ctx = planOptions(ctx, "read the servers and images, and plan")
	err := workflow.ExecuteActivity(ctx, act.MakePlan, activities.MakePlanInput{Document: in.Document}).Get(ctx, &made)
	return PlanRolloutResult{Plan: made.Plan, Problems: made.Problems, Whole: made.Whole}, err
}
