package contract

import "github.com/reimage/reimage/rollout"

// CheckPlan is the name under which the activity is registered.
const CheckPlan = "CheckPlan"

// CheckPlanInput asks whether the servers are still as they were when the plan was made.
type CheckPlanInput struct {
	Plan rollout.Plan `json:"plan"`
}

// CheckPlanResult names what has changed since. Empty means that the plan can be carried out.
type CheckPlanResult struct {
	Drift []rollout.Drift `json:"drift,omitempty"`
}
