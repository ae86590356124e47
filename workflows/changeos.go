// Package workflows holds the deterministic code of reimage: the runbook of one server, and nothing
// that touches the outside world. It calls activities and decides by what they return.
package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
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
	err = c.run(ctx)
	c.finish(ctx)
	if err != nil {
		return rollout.ServerResult{}, temporal.NewCanceledError(c.result)
	}
	return c.result, nil
}

// changeOS is one server on its way.
type changeOS struct {
	in     api.ChangeOSInput
	steps  []api.StepAt
	result rollout.ServerResult
	until  time.Time // when the server is judged, whatever its job says
	job    contract.PollJobResult
	ended  bool // nothing that was asked for can still be under way
	// stopDoubt is true when a stop that nobody saw the end of may be under way: the server may go down yet.
	stopDoubt bool
	// touched is true when a stop was sent, or may have been.
	touched bool
	// running is true when the server was taken back before it was stopped: it is left alone.
	running bool
	// record is what the memo has of the change.
	record api.ChangeRecord
	// reset is true once an activity has refused to go on because the workflow was reset, and first is the record of the first
	// run. Nil when that is unknown.
	reset bool
	first *api.ChangeRecord
	// rest is when the cloud had last worked on the server before the change was sent.
	rest string
	// mayAwaitPayment is true when the cloud may accept the change and wait for a payment before it begins.
	mayAwaitPayment bool
}

func newChangeOS(ctx workflow.Context, in api.ChangeOSInput) (*changeOS, error) {
	c := &changeOS{in: in, result: rollout.ServerResult{ServerID: in.ServerID, StartedAt: workflow.Now(ctx)}}
	options := workflow.QueryHandlerOptions{Description: "The step the server is at, and its end once there is one."}
	if err := workflow.SetQueryHandlerWithOptions(ctx, api.StatusQuery, func() (api.Status, error) { return c.status(ctx), nil }, options); err != nil {
		return nil, err
	}
	if err := in.Change.ValidateForm(); err != nil {
		return nil, invalidInput("%v", err)
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

func invalidInput(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), api.ErrInvalidInput, nil)
}

// run is the runbook of one server, or of one whose workflow was reset. Its only error is a cancel that was obeyed.
func (c *changeOS) run(ctx workflow.Context) error {
	err := c.carryOut(ctx)
	if !c.reset {
		return err
	}
	always, _ := workflow.NewDisconnectedContext(ctx)
	c.conclude(always)
	return nil
}

func (c *changeOS) carryOut(ctx workflow.Context) error {
	if goOn, err := c.look(ctx); !goOn {
		if c.result.End == rollout.Done {
			c.leave(ctx)
		}
		c.doubtReset(ctx)
		return err
	}
	goOn, err := c.stop(ctx)
	// From here on nothing is left half way: neither a server that was stopped, nor one without its disk.
	always, _ := workflow.NewDisconnectedContext(ctx)
	if goOn {
		c.change(always)
	}
	c.doubtReset(always)
	if !c.reset {
		c.leave(always)
	}
	return err
}

// change gives up the old disk and waits for the new one.
func (c *changeOS) change(ctx workflow.Context) {
	deadline := c.in.Change.WaitDeadline()
	if !c.submit(ctx) {
		return
	}
	c.until = workflow.Now(ctx).Add(deadline)
	c.wait(ctx)
	if c.job.End == contract.JobFailed && c.powerBefore() == rollout.StatusActive {
		c.startAgain(ctx)
	}
	c.prove(ctx)
}

// look reads the server and refuses with every reason at once.
func (c *changeOS) look(ctx workflow.Context) (goOn bool, err error) {
	c.enter(ctx, api.StepLook)
	var found contract.PreflightResult
	err = workflow.ExecuteActivity(lookOptions(ctx, "look at the server and the image"), contract.Preflight, contract.PreflightInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Expect: c.in.Expect, OriginalRunID: originalRunID(ctx),
	}).Get(ctx, &found)
	if c.noteReset(err) {
		return false, nil
	}
	c.result.Name, c.result.Before, c.rest = found.Name, found.Before, found.Before.Updated
	// The user data that is sent later is what was read now, also when the input pins nothing.
	c.in.Change.UserDataDigest = cmp.Or(c.in.Change.UserDataDigest, found.UserDataDigest)
	if found.AsBefore != "" && since(ctx, leftStopped) {
		c.in.AsBefore = found.AsBefore
	}
	c.mayAwaitPayment = found.Prepaid && (c.in.Change.AutoPay == nil || !*c.in.Change.AutoPay)
	switch {
	case ctx.Err() != nil:
		c.end(rollout.NotStarted, "cancelled before anything was touched")
		return false, ctx.Err()
	case err != nil:
		c.end(rollout.NotStarted, "the server could not be looked at, nothing was touched: "+said(err))
		c.noteCredentials(err)
	case c.in.Earlier != nil && found.Before.Proven(*c.in.Earlier, c.in.Change.ImageID):
		c.result.After = found.Before
		c.end(rollout.Done, "runs the image on a new system disk: an earlier change came after all, nothing was sent")
	case found.AlreadyThere:
		c.end(rollout.Skipped, "it is on the image already")
	case len(found.Refusals) > 0:
		c.end(rollout.NotStarted, strings.Join(found.Refusals, "; "))
		c.result.Failure = rollout.FailureOfServer
	default:
		return true, nil
	}
	return false, nil
}

// stop brings the server to SHUTOFF, the state in which a late duplicate of the change cannot harm: once
// the change is done the server runs again, and the cloud refuses to change a running one.
func (c *changeOS) stop(ctx workflow.Context) (goOn bool, err error) {
	if c.in.Change.WithStopServer {
		return true, nil
	}
	c.enter(ctx, api.StepStop)
	c.rememberStep(ctx, false)
	// A stop that was begun is seen to its end, and a cancel obeyed after it: a server that is still going
	// down looks as if it ran.
	always, _ := workflow.NewDisconnectedContext(ctx)
	var stopped contract.StopIfNeededResult
	err = workflow.ExecuteActivity(stopOptions(always, "stop "+c.called()+" if it runs"), contract.StopIfNeeded, contract.StopIfNeededInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Disk: c.result.Before.VolumeID, AllowHard: c.in.Change.AllowHardStop,
		Rollout: c.in.Rollout, OriginalRunID: originalRunID(ctx),
	}).Get(always, &stopped)
	if c.noteReset(err) {
		return false, nil
	}
	c.stopDoubt, c.rest, c.touched = err != nil || stopped.Doubt, stopped.Updated, err != nil || stopped.Touched
	if kind(err) == api.ErrRecalled {
		c.recalled(err)
		c.running = !c.touched
		return false, ctx.Err()
	}
	if cancelled := c.cancelled(ctx); cancelled != nil {
		return false, cancelled
	}
	switch {
	case err == nil:
		return true, nil
	case kind(err) == api.ErrVanished:
		c.end(rollout.Vanished, said(err))
	case kind(err) == api.ErrForeignDisk:
		c.result.Foreign = true
		c.end(rollout.FailedChanged, "somebody else changed it, nothing was sent: "+said(err))
	case kind(err) == api.ErrCredentials:
		c.end(rollout.NotStarted, "it could not be stopped, its disk was not touched: "+said(err))
		c.noteCredentials(err)
	default:
		c.end(rollout.FailedIntact, "it could not be stopped, its disk was not touched: "+said(err))
	}
	return false, nil
}

// recalled ends a server that its rollout took back. One that was not stopped has its power still.
func (c *changeOS) recalled(err error) {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.HasDetails() {
		_ = app.Details(&c.touched) // what cannot be read leaves the server touched, which is the safe side
	}
	c.result.Recalled = true
	reason := "recalled before it was stopped: "
	if c.touched {
		reason = "recalled before its disk was touched: "
	}
	c.end(rollout.NotStarted, reason+said(err))
}

// noteCredentials tells what the worker lacks, credentials that the cloud accepts or a secret, from what is wrong with a server.
func (c *changeOS) noteCredentials(err error) {
	if api.IsOfWorker(kind(err)) {
		c.result.CredentialsRefused = said(err)
	}
}

// cancelled obeys a cancel while the old disk is still there.
func (c *changeOS) cancelled(ctx workflow.Context) error {
	if ctx.Err() != nil {
		c.end(rollout.NotStarted, "cancelled before its disk was touched")
	}
	return ctx.Err()
}

// submit asks the cloud for the change. It goes on unless nothing can have been accepted.
func (c *changeOS) submit(ctx workflow.Context) (goOn bool) {
	c.enter(ctx, api.StepSubmit)
	c.rememberStep(ctx, true)
	var out contract.SubmitChangeOSResult
	err := workflow.ExecuteActivity(submitOptions(ctx, "change the OS of "+c.called()), contract.SubmitChangeOS, contract.SubmitChangeOSInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Before: c.result.Before.Fingerprint,
		Updated: c.rest, MayAwaitPayment: c.mayAwaitPayment, Rollout: c.in.Rollout, Touched: c.touched, OriginalRunID: originalRunID(ctx),
	}).Get(ctx, &out)
	if c.noteReset(err) {
		return false
	}
	c.result.JobID = out.JobID
	c.noteSubmit(err)
	if err == nil {
		return true
	}
	switch kind(err) {
	case api.ErrVanished:
		c.end(rollout.Vanished, said(err))
		return false
	case api.ErrCredentials, api.ErrSecret:
		if tookTooLong(err) && since(ctx, credentialsDoubt) {
			break
		}
		c.end(rollout.NotStarted, "no change was accepted, its disk was not touched: "+said(err))
		c.noteCredentials(err)
		return false
	case api.ErrRefused, api.ErrInvalid:
		c.end(rollout.FailedIntact, "the change was refused, its disk was not touched: "+said(err))
		c.result.Failure = failureKind(err)
		return false
	case api.ErrRecalled:
		c.recalled(err)
		return false
	case api.ErrGivenUp:
		c.end(rollout.FailedIntact, "its disk was not touched: "+said(err))
		return false
	case api.ErrForeignDisk, api.ErrUnproven:
		c.result.Foreign = kind(err) == api.ErrForeignDisk
		c.ended, c.job.Reason = true, said(err)
		return true
	}
	c.job.Reason = "submitting ended in doubt: " + said(err)
	return true
}

// wait follows the job. Without a job id, the server itself is watched by prove.
func (c *changeOS) wait(ctx workflow.Context) {
	if c.result.JobID == "" {
		return
	}
	c.enter(ctx, api.StepWait)
	c.remember(ctx)
	err := workflow.ExecuteActivity(waitOptions(ctx, c.in.Change.WaitDeadline(), "wait for job "+c.result.JobID), contract.PollJob, contract.PollJobInput{
		Project: c.in.Project, JobID: c.result.JobID, ServerID: c.in.ServerID, Change: c.in.Change, Deadline: c.until, Rollout: c.in.Rollout,
	}).Get(ctx, &c.job)
	if err != nil {
		c.job.Reason = "its job could not be followed: " + said(err)
	}
	c.noteJob(ctx)
	c.ended = !c.record.Pending
}

// foreignDisk is said of a server that no change of ours leaves with the disk it has.
const foreignDisk = "; somebody else gave it that disk"

// prove judges the server by what it shows, whatever the job said.
func (c *changeOS) prove(ctx workflow.Context) {
	c.enter(ctx, api.StepProve)
	before := c.result.Before.Fingerprint
	err := workflow.ExecuteActivity(waitOptions(ctx, c.in.Change.WaitDeadline(), "look for proof on "+c.called()), contract.VerifyServer, contract.VerifyServerInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, Before: before, Ended: c.ended, Deadline: c.until,
		Rollout: c.in.Rollout, WasInError: c.result.Before.Status == rollout.StatusError,
	}).Get(ctx, &c.result.After)
	if err != nil {
		c.end(rollout.FailedChanged, "the change was submitted, but the server could not be looked at afterwards: "+said(err))
		return
	}
	end, reason := c.result.After.Judge(before, c.in.Change.ImageID, c.ended)
	if c.ended && end != rollout.Done && c.in.Earlier != nil && c.result.After.Proven(*c.in.Earlier, c.in.Change.ImageID) && since(ctx, earlierProof) {
		c.result.Foreign = false
		c.end(rollout.Done, "runs the image on a new system disk: an earlier change came after all")
		return
	}
	if !c.result.Foreign && c.result.After.Foreign(before, c.in.Change.ImageID) {
		c.result.Foreign = true
		reason += foreignDisk
	}
	if end != rollout.Done && c.job.Reason != "" {
		reason += "; " + c.job.Reason
	}
	c.end(end, reason)
}

// powerBefore is the status that "as before" means.
func (c *changeOS) powerBefore() string { return cmp.Or(c.in.AsBefore, c.result.Before.Status) }

// startAgain gives the power back at once to a server whose job has failed and that shows its old disk. A late copy of the
// request would be accepted by a server that is stopped, and is refused by one that runs.
func (c *changeOS) startAgain(ctx workflow.Context) {
	restore := c.restoration(ctx)
	restore.On, restore.Disk = true, c.result.Before.VolumeID
	// The proof decides, and what did not work here is tried again after it.
	_ = workflow.ExecuteActivity(startAgainOptions(ctx, "start "+c.called()+" again, whose job has failed"), contract.RestorePower, restore).Get(ctx, nil)
}

func (c *changeOS) restoration(ctx workflow.Context) contract.RestorePowerInput {
	return contract.RestorePowerInput{
		Project: c.in.Project, ServerID: c.in.ServerID, Change: c.in.Change, AllowHard: c.in.Change.AllowHardStop,
		OriginalRunID: originalRunID(ctx),
	}
}

// leave gives the server the power state that was asked for, or back the one it had.
func (c *changeOS) leave(ctx workflow.Context) {
	restore := c.restoration(ctx)
	before := c.powerBefore()
	switch c.result.End {
	case rollout.Done:
		// A server that was in ERROR is left running: nobody meant it to be off.
		asBefore := c.in.Change.Power == "" || c.in.Change.Power == rollout.PowerAsBefore
		off := c.in.Change.Power == rollout.PowerOff || asBefore && before == rollout.StatusShutoff
		if !off {
			return // proven means running
		}
		// The ECS user guide says to wait some minutes after a change, while the login is set up: no stop in the middle.
		restore.Disk, restore.Unsettled = c.result.After.VolumeID, true
	case rollout.FailedIntact, rollout.NotStarted:
		if before != rollout.StatusActive || c.running {
			return
		}
		if judged := c.result.After; judged.Idle() && judged.Status == rollout.StatusActive {
			c.result.Left = judged.Status // for the settle time, so it is no old view
			return
		}
		restore.On, restore.Disk, restore.Unsettled = true, c.result.Before.VolumeID, c.stopDoubt
	default:
		return // what is left of the server is for a human to look at
	}
	c.enter(ctx, api.StepLeave)
	var left contract.RestorePowerResult
	give := func() error {
		return workflow.ExecuteActivity(restoreOptions(ctx, "leave "+c.called()+" "+running(restore.On)), contract.RestorePower, restore).Get(ctx, &left)
	}
	err := give()
	refused := c.result.CredentialsRefused != ""
	for err != nil && !isFinal(err) && ctx.Err() == nil { // after a cancel, every further one would fail at once
		refused = refused || kind(err) == api.ErrCredentials
		if !refused || !since(ctx, powerWaits) {
			break
		}
		err = give() // nothing is wrong with the server, and whoever mends the credentials may be back on Monday only
	}
	c.result.Foreign = c.result.Foreign || diskOf(err).Foreign(c.result.Before.Fingerprint, c.in.Change.ImageID)
	switch {
	case kind(err) == api.ErrVanished:
		c.end(rollout.Vanished, said(err))
		return
	case kind(err) == api.ErrForeignDisk && c.result.End == rollout.FailedIntact:
		c.end(rollout.FailedChanged, "it had its old system disk when it was judged, and has another one since: "+said(err))
		if c.result.Foreign {
			c.result.Reason += foreignDisk
		}
	case err != nil:
		c.result.PowerTrouble = said(err)
	}
	c.result.Left = left.Status
}

// end records how the server ended.
func (c *changeOS) end(end rollout.ServerEnd, reason string) {
	c.result.End, c.result.Reason, c.result.Failure = end, reason, ""
}

func running(on bool) string {
	if on {
		return "running"
	}
	return "stopped"
}

// called names the server the way an operator knows it.
func (c *changeOS) called() string {
	if c.result.Name == "" {
		return c.in.ServerID
	}
	return c.result.Name
}
