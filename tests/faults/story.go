package faults

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Event is something that was seen of a rollout from outside: between its workflow and those of its servers, between
// it and its operator, or at the cloud.
type Event struct {
	At     time.Time // by the clock that the rollout goes by
	Seen   time.Time // by the clock of the cloud; zero where the two cannot be compared
	What   What
	Server string // its id, of a start and of an end
	// Back is true for a start that asks for the image from before, Result is what an end came with, if anything.
	Back    bool
	Result  rollout.ServerResult
	Command rollout.Command
	Out     []string // the servers that are out of service
	Down    []string // the servers that a reading of states showed down
	Refused bool     // the cloud refused the credentials to a reading of states
}

// What is seen.
type What string

// Everything that is seen.
const (
	Started   What = "started"      // the workflow of a server
	Heard     What = "heard of"     // the end of the workflow of a server
	Commanded What = "commanded"    // a command was carried out
	Looked    What = "looked after" // which servers are out of service
	Suspected What = "suspected"    // the rollout got the signal that a server may have failed
	Read      What = "states read"  // the rollout learned which servers are down
)

// OutOfService are the servers that ran when the plan was made and do not run now. One that is left stopped with a new
// disk because the plan asks for it is not among them.
func OutOfService(plan rollout.Plan, now []emulator.Server) []string {
	ran := map[string]rollout.PlannedServer{}
	for _, server := range plan.Servers {
		if server.Status == rollout.StatusActive {
			ran[server.ID] = server
		}
	}
	var out []string
	for _, server := range now {
		planned, counts := ran[server.ID]
		asked := plan.Change.Power == rollout.PowerOff && server.Status == rollout.StatusShutoff && server.SystemVolumeID != planned.Before.VolumeID
		if counts && (server.TaskState != "" || server.Status != rollout.StatusActive && !asked) {
			out = append(out, server.ID)
		}
	}
	slices.Sort(out)
	return out
}

// saw notes an event. Whatever is noted in the rollout's own workflow is in the order in which the rollout learns of it.
func (w *world) saw(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Seen = time.Now()
	w.story = append(w.story, e)
}

func (w *world) look(at time.Time) {
	w.saw(Event{At: at, What: Looked, Out: OutOfService(w.plan, w.cloud.Servers())})
}

// ExecuteChildWorkflow notes which servers are started, and when.
func (u *unlimited) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	if name != api.ChangeOSName {
		return u.Next.ExecuteChildWorkflow(ctx, name, args...)
	}
	// When somebody else cancels it, the environment ends it at once if nobody waits for it, which Temporal does not.
	options := workflow.GetChildWorkflowOptions(ctx)
	options.WaitForCancellation = true
	child := u.Next.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), name, args...)
	order := args[0].(api.ChangeOSInput)
	u.world.look(workflow.Now(ctx))
	u.world.saw(Event{At: workflow.Now(ctx), What: Started, Server: order.ServerID, Back: order.Change.ImageID != u.world.plan.Change.ImageID})
	return &heard{child, u.world, order.ServerID}
}

// heard is the workflow of a server whose end is noted when the rollout hears of it.
type heard struct {
	workflow.ChildWorkflowFuture
	world  *world
	server string
}

func (h *heard) Get(ctx workflow.Context, into any) error {
	err := h.ChildWorkflowFuture.Get(ctx, into)
	e := Event{At: workflow.Now(ctx), What: Heard, Server: h.server}
	if err == nil {
		e.Result = *into.(*rollout.ServerResult)
	} else if left, _ := api.EndWithoutResult(err); left != nil {
		e.Result = *left
	}
	h.world.saw(e)
	return err
}

// statesFuture is a reading of states that is noted when the rollout receives it.
type statesFuture struct {
	workflow.Future
	world *world
}

func (f *statesFuture) Get(ctx workflow.Context, into any) error {
	err := f.Future.Get(ctx, into)
	e := Event{At: workflow.Now(ctx), What: Read}
	if err == nil {
		for _, server := range into.(*contract.ReadStatesResult).Down {
			e.Down = append(e.Down, server.ID)
		}
		f.world.saw(e)
		return nil
	}
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	if e.Refused = ok && failure.Type() == api.ErrCredentials; e.Refused {
		f.world.saw(e)
	}
	return err
}

// HandleSignal notes the suspicions that are sent to the rollout.
func (i *inbound) HandleSignal(ctx workflow.Context, in *interceptor.HandleSignalInput) error {
	var suspicion api.Suspicion
	if in.SignalName == api.SuspicionSignal && converter.GetDefaultDataConverter().FromPayloads(in.Arg, &suspicion) == nil {
		i.world.saw(Event{At: workflow.Now(ctx), What: Suspected, Server: suspicion.ServerID})
	}
	return i.Next.HandleSignal(ctx, in)
}

// SignalWorkflow takes a suspicion. The environment may deliver it at its next tick only.
func (t asked) SignalWorkflow(ctx context.Context, _, _, _ string, arg any) error {
	if err := t.reach(ctx); err != nil {
		return err
	}
	t.world.mu.Lock()
	defer t.world.mu.Unlock()
	t.world.suspicions = append(t.world.suspicions, arg.(api.Suspicion))
	return nil
}

// tellSuspicions is called at every tick.
func (w *world) tellSuspicions() {
	w.mu.Lock()
	all := w.suspicions
	w.suspicions = nil
	w.mu.Unlock()
	for _, s := range all {
		_ = w.env.SignalWorkflowByID(api.RolloutID(w.plan.Name), api.SuspicionSignal, s) // one that has ended needs none
	}
}

// ExecuteUpdate notes the commands that are carried out.
func (i *inbound) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	answer, err := i.Next.ExecuteUpdate(ctx, in)
	if command, ok := in.Args[0].(rollout.Command); ok && err == nil {
		i.world.saw(Event{At: workflow.Now(ctx), What: Commanded, Command: command})
	}
	return answer, err
}
