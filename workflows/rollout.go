package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// Rollout carries out a plan. The engine decides; this workflow tells it what happened and does what it
// says: start the workflow of a server, wait for a time, or end.
//
// A cancel is an abort: what is in flight is carried to its end, and nothing more is started. The servers'
// workflows outlive this one whatever becomes of it, so that no server is left without its disk.
func Rollout(ctx workflow.Context, in RolloutRunInput) (api.RolloutResult, error) {
	r, err := newRollout(ctx, in)
	if err != nil {
		return api.RolloutResult{}, err
	}
	return r.run(ctx)
}

// rolloutRun is one run of a rollout; several follow each other as continue-as-new.
type rolloutRun struct {
	in     RolloutRunInput
	engine *engine.Engine
	// running are the servers whose workflow is known to run, starting how many are being started.
	running  []Running
	starting int
	// reading is true while the states of the servers are read.
	reading bool
	// nudge wakes the loop when the engine has a new event.
	nudge workflow.Channel
	// rollout is what the servers' workflows know of this one, recall what its memo says.
	rollout   api.RolloutRef
	recall    rollout.Recall
	alarm     alarm
	cancelled bool // and heeded
	reset     bool // and heeded
}

func newRollout(ctx workflow.Context, in RolloutRunInput) (*rolloutRun, error) {
	r := &rolloutRun{in: in, nudge: workflow.NewBufferedChannel(ctx, 1)}
	if err := r.validate(ctx); err != nil {
		return nil, err
	}
	info := workflow.GetInfo(ctx)
	r.rollout = api.RolloutRef{WorkflowID: info.WorkflowExecution.ID, FirstRunID: info.FirstRunID}
	if in.Carry == nil {
		r.engine = engine.New(in.Plan, in.StartedBy, workflow.Now(ctx))
	} else {
		r.engine, r.recall = engine.Restore(in.Plan, in.Carry.State), in.Carry.Recall
	}
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// validate refuses what no planner makes. The digest is checked where plans are read: by the command line
// and by CheckPlan.
func (r *rolloutRun) validate(ctx workflow.Context) error {
	plan := r.in.Plan
	if plan.Version != rollout.PlanVersion {
		return invalidInput("the plan has version %d and this worker carries out version %d", plan.Version, rollout.PlanVersion)
	}
	if id := workflow.GetInfo(ctx).WorkflowExecution.ID; id != api.RolloutID(plan.Name) {
		return invalidInput("the workflow id %q is not that of the rollout: it has to be %q", id, api.RolloutID(plan.Name))
	}
	last := 0
	for _, wave := range plan.Waves {
		if wave.End < last {
			return invalidInput("wave %s ends before the one before it", wave.Name)
		}
		last = wave.End
	}
	if last != len(plan.Servers) || last == 0 {
		return invalidInput("the waves hold %d servers and the plan has %d", last, len(plan.Servers))
	}
	if n := plan.Caps.InFlight; n < 1 || n > rollout.MaxInFlight {
		return invalidInput("a cap of %d servers in flight is not between 1 and %d", n, rollout.MaxInFlight)
	}
	return nil
}

// run is the story: adopt what the last run left in flight, then decide, act and wait until it is over.
func (r *rolloutRun) run(ctx workflow.Context) (api.RolloutResult, error) {
	// What was begun is finished, whoever cancels: only the abort itself listens to a cancel.
	always, _ := workflow.NewDisconnectedContext(ctx)
	if r.in.Carry != nil {
		for _, server := range r.in.Carry.Running {
			r.adopt(always, server)
		}
	}
	workflow.Go(always, r.hearOfCredentials)
	workflow.Go(always, r.receiveSuspicions)
	for {
		r.heedCancel(ctx)
		r.pauseAfterReset(ctx, always)
		decision := r.engine.Advance(workflow.Now(ctx))
		r.publishRecall(always)
		for _, start := range decision.Start {
			r.start(always, start)
		}
		if decision.ReadStates && !r.reading {
			r.readStates(always)
		}
		r.show(ctx)
		switch {
		case decision.Over:
			return r.result(), nil
		case r.full(ctx):
			return api.RolloutResult{}, r.continueAsNew(ctx, always)
		}
		r.wait(ctx, always, decision.WakeAt)
	}
}

func (r *rolloutRun) result() api.RolloutResult {
	p := r.engine.Progress()
	return api.RolloutResult{
		End: p.End, Counts: p.Counts, Failed: p.Failed, Tolerated: p.Tolerated, ImageName: p.ImageName, StartedAt: p.StartedAt, EndedAt: p.EndedAt,
	}
}

// wait returns when the engine was told something, when it is time, or when the workflow is cancelled.
func (r *rolloutRun) wait(ctx, always workflow.Context, until time.Time) {
	r.alarm.set(always, until)
	next := workflow.NewSelector(ctx)
	if ctx.Err() == nil {
		next.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	}
	next.AddReceive(r.nudge, func(c workflow.ReceiveChannel, _ bool) { c.Receive(always, nil) })
	if r.alarm.rings != nil {
		next.AddFuture(r.alarm.rings, func(workflow.Future) { r.alarm = alarm{} })
	}
	next.Select(always)
	r.hear(always)
}

// hear lets everything that came with the same workflow task be told before anything is decided. The alarm and
// the failure of a server may come together, and the engine must not start another server for the one before it
// knows of the other. A new coroutine is the last in line.
func (r *rolloutRun) hear(ctx workflow.Context) {
	heard := false
	workflow.Go(ctx, func(workflow.Context) { heard = true })
	_ = workflow.Await(ctx, func() bool { return heard }) // the context is never cancelled
}

// heedCancel aborts once the workflow is cancelled: before its first task, with an alarm, or while it waits. A rollout
// that has ended refuses, which is as good.
func (r *rolloutRun) heedCancel(ctx workflow.Context) {
	if ctx.Err() == nil || r.cancelled {
		return
	}
	r.cancelled = true
	command := rollout.Command{Kind: rollout.Abort, By: "a cancel of its workflow"}
	if _, err := r.engine.Do(command, workflow.Now(ctx)); err != nil {
		workflow.GetLogger(ctx).Info("The cancel came too late.", "Reason", err.Error())
	}
}

// hearOfCredentials pauses the rollout when a server in flight waits for credentials: it does not end meanwhile.
func (r *rolloutRun) hearOfCredentials(ctx workflow.Context) {
	signals := workflow.GetSignalChannel(ctx, api.CredentialsSignal)
	for {
		var refusal string
		signals.Receive(ctx, &refusal)
		r.engine.CredentialsAwaited(refusal, workflow.Now(ctx))
		r.wake(ctx)
	}
}

// receiveSuspicions holds new starts while a server in flight may have failed: its verdict takes minutes.
func (r *rolloutRun) receiveSuspicions(ctx workflow.Context) {
	signals := workflow.GetSignalChannel(ctx, api.SuspicionSignal)
	for {
		var suspicion api.Suspicion
		signals.Receive(ctx, &suspicion)
		r.engine.Suspected(suspicion.ServerID, suspicion.Reason, workflow.Now(ctx))
		r.wake(ctx)
	}
}

// wake wakes the loop. What the engine takes back is published at once: the loop may be busy with continue-as-new.
func (r *rolloutRun) wake(ctx workflow.Context) {
	r.publishRecall(ctx)
	r.nudge.SendAsync(true)
}

// publishRecall writes into the memo which servers in flight are taken back. The memo is part of the workflow task that
// accepts a command or takes in an end, so a later description of the workflow holds it: before each write the
// activities read it (activities/recall.go). A message to each server would reach hundreds of them far too late.
func (r *rolloutRun) publishRecall(ctx workflow.Context) {
	recall := r.engine.Recall()
	if recall == r.recall || r.engine.State().Phase == rollout.PhaseEnded {
		return
	}
	r.recall = recall
	if err := workflow.UpsertMemo(ctx, map[string]any{api.RecallMemo: string(recall)}); err != nil {
		panic(err) // a text can always be written
	}
}

// alarm is the one timer of a rollout. It is set anew only when the time changes: every timer costs two
// events of history.
type alarm struct {
	at     time.Time
	rings  workflow.Future
	cancel workflow.CancelFunc
}

func (a *alarm) set(ctx workflow.Context, at time.Time) {
	if a.at.Equal(at) && (a.rings != nil) == !at.IsZero() {
		return
	}
	if a.cancel != nil {
		a.cancel()
	}
	*a = alarm{at: at}
	if at.IsZero() {
		return
	}
	var timerCtx workflow.Context
	timerCtx, a.cancel = workflow.WithCancel(ctx)
	a.rings = workflow.NewTimerWithOptions(timerCtx, at.Sub(workflow.Now(ctx)), workflow.TimerOptions{Summary: "wait until " + at.UTC().Format(time.RFC3339)})
}
