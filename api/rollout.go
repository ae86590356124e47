package api

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// RolloutInput starts a rollout.
type RolloutInput struct {
	Plan rollout.Plan `json:"plan"`
	// StartedBy is who applied the plan.
	StartedBy string `json:"started_by"`
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

// RecallMemo is the field of a rollout's memo that holds its rollout.Recall. The workflow task that accepts an abort, or
// notices a breach, writes it; a later description of the rollout holds it, without a task of any workflow.
const RecallMemo = "recall"

// RolloutRef names the rollout that a server belongs to. The zero value is a change of one server alone.
type RolloutRef struct {
	WorkflowID string `json:"workflow_id"`
	// FirstRunID tells it from a later rollout of the same name. Empty accepts any.
	FirstRunID string `json:"first_run_id,omitempty"`
}

// SuspicionSignal tells a rollout that a server in flight may have failed. Its argument is a Suspicion.
const SuspicionSignal = "server-suspected"

// Suspicion names a server and says in words of our own what it shows.
type Suspicion struct {
	ServerID string `json:"server_id"`
	Reason   string `json:"reason"`
}

// CredentialsSignal tells a rollout that the cloud refuses the workers' credentials to a server in flight, which waits
// for them. Its argument is the refusal, a sentence that names the profile.
const CredentialsSignal = "credentials-refused"
