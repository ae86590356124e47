package activities

import (
	"context"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// ReadStates reads which servers are down, so that they count against the caps of a rollout. It touches nothing. Its
// requests: one for a hundred servers that are named by their ids, or one for each page of the project's list. Its errors:
// CredentialsRefused, Refused, Throttled, CloudTrouble.
func (a *Activities) ReadStates(ctx context.Context, in contract.ReadStatesInput) (contract.ReadStatesResult, error) {
	g, ctx, end := a.gather(ctx)
	defer end()
	s, err := a.at(ctx, in.Project, rollout.Change{})
	if err != nil {
		return contract.ReadStatesResult{}, err
	}
	g.from(ctx, s)
	g.reading(ctx, "servers")
	servers, err := g.servers(ctx, in.ServerIDs)
	if err != nil {
		return contract.ReadStatesResult{}, g.cloudError(ctx, err)
	}
	var result contract.ReadStatesResult
	for _, server := range servers {
		if rollout.IsDown(server.Status) && server.Status != "DELETED" {
			result.Down = append(result.Down, contract.DownServer{ID: server.ID, Status: server.Status})
		}
	}
	return result, nil
}

// servers reads these servers, or all of the project.
func (g *gathering) servers(ctx context.Context, ids []string) ([]ecs.Server, error) {
	if len(ids) == 0 {
		return g.Cloud.Servers(ctx, ecs.ServerQuery{})
	}
	servers, _, err := g.Cloud.ServersByID(ctx, ids)
	return servers, err
}
