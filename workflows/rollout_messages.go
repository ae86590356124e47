package workflows

import (
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// RolloutID is the id of the workflow that carries out the rollout of that name.
func RolloutID(name string) string { return RolloutIDPrefix + name }

// RolloutIDPrefix begins the id of every Rollout workflow.
const RolloutIDPrefix = "rollout/"

// PlanID is the id of a workflow that makes or checks a plan.
func PlanID(name, nonce string) string { return "plan/" + name + "/" + nonce }

// The names under which the workflows of a fleet are registered.
const (
	RolloutName     = "Rollout"
	PlanRolloutName = "PlanRollout"
	CheckPlanName   = "CheckPlan"
)

// The queries of a Rollout workflow. Commands are updates: each has the name of its CommandKind, takes a
// rollout.Command and answers with a sentence that says what was done.
const (
	ProgressQuery = "progress" // answers with rollout.Progress
	ServersQuery  = "servers"  // takes ServersPage, answers with ServersAnswer
	LogQuery      = "log"      // answers with []rollout.LogEntry: everything the rollout remembers of its log
)

// ServersPage asks for servers by their position in the plan.
type ServersPage struct {
	From  int `json:"from"`
	Limit int `json:"limit"` // at most MaxServersPage
}

// MaxServersPage is the largest page of the servers query.
const MaxServersPage = 500

// ServersAnswer is a page of servers. Next is where the next page begins, zero after the last.
type ServersAnswer struct {
	Servers []rollout.ServerProgress `json:"servers"`
	Next    int                      `json:"next,omitempty"`
}

// PlanRolloutInput asks for a plan. The files of the selection have been read into it already.
type PlanRolloutInput struct {
	Document spec.Rollout `json:"document"`
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

// RolloutInput starts a rollout.
type RolloutInput struct {
	Plan rollout.Plan `json:"plan"`
	// StartedBy is who applied the plan.
	StartedBy string `json:"started_by"`
	// Carry is the state handed over when the workflow continues as new. Nobody else sets it.
	Carry *Carry `json:"carry,omitempty"`
	// HistoryLimit is the number of history events after which the workflow continues as new. Zero leaves
	// it to the server's advice. Tests lower it.
	HistoryLimit int `json:"history_limit,omitempty"`
}

// RolloutResult is how a rollout ended. What became of each server is asked for with ServersQuery, which
// finished workflows answer too.
type RolloutResult struct {
	End    rollout.RolloutEnd `json:"end"`
	Counts rollout.Counts     `json:"counts"`
	// Failed counted against the budget at the end, when Tolerated were tolerated.
	Failed    int       `json:"failed"`
	Tolerated int       `json:"tolerated"`
	ImageName string    `json:"image_name,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}
