package workflows

import (
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout/change"
)

// originalRunID is the run as which the workflow began. A reset keeps it, and gives the workflow another run id. Activities
// compare the two, because a reset may run one again that was scheduled before it.
func originalRunID(ctx workflow.Context) string { return workflow.GetInfo(ctx).OriginalRunID }

// noteReset is true for the error of an activity that touches nothing because the workflow was reset.
func (c *changeOS) noteReset(ctx workflow.Context, err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || app.Type() != api.ErrReset {
		return false
	}
	var prior change.PriorRun
	var record api.ChangeRecord
	if app.HasDetails() && app.Details(&record) == nil { // otherwise it is not known
		prior = change.PriorRun{Known: true, OriginalStatus: record.AsBefore, Result: record.Result, Record: change.Record{
			Pending: record.Pending, JobStatus: record.JobStatus, InProgressSince: record.InProgressSince, LeftOff: record.LeftOff,
		}}
	}
	c.book.WasReset(prior, workflow.Now(ctx))
	return true
}

// wasReset is true from the point on to which the workflow was reset. Before it, a replay follows what the first run did. The
// run id is recorded as a side effect: at that point it becomes another one than the original, which a reset keeps.
func wasReset(ctx workflow.Context) bool {
	var runID string
	recorded := workflow.MutableSideEffect(ctx, "run-id",
		func(ctx workflow.Context) any { return workflow.GetInfo(ctx).WorkflowExecution.RunID },
		func(a, b any) bool { return a == b })
	original := originalRunID(ctx)
	return recorded.Get(&runID) == nil && original != "" && runID != original
}

// pauseAfterReset pauses a rollout that was reset, and follows the servers that it had started, so that none of them is changed
// again or called not started.
func (r *rolloutRun) pauseAfterReset(ctx, always workflow.Context) {
	if r.reset || !wasReset(always) {
		return
	}
	r.reset = true
	r.engine.WasReset(workflow.Now(ctx))
	r.publishRecall(always)
	r.show(ctx)
	var found contract.FindStartedResult
	info := workflow.GetInfo(always)
	err := workflow.ExecuteActivity(startedOptions(always), contract.FindStarted, contract.FindStartedInput{
		Project: r.in.Plan.Project, WorkflowID: info.WorkflowExecution.ID, Since: info.WorkflowStartTime, ServerIDs: r.serverIDs(),
	}).Get(always, &found)
	if err != nil {
		workflow.GetLogger(ctx).Error("The servers that were started before the reset could not be found.", "Error", err)
		return
	}
	for _, started := range found.Servers {
		r.follow(always, started)
	}
}

func (r *rolloutRun) serverIDs() []string {
	ids := make([]string, len(r.in.Plan.Servers))
	for i, server := range r.in.Plan.Servers {
		ids[i] = server.ID
	}
	return ids
}

func (r *rolloutRun) isFollowed(server int) bool {
	return slices.ContainsFunc(r.running, func(running Running) bool { return running.Server == server })
}

// follow waits for a server that was started before the reset, whether or not it has ended by now.
func (r *rolloutRun) follow(ctx workflow.Context, started contract.StartedServer) {
	for i, server := range r.in.Plan.Servers {
		if server.ID != started.ServerID || !r.engine.Started(i, started.StartedAt, workflow.Now(ctx)) {
			continue
		}
		r.running = slices.DeleteFunc(r.running, func(other Running) bool { return other.Server == i })
		r.adopt(ctx, Running{Server: i, RunID: started.RunID, ImageID: r.in.Plan.Change.ImageID, Before: server.Before})
	}
}
