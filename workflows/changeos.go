// Package workflows holds the deterministic code of reimage: the runbook of one server, and nothing
// that touches the outside world. It calls activities and decides by what they return.
package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// ChangeOS replaces the system disk of one server by a new one made from an image.
//
// A cancel before the change is submitted gives the server its power back and ends the workflow as
// canceled, with the result in the error's details. A cancel after that is too late: the old disk is
// given up, so the change is carried to its end.
func ChangeOS(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
	c, err := newChangeOS(ctx, in)
	if err != nil {
		return rollout.ServerResult{}, err
	}
	c.run(ctx)
	c.finish(ctx)
	if c.book.Cancelled {
		return rollout.ServerResult{}, temporal.NewCanceledError(c.book.Result)
	}
	return c.book.Result, nil
}

// changeOS is one server on its way. It carries out what the runbook decides.
type changeOS struct {
	in    api.ChangeOSInput
	book  change.Runbook
	steps []api.StepAt
}

func newChangeOS(ctx workflow.Context, in api.ChangeOSInput) (*changeOS, error) {
	input := change.RunInput{
		ServerID: in.ServerID, Change: in.Change, PriorDisk: in.Earlier, OriginalStatus: in.AsBefore, Health: in.Health != nil, Soak: in.Soak > 0,
	}
	if in.Recheck {
		input.Recheck = in.Expect
	}
	if in.Health != nil {
		in.Health = new(in.Health.WithDefaults())
	}
	c := &changeOS{in: in, book: change.NewRunbook(input, workflow.Now(ctx))}
	options := workflow.QueryHandlerOptions{Description: "The step the server is at, and its end once there is one."}
	if err := workflow.SetQueryHandlerWithOptions(ctx, api.StatusQuery, func() (api.Status, error) { return c.status(ctx), nil }, options); err != nil {
		return nil, err
	}
	if err := in.Change.ValidateForm(); err != nil {
		return nil, invalidInput("%v", err)
	}
	if err := validHealth(in); err != nil {
		return nil, err
	}
	if in.Project == "" {
		return nil, invalidInput("there is no project: the workflow id could not lock the server")
	}
	if !rollout.IsUUID(in.ServerID) {
		return nil, invalidInput("server id %q is not a UUID (in lower case)", in.ServerID)
	}
	if id := workflow.GetInfo(ctx).WorkflowExecution.ID; id != api.ChangeOSID(in.Project, in.ServerID) {
		return nil, invalidInput("the workflow id %q does not lock the server: it has to be %q", id, api.ChangeOSID(in.Project, in.ServerID))
	}
	return c, nil
}

// validHealth checks what belongs to the health of the server.
func validHealth(in api.ChangeOSInput) error {
	switch {
	case in.Health == nil && in.Soak != 0:
		return invalidInput("a soak of %s is asked for without health checks to watch", in.Soak)
	case in.Health == nil && in.Recheck:
		return invalidInput("a recheck is asked for without health checks")
	case in.Recheck && (in.Earlier == nil || in.Expect == nil):
		return invalidInput("a recheck is asked for without the disk from before the change, or the proven one")
	case in.Health == nil:
		return nil
	case in.Soak < 0 || in.Soak > maxSoak:
		return invalidInput("the soak of %s is not between 0s and %s", in.Soak, maxSoak)
	}
	if err := in.Health.Validate(); err != nil {
		return invalidInput("health: %v", err)
	}
	return nil
}

// maxSoak is the longest soak, as in a specification.
const maxSoak = 24 * time.Hour

func invalidInput(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), api.ErrInvalidInput, nil)
}

// run carries out step after step.
func (c *changeOS) run(ctx workflow.Context) {
	// From the stop on nothing is left half way: neither a server that was stopped, nor one without its disk. A stop that was
	// begun is seen to its end, and a cancel obeyed after it.
	detached, _ := workflow.NewDisconnectedContext(ctx)
	for c.book.Step() != change.StepEnded {
		step := c.book.Step()
		switch step {
		case change.StepPreflight:
			c.preflight(ctx)
		case change.StepStop:
			c.stop(detached, ctx)
		case change.StepSubmit:
			c.submit(detached)
		case change.StepPoll:
			c.poll(detached)
		case change.StepStartAgain:
			c.startAgain(detached)
		case change.StepVerify:
			c.verify(detached)
		case change.StepHealth:
			c.health(detached, api.StepHealth, 0)
		case change.StepSoak:
			c.health(detached, api.StepSoak, c.in.Soak)
		case change.StepRestorePower:
			if c.book.IsTouched() {
				c.restorePower(detached)
			} else {
				c.restorePower(ctx)
			}
		}
		if step != change.StepRestorePower && c.book.MayBeReset() && wasReset(detached) {
			c.book.WasReset(change.PriorRun{}, workflow.Now(ctx))
		}
	}
}

// preflight reads the server, and refuses with every reason at once.
func (c *changeOS) preflight(ctx workflow.Context) {
	c.enter(ctx, api.StepLook)
	var found contract.PreflightResult
	err := workflow.ExecuteActivity(lookOptions(ctx, "look at the server and the image"), contract.Preflight, contract.PreflightInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Expect: c.in.Expect, HealthyBefore: c.healthyBefore(), OriginalRunID: originalRunID(ctx),
	}).Get(ctx, &found)
	if c.noteReset(ctx, err) {
		return
	}
	// The user data that is sent later is what was read now, also when the input pins nothing.
	c.in.Change.UserDataDigest = cmp.Or(c.in.Change.UserDataDigest, found.UserDataDigest)
	c.book.PreflightEnded(change.Found{
		Name: found.Name, Before: found.Before, OriginalStatus: found.AsBefore, AlreadyThere: found.AlreadyThere, Refusals: found.Refusals,
		MayAwaitPayment: found.Prepaid && (c.in.Change.AutoPay == nil || !*c.in.Change.AutoPay),
	}, failureOf(err), ctx.Err() != nil)
}

// stop brings the server to SHUTOFF. The operator cancels through the context asked.
func (c *changeOS) stop(ctx, asked workflow.Context) {
	c.enter(ctx, api.StepStop)
	c.remember(ctx)
	var stopped contract.StopIfNeededResult
	err := workflow.ExecuteActivity(stopOptions(ctx, "stop "+c.displayName()+" if it runs"), contract.StopIfNeeded, contract.StopIfNeededInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Disk: c.book.Result.Before.VolumeID, AllowHard: c.in.Change.AllowHardStop,
		Rollout: c.in.Rollout, OriginalRunID: originalRunID(ctx),
	}).Get(ctx, &stopped)
	if c.noteReset(ctx, err) {
		return
	}
	c.book.StopEnded(change.Stopped{Updated: stopped.Updated, Doubt: stopped.Doubt, Touched: stopped.Touched}, failureOf(err), asked.Err() != nil)
}

// submit asks the cloud for the change.
func (c *changeOS) submit(ctx workflow.Context) {
	c.enter(ctx, api.StepSubmit)
	c.remember(ctx)
	var out contract.SubmitChangeOSResult
	err := workflow.ExecuteActivity(submitOptions(ctx, "change the OS of "+c.displayName()), contract.SubmitChangeOS, contract.SubmitChangeOSInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Before: c.book.Result.Before.Fingerprint,
		Updated: c.book.Updated, MayAwaitPayment: c.book.MayAwaitPayment, Rollout: c.in.Rollout, Touched: c.book.Touched, OriginalRunID: originalRunID(ctx),
	}).Get(ctx, &out)
	if c.noteReset(ctx, err) {
		return
	}
	c.book.SubmitEnded(out.JobID, failureOf(err), workflow.Now(ctx))
}

// poll waits for the job.
func (c *changeOS) poll(ctx workflow.Context) {
	c.enter(ctx, api.StepWait)
	c.remember(ctx)
	jobID := c.book.Result.JobID
	var job contract.PollJobResult
	err := workflow.ExecuteActivity(waitOptions(ctx, c.in.Change.WaitDeadline(), "wait for job "+jobID), contract.PollJob, contract.PollJobInput{
		Project: c.in.Project, JobID: jobID, ServerID: c.in.ServerID, Change: c.in.Change, Deadline: c.book.Until, Rollout: c.in.Rollout,
	}).Get(ctx, &job)
	c.book.PollEnded(change.JobVerdict(job), failureOf(err), workflow.Now(ctx))
}

// verify has the server watched until it shows how it ended, whatever the job said.
func (c *changeOS) verify(ctx workflow.Context) {
	c.enter(ctx, api.StepProve)
	before := c.book.Result.Before
	var after rollout.Observation
	err := workflow.ExecuteActivity(waitOptions(ctx, c.in.Change.WaitDeadline(), "look for proof on "+c.displayName()), contract.VerifyServer, contract.VerifyServerInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Before: before.Fingerprint, Ended: c.book.JobEnded, Deadline: c.book.Until,
		Rollout: c.in.Rollout, WasInError: before.Status == rollout.StatusError,
	}).Get(ctx, &after)
	c.book.VerifyEnded(after, failureOf(err))
}

// healthyBefore are the checks that the server has to pass before its change.
func (c *changeOS) healthyBefore() []rollout.HealthCheck {
	if c.in.Health == nil || c.in.Health.RequireBefore != rollout.BeforeRefuse || c.in.Recheck {
		return nil
	}
	return c.in.Health.Checks
}

// health has the application probed until it is healthy, and in the soak for as long as it has to stay so.
func (c *changeOS) health(ctx workflow.Context, step api.Step, soak time.Duration) {
	c.enter(ctx, step)
	c.remember(ctx) // the change is over, and this may take hours
	longest := max(c.in.Health.Longest(), soak)
	var checked contract.CheckHealthResult
	err := workflow.ExecuteActivity(healthOptions(ctx, longest, "check the health of "+c.displayName()), contract.CheckHealth, contract.CheckHealthInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Checks: c.in.Health.Checks, Change: c.in.Change, Disk: c.book.Result.After.VolumeID,
		Since: workflow.Now(ctx), Soak: soak,
	}).Get(ctx, &checked)
	c.book.HealthEnded(change.HealthVerdict(checked), failureOf(err))
}

// startAgain gives the power back at once to a server whose job has failed and that shows its old disk.
func (c *changeOS) startAgain(ctx workflow.Context) {
	options := startAgainOptions(ctx, "start "+c.displayName()+" again, whose job has failed")
	_ = workflow.ExecuteActivity(options, contract.RestorePower, c.restoration(ctx, c.book.StartGoal())).Get(ctx, nil)
	c.book.StartedAgain()
}

// restorePower gives the server the power state that was asked for, or back the one it had.
func (c *changeOS) restorePower(ctx workflow.Context) {
	if len(c.steps) == 0 || c.steps[len(c.steps)-1].Step != api.StepLeave { // it may be tried for days
		c.enter(ctx, api.StepLeave)
	}
	goal, _ := c.book.PowerGoal()
	var left contract.RestorePowerResult
	options := restoreOptions(ctx, "leave "+c.displayName()+" "+powerLabel(goal.On))
	err := workflow.ExecuteActivity(options, contract.RestorePower, c.restoration(ctx, goal)).Get(ctx, &left)
	c.book.PowerRestored(left.Status, failureOf(err), ctx.Err() != nil)
}

func (c *changeOS) restoration(ctx workflow.Context, goal change.PowerInput) contract.RestorePowerInput {
	return contract.RestorePowerInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, AllowHard: goal.AllowHard,
		On: goal.On, Disk: goal.Disk, Unsettled: goal.Unsettled, OriginalRunID: originalRunID(ctx),
	}
}

func powerLabel(on bool) string {
	if on {
		return "running"
	}
	return "stopped"
}

// displayName is the name under which an operator knows the server.
func (c *changeOS) displayName() string { return cmp.Or(c.book.Result.Name, c.in.ServerID) }
