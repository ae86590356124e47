package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
)

// fewServers is up to how many servers are read by their ids, with one request. More are read with the list of the project.
const fewServers = 100

// readStates reads which servers are down and tells the engine.
func (r *rolloutRun) readStates(ctx workflow.Context) {
	r.reading = true
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer r.wake(ctx)
		var states contract.ReadStatesResult
		err := workflow.ExecuteActivity(statesOptions(ctx), contract.ReadStates, contract.ReadStatesInput{
			Project: r.in.Plan.Project, ServerIDs: r.countedServers(),
		}).Get(ctx, &states)
		r.reading = false
		switch {
		case err == nil:
			down := make(map[string]string, len(states.Down))
			for _, server := range states.Down {
				down[server.ID] = server.Status
			}
			r.engine.StatesRead(down, workflow.Now(ctx))
		case kind(err) == api.ErrCredentials:
			r.engine.StatesRefused(said(err), workflow.Now(ctx))
		default:
			r.engine.StatesNotRead(said(err), workflow.Now(ctx))
		}
	})
}

// countedServers are the ids of the servers that count against the caps, nil when they are many.
func (r *rolloutRun) countedServers() []string {
	plan := r.in.Plan
	others := plan.Untouched()
	if len(plan.Servers)+len(others) > fewServers {
		return nil
	}
	var ids []string
	for _, server := range plan.Servers {
		ids = append(ids, server.ID)
	}
	for _, other := range others {
		ids = append(ids, other.ID)
	}
	return ids
}
