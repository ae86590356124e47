package real

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// patience ends a rollout in which nothing happens any more. A server that the cloud does not stop is given up after
// half an hour (workflows/options.go), and one that waits for its deadline sooner. It is no measure of speed.
const patience = 40 * time.Minute

// theatre is what all rollouts share.
type theatre struct {
	machine  *harness.Machine
	temporal *Temporal
	tally    *Tally
}

// rehearse carries out one rollout by its schedule, from its cloud to its account.
func (th theatre) rehearse(t *testing.T, s Schedule) {
	lab, plan := stage(t, th.machine, s)
	clock := startClock(lab.Cloud)
	watch := startWatch(lab, plan)
	ctx, end := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer func() { end(); busy.Wait() }()
	crew := &crew{lab: lab, dice: newDice(s.Seed, 11), tally: th.tally}
	crew.hire()
	var run client.WorkflowRun
	th.temporal.Spare(func() { run = lab.Roll(api.RolloutInput{Plan: plan, HistoryLimit: s.Shape.HistoryLimit}) })
	operator := &operator{Traits: s.Operator, lab: lab, run: run, dice: newDice(s.Seed, 12), tally: th.tally}
	busy.Go(func() { crew.work(ctx, s.Troubles) })
	busy.Go(func() { operator.attend(ctx) })
	busy.Go(func() { th.die(ctx, t, s.Death) })

	ended := th.awaitEnd(t, lab, run)
	end()
	busy.Wait()
	if ended {
		awaitRest(t, lab)
	}
	th.temporal.Spare(func() {
		a := collect(lab, run, plan, clock, watch)
		defer th.tally.Add(a)
		a.tell(t, s)
		a.replay(lab)
	})
}

// die kills the Temporal server when it is time.
func (th theatre) die(ctx context.Context, t *testing.T, death *Death) {
	if death == nil || !pause(ctx, death.At) {
		return
	}
	if err := th.temporal.Die(ctx, death.Down); err != nil {
		t.Error(err)
		return
	}
	th.tally.Happened(TemporalDied)
}

// tell says how the rollout ended, and everything about what it did wrong.
func (a *account) tell(t *testing.T, s Schedule) {
	t.Helper()
	t.Logf("%s: %s, %s", a.Plan.Name, a.Progress.End, a.Progress.Counts)
	if len(a.violations) == 0 {
		return
	}
	for _, violation := range a.violations {
		t.Errorf("violation: %s", violation)
	}
	t.Logf("%s\n%s", s, a.evidence())
}

// stage makes the cloud of a schedule and the plan for it.
func stage(t *testing.T, machine *harness.Machine, s Schedule) (*harness.Lab, rollout.Plan) {
	t.Helper()
	options := emulator.Options{Servers: fleetSize, Seed: s.Seed, Timing: emulator.Timing{Lag: s.Cloud.Lag}}
	for _, option := range s.Cloud.Edition {
		name, value, _ := strings.Cut(option, "=")
		require.NoError(t, options.Edition.Set(name, value))
	}
	lab := machine.NewLab(t, options)
	fleet := lab.Cloud.Servers()
	for _, at := range s.Cloud.Stopped {
		require.NoError(t, lab.Cloud.Update(fleet[at].ID, func(s *emulator.Server) { s.Status = rollout.StatusShutoff }))
	}
	for _, at := range s.Cloud.Deaf {
		require.NoError(t, lab.Cloud.Update(fleet[at].ID, func(s *emulator.Server) { s.IgnoresACPI = true }))
	}
	for _, f := range s.Cloud.Faults {
		if f.At >= 0 {
			f.Server = fleet[f.At].ID
		}
		if f.Variant == emulator.VariantPendingPayment { // only what is paid by the year waits for a payment
			require.NoError(t, lab.Cloud.Update(f.Server, func(s *emulator.Server) { s.ChargingMode = "1" }))
		}
		require.NoError(t, lab.Cloud.AddFault(f.Fault))
	}
	plan := lab.Plan(strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", "-"), s.Shape.InFlight, fleetSize)
	plan.Waves, plan.Budget, plan.Soak = s.Shape.Waves, s.Shape.Budget, s.Shape.Soak
	plan.Change.Power, plan.Change.Deadline, plan.Change.AllowHardStop = s.Shape.Power, s.Shape.Deadline, s.Cloud.HardStop
	require.NoError(t, plan.Seal())
	return lab, plan
}

// awaitEnd waits until the rollout has ended. It has not when it has stood still for too long.
func (th theatre) awaitEnd(t *testing.T, lab *harness.Lab, run client.WorkflowRun) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer context.AfterFunc(th.temporal.Life(), cancel)()
	if deadline, ok := t.Deadline(); ok {
		var end context.CancelFunc
		ctx, end = context.WithDeadline(ctx, deadline.Add(-time.Minute)) // leave the time to say what hangs
		defer end()
	}
	mark, since := "", time.Now()
	for time.Since(since) < patience {
		var result api.RolloutResult
		err := getWithin(ctx, lab, run, &result)
		if err == nil {
			return true
		}
		if failed, ok := errors.AsType[*temporal.WorkflowExecutionError](err); ok {
			t.Errorf("violation: the workflow of the rollout failed: %v", failed)
			return true
		}
		if !pause(ctx, 500*time.Millisecond) {
			return false // the oracle says that it is stuck
		}
		if now := standing(ctx, lab, run); now != "" && now != mark {
			mark, since = now, time.Now()
		}
	}
	return false
}

// getWithin asks for the end for a few seconds.
func getWithin(ctx context.Context, lab *harness.Lab, run client.WorkflowRun, result any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return lab.Temporal.Client.GetWorkflow(ctx, run.GetID(), "").Get(ctx, result)
}

// standing is where the history of the rollout stands, or nothing when nobody can tell.
func standing(ctx context.Context, lab *harness.Lab, run client.WorkflowRun) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	described, err := lab.Temporal.Client.DescribeWorkflowExecution(ctx, run.GetID(), "")
	if err != nil {
		return ""
	}
	info := described.GetWorkflowExecutionInfo()
	return fmt.Sprint(info.GetExecution().GetRunId(), info.GetHistoryLength())
}

// awaitRest waits until the cloud has done what it still had to do: late writes, jobs, slow guests. Stuck jobs stay.
func awaitRest(t *testing.T, lab *harness.Lab) {
	t.Helper()
	const longest = 6 * time.Minute // a stop of a deaf guest, and a late write before it
	until := lab.Cloud.Now().Add(longest)
	for lab.Cloud.Now().Before(until) {
		pause(t.Context(), until.Sub(lab.Cloud.Now())/harness.Speed)
	}
}
