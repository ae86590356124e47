package real

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// Traits are what an operator is like.
type Traits struct {
	// Retries is the chance that a failure is tried again rather than accepted, once for each server.
	Retries float64
	// GivesUp is the chance that a rollout that asks for a human is aborted.
	GivesUp float64
	// Hasty retries failures while the rollout still runs.
	Hasty bool
	// Interrupts are what the operator does once so many servers have ended.
	Interrupts []Interrupt
}

// Interrupt is a command that nobody asked for.
type Interrupt struct {
	Ended    int
	Kind     rollout.CommandKind
	InFlight int
}

func drawTraits(d *dice) Traits {
	t := Traits{Retries: one(d, 0, 0.4, 0.8), GivesUp: one(d, 0, 0, 0.3), Hasty: d.chance(0.3)}
	for ended := d.number(1, 8); ended < fleetSize; ended += d.number(4, 12) {
		i := Interrupt{Ended: ended, Kind: one(d, rollout.Pause, rollout.Pause, rollout.Concurrency, rollout.Concurrency, rollout.Concurrency, rollout.Skip, rollout.Abort)}
		if i.Kind == rollout.Abort && d.chance(0.6) {
			continue // most rollouts are allowed to go on
		}
		if i.Kind == rollout.Concurrency {
			i.InFlight = d.number(2, 9)
		}
		t.Interrupts = append(t.Interrupts, i)
	}
	return t
}

// operator runs a rollout to its end with commands.
type operator struct {
	Traits
	lab   *harness.Lab
	run   client.WorkflowRun
	dice  *dice
	tally *Tally

	retried map[string]bool
	paused  bool // by this operator
}

// attend looks at the rollout and does what is to be done, until ctx ends.
func (o *operator) attend(ctx context.Context) {
	o.retried = make(map[string]bool)
	const glance = 400 * time.Millisecond
	for pause(ctx, glance) {
		if p := o.lab.Progress(o.run); p.Name != "" && p.Phase != rollout.PhaseEnded {
			o.act(ctx, p)
		}
	}
}

func (o *operator) act(ctx context.Context, p rollout.Progress) {
	for _, wave := range p.Waves {
		if wave.AwaitsApproval {
			o.tell(ctx, rollout.Command{Kind: rollout.Approve, Wave: wave.Name})
			return
		}
	}
	switch {
	case len(o.Interrupts) > 0 && p.Counts.Ended() >= o.Interrupts[0].Ended:
		o.interrupt(ctx, p)
	case o.paused && len(p.InFlight) == 0:
		o.paused = false
		o.tell(ctx, rollout.Command{Kind: rollout.Resume})
	case o.paused:
	case p.NeedsHuman && o.dice.chance(o.GivesUp):
		o.tell(ctx, rollout.Command{Kind: rollout.Abort, Comment: "it fails too often"})
	case p.NeedsHuman:
		o.deal(ctx, p)
		if p.Phase == rollout.PhasePaused {
			o.tell(ctx, rollout.Command{Kind: rollout.Resume})
		}
	case o.Hasty && p.Phase == rollout.PhaseRunning && len(p.Failures) > 0 && !o.retried[p.Failures[0].ID]:
		o.retry(ctx, p.Failures[0].ID)
	}
}

// interrupt does what nobody asked for. A command that comes too late is refused, which is as good.
func (o *operator) interrupt(ctx context.Context, p rollout.Progress) {
	next := o.Interrupts[0]
	o.Interrupts = o.Interrupts[1:]
	command := rollout.Command{Kind: next.Kind, InFlight: next.InFlight}
	switch next.Kind {
	case rollout.Pause:
		o.paused = o.tell(ctx, command)
		return
	case rollout.Skip:
		last := o.lab.Cloud.Servers()
		command.Servers = []string{last[len(last)-1].ID}
	case rollout.Abort:
		command.Comment = "it was not meant to be"
	}
	o.tell(ctx, command)
}

// deal retries or accepts every failure.
func (o *operator) deal(ctx context.Context, p rollout.Progress) {
	for _, failed := range p.Failures {
		if !o.retried[failed.ID] && o.dice.chance(o.Retries) {
			o.retry(ctx, failed.ID)
			continue
		}
		o.tell(ctx, rollout.Command{Kind: rollout.Accept, Servers: []string{failed.ID}})
	}
}

func (o *operator) retry(ctx context.Context, id string) {
	o.retried[id] = true
	o.tell(ctx, rollout.Command{Kind: rollout.Retry, Servers: []string{id}})
}

// tell gives a command. It may be refused, because the rollout has moved on, or get lost with the Temporal server:
// the next glance shows.
func (o *operator) tell(ctx context.Context, command rollout.Command) bool {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command.By = "the operator"
	handle, err := o.lab.Temporal.Client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: o.run.GetID(), UpdateName: string(command.Kind), Args: []any{command}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var done string
	if err == nil {
		err = handle.Get(ctx, &done)
	}
	o.lab.T.Logf("operator: %s %v: %s%s", command.Kind, command.Servers, done, said(err))
	if err == nil {
		o.tally.Happened("command " + string(command.Kind))
	}
	return err == nil
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("not done: %v", err)
}
