package api

import (
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// PlanRolloutInput asks for a plan. The files of the selection have been read into it already.
type PlanRolloutInput struct {
	Document document.Rollout `json:"document"`
}

// PlanRolloutResult is the plan, or every reason why there is none.
type PlanRolloutResult struct {
	Plan     *rollout.Plan `json:"plan,omitempty"`
	Problems []string      `json:"problems,omitempty"`
	// Whole are the problems with the names of all servers, where they are more than Problems names.
	Whole []string `json:"whole,omitempty"`
}

// CheckPlanInput asks whether the servers are still as they were when the plan was made.
type CheckPlanInput struct {
	Plan rollout.Plan `json:"plan"`
}

// CheckPlanResult names what has changed since. Empty means that the plan can be carried out.
type CheckPlanResult struct {
	Drift []rollout.Drift `json:"drift,omitempty"`
}

// ReadingProgress is the heartbeat of the activities of PlanRollout and CheckPlan: what they read now. It is for people.
type ReadingProgress struct {
	Reading string `json:"reading"`
	// Trouble is with what a request has failed that is tried again. Empty for none.
	Trouble string `json:"trouble,omitempty"`
}
