package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// answer registers the queries and the commands before anything else happens.
func (r *rolloutRun) answer(ctx workflow.Context) error {
	progress := workflow.QueryHandlerOptions{Description: "What the rollout does, and which servers are in flight or have failed."}
	if err := workflow.SetQueryHandlerWithOptions(ctx, api.ProgressQuery, func() (rollout.Progress, error) {
		return r.engine.Progress(), nil
	}, progress); err != nil {
		return err
	}
	page := workflow.QueryHandlerOptions{Description: "A page of the servers, by their position in the plan."}
	if err := workflow.SetQueryHandlerWithOptions(ctx, api.ServersQuery, r.page, page); err != nil {
		return err
	}
	log := workflow.QueryHandlerOptions{Description: "Who did what, as far back as it is remembered."}
	if err := workflow.SetQueryHandlerWithOptions(ctx, api.LogQuery, func() ([]rollout.LogEntry, error) {
		return r.engine.State().Log, nil
	}, log); err != nil {
		return err
	}
	for _, kind := range rollout.CommandKinds() {
		if err := r.obey(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

func (r *rolloutRun) page(page api.ServersPage) (api.ServersAnswer, error) {
	n := len(r.in.Plan.Servers)
	from := min(max(page.From, 0), n)
	to := min(from+min(max(page.Limit, 1), api.MaxServersPage), n)
	var answer api.ServersAnswer
	for i := from; i < to; i++ {
		answer.Servers = append(answer.Servers, r.engine.Server(i))
	}
	if to < n {
		answer.Next = to
	}
	return answer, nil
}

// obey registers one command. The validator refuses it before it enters the history.
func (r *rolloutRun) obey(ctx workflow.Context, kind rollout.CommandKind) error {
	handle := func(ctx workflow.Context, c rollout.Command) (string, error) {
		c.Kind = kind
		done, err := r.engine.Do(c, workflow.Now(ctx))
		if err != nil {
			return "", invalidInput("%v", err) // something came between the validator and here
		}
		r.wake(ctx)
		return done, nil
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, string(kind), handle, workflow.UpdateHandlerOptions{
		Validator: func(c rollout.Command) error {
			c.Kind = kind
			return r.engine.Check(c, workflow.Now(ctx))
		},
	})
}
