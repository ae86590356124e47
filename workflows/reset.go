package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
)

// originalRunID is the run as which the workflow began. A reset keeps it, and gives the workflow another run id. Activities
// compare the two, because a reset may run one again that was scheduled before it.
func originalRunID(ctx workflow.Context) string { return workflow.GetInfo(ctx).OriginalRunID }

// noteReset is true for the error of an activity that touches nothing because the workflow was reset.
func (c *changeOS) noteReset(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || app.Type() != activities.ErrReset {
		return false
	}
	c.reset = &activities.BeforeReset{}
	if app.HasDetails() {
		_ = app.Details(c.reset) // what cannot be read is not known
	}
	return true
}

// conclude ends a workflow that was reset: it waits until the server is at rest, gives back power that a change has
// provably taken, and ends by what the server shows. Nothing else is sent to it.
func (c *changeOS) conclude(ctx workflow.Context) {
	before := *c.reset
	c.result.Name, c.result.Before, c.result.JobID = before.Name, before.Before, before.JobID
	switch {
	case !before.Known:
		c.end(rollout.FailedChanged, "its workflow was reset, and Temporal no longer has the history of its first run: whether its disk was touched cannot be found out")
		return
	case !before.Touched:
		c.end(rollout.NotStarted, "its workflow was reset before the server was touched")
		return
	case before.Result != nil && before.Result.End == rollout.Done: // whatever became of the server since
		c.result = *before.Result
		return
	}
	c.ended = !before.Submitted || before.JobOver
	c.until = workflow.Now(ctx).Add(c.in.Change.WaitDeadline())
	if !c.ended {
		c.wait(ctx)
	}
	c.prove(ctx)
	c.result.Reason += "; its workflow was reset, and nothing was sent since"
	c.leave(ctx)
}
