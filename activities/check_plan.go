package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/planner"
)

// CheckPlan reads the planned servers, a hundred with each request, the jobs of earlier changes that were
// not seen to their end, the image, the key pair, and the secrets. It touches nothing. A
// plan that is not as the planner made it is InvalidRequest; other errors are trouble with asking.
func (a *Activities) CheckPlan(ctx context.Context, in contract.CheckPlanInput) (contract.CheckPlanResult, error) {
	plan := in.Plan
	if err := plan.Verify(); err != nil {
		return contract.CheckPlanResult{}, final(api.ErrInvalid, fmt.Errorf("%w: make a new plan", err))
	}
	if err := a.awaitReader(ctx, plan.Change.Login.PasswordFrom, plan.Change.UserDataFrom); err != nil {
		return contract.CheckPlanResult{}, err
	}
	g, ctx, end := a.gather(ctx)
	defer end()
	s, err := a.find(ctx, plan.Project)
	switch {
	case isTrouble(err):
		return contract.CheckPlanResult{}, s.untold(ctx, err)
	case err != nil: // another project's servers are not ours to ask for
		return contract.CheckPlanResult{Drift: []rollout.Drift{{What: "the plan is for project " + plan.Project + ": " + err.Error()}}}, nil
	}
	g.from(ctx, s)
	ids := make([]string, len(plan.Servers))
	for i, s := range plan.Servers {
		ids[i] = s.ID
	}
	if err := g.named(ctx, ids); err != nil {
		return contract.CheckPlanResult{}, g.failure(ctx, err)
	}
	if err := g.pendingChanges(ctx, plan); err != nil {
		return contract.CheckPlanResult{}, g.failure(ctx, err)
	}
	if err := g.image(ctx, plan.Change.ImageID); err != nil {
		return contract.CheckPlanResult{}, g.failure(ctx, err)
	}
	drift := slices.Concat(g.secretDrift(plan.Change), g.keyPairDrift(ctx, plan.Change.Login), planner.Drift(plan, g.Inventory))
	return contract.CheckPlanResult{Drift: drift}, ctx.Err()
}

// keyPairDrift tells of a key pair that is there no more. One that cannot be looked up was unknown to the plan, too.
func (g *gathering) keyPairDrift(ctx context.Context, login rollout.Login) []rollout.Drift {
	if login.KeyPair == "" {
		return nil
	}
	if missing := g.lookUpKeyPair(ctx, login).missing; missing != "" {
		return []rollout.Drift{{Name: api.CheckKeyPair, What: missing}}
	}
	return nil
}

// secretDrift is what stands against the passwords and the user data, as they are read now.
func (g *gathering) secretDrift(change rollout.Change) []rollout.Drift {
	if change.UserDataFrom != "" && change.UserDataDigest == "" {
		return []rollout.Drift{{Name: secretsDrift, What: fmt.Sprintf("the plan does not pin the user data from %s: it was not made by reimage plan", change.UserDataFrom)}}
	}
	_, err := g.requestFor(g.Inventory.Project, change, imageByID(g.Images, change.ImageID)) // the planner says if it is gone
	if err == nil {
		return nil
	}
	var drift []rollout.Drift
	for line := range strings.Lines(err.Error()) {
		drift = append(drift, rollout.Drift{Name: secretsDrift, What: strings.TrimSuffix(line, "\n")})
	}
	return drift
}

// secretsDrift is the name of a drift that is about secrets and not about a server.
const secretsDrift = "secrets"
