package activities

import (
	"context"
	"fmt"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/planner"
)

// CheckPlanName is the name under which CheckPlan is registered.
const CheckPlanName = "CheckPlan"

// CheckPlanInput asks whether the servers are still as they were when the plan was made.
type CheckPlanInput struct {
	Plan rollout.Plan `json:"plan"`
}

// CheckPlanResult names what has changed since. Empty means that the plan can be carried out.
type CheckPlanResult struct {
	Drift []rollout.Drift `json:"drift,omitempty"`
}

// CheckPlan reads the planned servers, a hundred with each request, the jobs of earlier changes that were
// not seen to their end, and the image. It touches nothing. A
// plan that is not as the planner made it is InvalidRequest; other errors are trouble with asking.
func (a *Activities) CheckPlan(ctx context.Context, in CheckPlanInput) (CheckPlanResult, error) {
	plan := in.Plan
	if err := plan.Verify(); err != nil {
		return CheckPlanResult{}, final(ErrInvalid, fmt.Errorf("%w: make a new plan", err))
	}
	g, ctx, end := a.gather(ctx)
	defer end()
	s, err := a.find(ctx, plan.Project)
	switch {
	case isTrouble(err):
		return CheckPlanResult{}, s.untold(ctx, err)
	case err != nil: // another project's servers are not ours to ask for
		return CheckPlanResult{Drift: []rollout.Drift{{What: "the plan is for project " + plan.Project + ": " + err.Error()}}}, nil
	}
	g.from(ctx, s)
	g.change = plan.Change
	ids := make([]string, len(plan.Servers))
	for i, s := range plan.Servers {
		ids[i] = s.ID
	}
	if err := g.named(ctx, ids); err != nil {
		return CheckPlanResult{}, g.failure(ctx, err)
	}
	if err := g.unfinished(ctx, plan); err != nil {
		return CheckPlanResult{}, g.failure(ctx, err)
	}
	if err := g.image(ctx, plan.Change.ImageID); err != nil {
		return CheckPlanResult{}, g.failure(ctx, err)
	}
	return CheckPlanResult{Drift: planner.Drift(plan, g.Inventory)}, nil
}
