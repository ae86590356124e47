package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// RolloutRunInput is what a run of a Rollout workflow takes: what the rollout was started with, and the state that the run
// before has handed over.
type RolloutRunInput struct {
	api.RolloutInput
	// Carry is nil for the first run.
	Carry *Carry `json:"carry,omitempty"`
}

// Carry is what one run of a Rollout workflow hands to the next.
type Carry struct {
	State engine.State `json:"state"`
	// Running are the servers in flight. Their workflows outlive the run that started them.
	Running []Running `json:"running,omitempty"`
	// Recall is what the memo says, which Temporal hands to the next run.
	Recall rollout.Recall `json:"recall,omitempty"`
}

// Running is a server in flight.
type Running struct {
	Server int    `json:"server"` // its position in the plan
	RunID  string `json:"run_id"` // of its ChangeOS workflow
	// ImageID and Before are what it was asked to change to, and from: the measure of what became of it.
	ImageID string              `json:"image_id"`
	Before  rollout.Fingerprint `json:"before"`
	// Recheck is true when it was asked for its health alone.
	Recheck bool `json:"recheck,omitempty"`
}

// full is true when the history is long enough to go on in a new one.
func (r *rolloutRun) full(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	if limit := r.in.HistoryLimit; limit > 0 {
		return info.GetCurrentHistoryLength() >= limit
	}
	return info.GetContinueAsNewSuggested()
}

// continueAsNew hands over to the next run, which adopts the servers in flight: nothing is drained, all
// slots stay full. Only what is being started has to be known first, because a workflow that is asked for
// and not yet there would be lost. A cancel that came meanwhile is obeyed here: Temporal does not hand it on.
func (r *rolloutRun) continueAsNew(ctx, always workflow.Context) error {
	ready := func() bool { return r.starting == 0 && workflow.AllHandlersFinished(always) }
	for r.pauseAfterReset(ctx, always); !ready(); r.pauseAfterReset(ctx, always) {
		cancelled := func() bool { return ctx.Err() != nil && !r.cancelled }
		if err := workflow.Await(always, func() bool { return ready() || cancelled() }); err != nil {
			return err
		}
		r.heedCancel(ctx)
		r.publishRecall(always)
	}
	r.heedCancel(ctx)
	r.publishRecall(always)
	next := r.in
	next.Carry = &Carry{State: r.engine.State(), Running: r.running, Recall: r.recall}
	return workflow.NewContinueAsNewError(always, api.RolloutName, next)
}
