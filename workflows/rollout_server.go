package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/reimage/reimage/rollout/engine"
)

// start starts the workflow of a server and tells the engine how it ended.
func (r *rolloutRun) start(ctx workflow.Context, start engine.Start) {
	r.starting++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer r.wake(ctx)
		order := r.changeOf(start)
		child := workflow.ExecuteChildWorkflow(r.childOptions(ctx, start), api.ChangeOSName, order)
		var execution workflow.Execution
		if err := child.GetChildWorkflowExecution().Get(ctx, &execution); err != nil {
			if r.isFollowed(start.Server) { // it was started before a reset
				r.starting--
				return
			}
			r.notStarted(ctx, start.Server, err)
			r.starting--
			return
		}
		running := Running{Server: start.Server, RunID: execution.RunID, ImageID: order.Change.ImageID, Before: start.Expect, Recheck: start.Recheck}
		r.running = append(r.running, running)
		r.starting--
		var result rollout.ServerResult
		if err := child.Get(ctx, &result); err != nil {
			left, lost := api.EndWithoutResult(err)
			r.ended(ctx, running, left, lost)
			return
		}
		r.ended(ctx, running, &result, "")
	})
}

// changeOf is the order for one server. A rollback is the same change with the image from before.
func (r *rolloutRun) changeOf(start engine.Start) api.ChangeOSInput {
	server := r.in.Plan.Servers[start.Server]
	in := api.ChangeOSInput{Project: r.in.Plan.Project, ServerID: server.ID, Change: r.in.Plan.Change, Expect: &start.Expect, Rollout: r.rollout}
	if r.in.Plan.Health != nil {
		in.Health, in.Soak = new(*r.in.Plan.Health), r.in.Plan.Soak
		if start.Rollback || start.Recheck || start.Attempt > 1 { // an unhealthy server is what these are for
			in.Health.RequireBefore = rollout.BeforeOff
		}
	}
	was := server.Status
	if server.LeftStopped && in.Change.Power == rollout.PowerAsBefore {
		was = rollout.StatusActive // as the plan has said
	}
	if start.Rollback {
		in.Change.ImageID, in.Change.EvenIfSameImage, in.Change.Power = server.Before.ImageID, true, rollout.PowerOn
		if was == rollout.StatusShutoff {
			in.Change.Power = rollout.PowerOff
		}
		return in
	}
	in.Change.EvenIfSameImage = in.Change.EvenIfSameImage || start.Again
	if (start.Prior != rollout.Fingerprint{}) {
		in.Earlier = &start.Prior
	}
	if start.Attempt > 1 || start.Recheck {
		in.AsBefore = was
	}
	in.Recheck = start.Recheck
	return in
}

// childOptions let the server's workflow outlive this run: it is adopted by the next one, and never cut off
// between its two disks.
func (r *rolloutRun) childOptions(ctx workflow.Context, start engine.Start) workflow.Context {
	server, plan := r.in.Plan.Servers[start.Server], r.in.Plan
	what := fmt.Sprintf("%s to %s", server.Name, plan.ImageName)
	if start.Rollback {
		what = fmt.Sprintf("%s back to %s", server.Name, server.Before.ImageID)
	}
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        api.ChangeOSID(plan.Project, server.ID),
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     what,
	})
}

// notStarted sorts out why a server's workflow could not be started: the id is the lock on the server, so
// most likely somebody else holds it.
func (r *rolloutRun) notStarted(ctx workflow.Context, server int, err error) {
	if _, ok := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); !ok {
		r.engine.Finished(server, engine.Outcome{End: rollout.NotStarted, Reason: "its workflow could not be started: " + said(err)}, workflow.Now(ctx))
		return
	}
	holder := contract.FindHolderResult{Holder: "held by another workflow"}
	// Whoever holds it, it is held: the name is a courtesy.
	_ = workflow.ExecuteActivity(holderOptions(ctx), contract.FindHolder, contract.FindHolderInput{
		WorkflowID: api.ChangeOSID(r.in.Plan.Project, r.in.Plan.Servers[server].ID),
	}).Get(ctx, &holder)
	r.engine.Busy(server, holder.Holder, workflow.Now(ctx))
}

// adopt waits for a server that an earlier run has started.
func (r *rolloutRun) adopt(ctx workflow.Context, running Running) {
	r.running = append(r.running, running)
	server := r.in.Plan.Servers[running.Server]
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer r.wake(ctx)
		var end contract.AwaitServerResult
		err := workflow.ExecuteActivity(adoptOptions(ctx, r.in.Plan.Change.WaitDeadline(), "wait for "+server.Name), contract.AwaitServer, contract.AwaitServerInput{
			WorkflowID: api.ChangeOSID(r.in.Plan.Project, server.ID), RunID: running.RunID,
		}).Get(ctx, &end)
		if err != nil {
			end.Lost = "its workflow could not be waited for: " + said(err)
		}
		r.ended(ctx, running, end.Result, end.Lost)
	})
}

// ended tells the engine how a server ended. Without a result, the server itself is looked at.
func (r *rolloutRun) ended(ctx workflow.Context, running Running, result *rollout.ServerResult, lost string) {
	if !slices.Contains(r.running, running) {
		return // after a reset it is waited for anew
	}
	var out engine.Outcome
	if result == nil {
		out = r.judge(ctx, running, lost)
	} else {
		out = engine.Outcome{End: result.End, Reason: result.Reason, After: result.After.Fingerprint, Foreign: result.Foreign, Failure: result.Failure}
		if result.End == rollout.NotStarted {
			out.After = result.Before.Fingerprint
		}
		ran := result.Before.Status == rollout.StatusActive
		out.Up = leftRunning(*result)
		out.Reason += power(result)
		if result.PowerTrouble != "" {
			out.Reason += "; its power is not as asked: " + result.PowerTrouble
			again := r.engine.State().Servers[running.Server].Attempts > 1 // then it was found as the attempt before left it
			out.Down = ran || again && r.in.Plan.Servers[running.Server].Status == rollout.StatusActive
		}
	}
	r.running = slices.DeleteFunc(r.running, func(other Running) bool { return other.Server == running.Server })
	if result != nil && result.Recalled && result.PowerTrouble == "" {
		r.engine.Recalled(running.Server, out.Up, workflow.Now(ctx))
		return
	}
	if refused(result) {
		r.engine.CredentialsRefused(running.Server, out.Up, result.CredentialsRefused, workflow.Now(ctx))
		return
	}
	r.engine.Finished(running.Server, out, workflow.Now(ctx))
}

// leftRunning is true when an attempt left the server running, or found it running and did nothing to it.
func leftRunning(result rollout.ServerResult) bool {
	if result.Left != "" || result.PowerTrouble != "" {
		return result.Left == rollout.StatusActive
	}
	found := result.Before.Status == rollout.StatusActive && result.Before.Idle()
	proven := (result.End == rollout.Done || result.End == rollout.FailedUnhealthy) && result.After.Status == rollout.StatusActive
	return found || proven
}

// power says what became of the server's power after it was judged.
func power(result *rollout.ServerResult) string {
	switch judged := result.After; {
	case result.Left == "":
		return ""
	case !judged.Exists || judged.Status == result.Left:
		return "; it was left " + result.Left
	case result.Left == rollout.StatusActive:
		return "; its power was restored since: " + result.Left
	case result.Left == rollout.StatusShutoff:
		return "; it was stopped since: " + result.Left
	}
	return "; it was left " + result.Left + " since"
}

// refused is true for a server to which nothing happened but that the cloud refused the worker's credentials. One that
// did not get its power back has failed.
func refused(result *rollout.ServerResult) bool {
	return result != nil && result.CredentialsRefused != "" && result.End == rollout.NotStarted && result.PowerTrouble == ""
}

// judge looks at a server whose workflow left no result. A change may be under way that nobody follows any
// more, so the server is watched like one whose answer was lost.
func (r *rolloutRun) judge(ctx workflow.Context, running Running, lost string) engine.Outcome {
	if running.Recheck { // nothing was sent
		return engine.Outcome{End: rollout.FailedUnhealthy, Reason: "its health was not checked: " + lost, After: running.Before}
	}
	server, deadline := r.in.Plan.Servers[running.Server], r.in.Plan.Change.WaitDeadline()
	asked := r.in.Plan.Change
	asked.ImageID = running.ImageID
	var seen rollout.Observation
	err := workflow.ExecuteActivity(waitOptions(ctx, deadline, "look at "+server.Name+", whose workflow left no result"), contract.VerifyServer, contract.VerifyServerInput{
		Project: r.in.Plan.Project, ServerID: server.ID, Change: asked, Before: running.Before, Deadline: workflow.Now(ctx).Add(deadline),
	}).Get(ctx, &seen)
	if err != nil {
		return engine.Outcome{End: rollout.FailedChanged, Reason: lost + ", and the server could not be looked at: " + said(err)}
	}
	end, reason := change.Judge(seen, running.Before, running.ImageID, false)
	if end == rollout.Done && r.in.Plan.Health != nil {
		end, reason = rollout.FailedUnhealthy, reason+", and its health was not checked"
	}
	foreign := change.Foreign(seen, running.Before, running.ImageID)
	if foreign {
		reason += change.DiskFromOutside
	}
	return engine.Outcome{End: end, Reason: reason + "; " + lost, After: seen.Fingerprint, Foreign: foreign}
}
