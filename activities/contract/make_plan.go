package contract

import (
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// MakePlan is the name under which the activity is registered.
const MakePlan = "MakePlan"

// MakePlanInput asks for a plan. The files of the selection have been read into it already.
type MakePlanInput struct {
	Document document.Rollout `json:"document"`
}

// MakePlanResult is the plan, or every reason why there is none.
type MakePlanResult struct {
	Plan     *rollout.Plan `json:"plan,omitempty"`
	Problems []string      `json:"problems,omitempty"`
	// Whole are the same problems with the names of all servers, where Problems names ten at most. Empty where Problems
	// names all.
	Whole []string `json:"whole,omitempty"`
}
