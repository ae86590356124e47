package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// fleet is Temporal's test environment for a rollout whose servers' workflows are played: each takes ten
// simulated minutes and is done, unless the test says otherwise.
type fleet struct {
	t    *testing.T
	env  *testsuite.TestWorkflowEnvironment
	plan rollout.Plan
	in   workflows.RolloutRunInput
	// ends are how servers end, by name; play replaces the workflow of all servers.
	ends map[string]rollout.ServerResult
	play func(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error)
	// orders are what was asked for, in their order.
	orders []api.ChangeOSInput
	*between
}

func newFleet(t *testing.T, servers, inFlight int, waveEnds ...int) *fleet {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	f := &fleet{t: t, env: suite.NewTestWorkflowEnvironment(), ends: make(map[string]rollout.ServerResult), between: &between{}}
	f.plan = rollout.Plan{
		Version: rollout.PlanVersion, Name: "web", Project: project, ImageName: "base-2",
		Change: rollout.Change{ImageID: newImage, Deadline: 40 * time.Minute},
		Caps:   rollout.Caps{InFlight: inFlight}, Budget: rollout.Budget{Count: new(int), OnBreach: rollout.BreachPause},
	}
	for i := range servers {
		f.plan.Servers = append(f.plan.Servers, rollout.PlannedServer{
			ID: fmt.Sprintf("2b1f0f1e-7f0c-4f5e-9a34-%012d", i), Name: fmt.Sprintf("web-%02d", i), Status: rollout.StatusActive,
			Before: rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk},
		})
	}
	for i, end := range waveEnds {
		f.plan.Waves = append(f.plan.Waves, rollout.Wave{Name: fmt.Sprintf("wave-%d", i+1), End: end})
	}
	f.play = func(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
		if err := workflow.Sleep(ctx, 10*time.Minute); err != nil {
			return rollout.ServerResult{}, err
		}
		if end, ok := f.ends[f.name(in.ServerID)]; ok {
			delete(f.ends, f.name(in.ServerID)) // the next attempt is done
			return end, nil
		}
		return rollout.ServerResult{End: rollout.Done, After: changed()}, nil
	}
	f.env.SetStartTime(curtain)
	f.env.SetTestTimeout(time.Minute)
	f.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{f.between}})
	f.env.RegisterWorkflowWithOptions(workflows.Rollout, workflow.RegisterOptions{Name: api.RolloutName})
	// Not a mock: the environment tells of the start of a mocked workflow only when it has ended.
	f.env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
		f.orders = append(f.orders, in)
		return f.play(ctx, in)
	}, workflow.RegisterOptions{Name: api.ChangeOSName})
	(&activities.Activities{}).Register(f.env)
	return f
}

func (f *fleet) name(serverID string) string {
	i := slices.IndexFunc(f.plan.Servers, func(s rollout.PlannedServer) bool { return s.ID == serverID })
	require.GreaterOrEqual(f.t, i, 0)
	return f.plan.Servers[i].Name
}

// run carries the plan out to the end of this run.
func (f *fleet) run() {
	f.t.Helper()
	f.in.Plan = f.plan
	if f.in.StartedBy == "" {
		f.in.StartedBy = "ann"
	}
	f.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: api.RolloutID(f.plan.Name)})
	f.env.ExecuteWorkflow(api.RolloutName, f.in)
	require.True(f.t, f.env.IsWorkflowCompleted())
}

func (f *fleet) result() api.RolloutResult {
	f.t.Helper()
	f.run()
	require.NoError(f.t, f.env.GetWorkflowError())
	var result api.RolloutResult
	require.NoError(f.t, f.env.GetWorkflowResult(&result))
	return result
}

func (f *fleet) at(d time.Duration, do func()) { f.env.RegisterDelayedCallback(do, d) }

func (f *fleet) progress() rollout.Progress {
	f.t.Helper()
	answer, err := f.env.QueryWorkflow(api.ProgressQuery)
	require.NoError(f.t, err)
	var p rollout.Progress
	require.NoError(f.t, answer.Get(&p))
	return p
}

// told is what became of a command.
type told struct {
	rejected error
	done     string
	err      error
}

func (f *fleet) tell(c rollout.Command) *told {
	if c.By == "" {
		c.By = "bob"
	}
	end := &told{}
	f.env.UpdateWorkflow(string(c.Kind), "", &testsuite.TestUpdateCallback{
		OnReject: func(err error) { end.rejected = err },
		OnAccept: func() {},
		OnComplete: func(done any, err error) {
			end.done, _ = done.(string)
			end.err = err
		},
	}, c)
	return end
}

func TestRolloutGoesWaveByWave(t *testing.T) {
	f := newFleet(t, 7, 3, 1, 7)
	var during rollout.Progress
	f.at(5*time.Minute, func() { during = f.progress() })

	result := f.result()

	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 7, Done: 7}, result.Counts)
	assert.Equal(t, curtain.Add(30*time.Minute), result.EndedAt, "ten minutes for the canary, two windows of three")
	assert.Equal(t, []string{"web-00"}, names(during.InFlight), "the canary alone")
	require.Len(t, f.orders, 7)
	assert.Equal(t, api.ChangeOSInput{
		Project: project, ServerID: f.plan.Servers[0].ID, Change: f.plan.Change, Expect: &f.plan.Servers[0].Before,
		Rollout: api.RolloutRef{WorkflowID: "rollout/web"},
	}, f.orders[0])
}

func names(servers []rollout.ServerProgress) []string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Name)
	}
	return all
}

func TestRolloutPausesRetriesAndGoesOn(t *testing.T) {
	f := newFleet(t, 3, 1, 1, 3)
	f.ends["web-00"] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "the old system disk is still there"}
	var paused rollout.Progress
	var early, retry, resume *told
	f.at(15*time.Minute, func() {
		paused = f.progress()
		early = f.tell(rollout.Command{Kind: rollout.Resume})
		retry = f.tell(rollout.Command{Kind: rollout.Retry, Servers: []string{"web-00"}})
	})
	f.at(16*time.Minute, func() { resume = f.tell(rollout.Command{Kind: rollout.Resume}) })

	result := f.result()

	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.PhasePaused, paused.Phase)
	assert.True(t, paused.NeedsHuman)
	assert.ErrorContains(t, early.rejected, "resume is refused: 1 server failed and 0 tolerated: web-00; retry or accept failures first, or abort (accepted now: ")
	assert.Equal(t, "web-00 will be tried again once the rollout is resumed", retry.done)
	assert.Equal(t, "resumed", resume.done)
	assert.Len(t, f.orders, 4)
}

func TestRolloutRefusesACommandByNobody(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	var refused *told
	f.at(time.Minute, func() { refused = f.tell(rollout.Command{Kind: rollout.Pause, By: " "}) })
	f.run()
	assert.ErrorContains(t, refused.rejected, "nobody gives it")
}

// TestCancelOfARolloutIsAnAbort: what is in flight is finished, nothing else is started.
func TestCancelOfARolloutIsAnAbort(t *testing.T) {
	f := newFleet(t, 5, 2, 5)
	f.at(5*time.Minute, f.env.CancelWorkflow)

	result := f.result()

	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, rollout.Counts{Servers: 5, Done: 2, NotStarted: 3}, result.Counts)
	assert.Equal(t, curtain.Add(10*time.Minute), result.EndedAt)
}

// TestRolloutRefusesMoreInFlightThanTemporalStands: nobody raises the cap past it either.
func TestRolloutRefusesMoreInFlightThanTemporalStands(t *testing.T) {
	f := newFleet(t, rollout.MaxInFlight+10, 1, rollout.MaxInFlight+10)
	var refused *told
	f.at(time.Minute, func() {
		refused = f.tell(rollout.Command{Kind: rollout.Concurrency, InFlight: rollout.MaxInFlight + 1})
		f.tell(rollout.Command{Kind: rollout.Abort})
	})
	f.run()
	assert.ErrorContains(t, refused.rejected, "501 servers in flight are not between 1 and 500; to start none, pause")
	assert.Len(t, f.orders, 1)
}

// TestRolloutContinuesWithoutDraining hands over what is in flight, and the next run adopts it.
func TestRolloutContinuesWithoutDraining(t *testing.T) {
	first := newFleet(t, 4, 2, 4)
	first.at(5*time.Minute, func() { first.env.SetContinueAsNewSuggested(true) })
	first.at(6*time.Minute, func() { first.tell(rollout.Command{Kind: rollout.Concurrency, InFlight: 3}) })
	first.run()
	var handed *workflow.ContinueAsNewError
	require.ErrorAs(t, first.env.GetWorkflowError(), &handed)
	var next workflows.RolloutRunInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(handed.Input, &next))
	require.NotNil(t, next.Carry)
	var inFlight, running []int
	for i, server := range next.Carry.State.Servers {
		if server.State == rollout.InFlight {
			inFlight = append(inFlight, i)
		}
	}
	for _, r := range next.Carry.Running {
		running = append(running, r.Server)
	}
	require.ElementsMatch(t, inFlight, running, "what is in flight is handed over")
	require.Contains(t, running, 2)

	second := newFleet(t, 4, 2, 4)
	second.in = next
	second.env.SetStartTime(curtain.Add(6 * time.Minute))
	second.env.OnActivity(contract.AwaitServer, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.AwaitServerInput) (contract.AwaitServerResult, error) {
			require.NotEmpty(t, in.RunID)
			if in.WorkflowID == api.ChangeOSID(project, second.plan.Servers[2].ID) {
				return contract.AwaitServerResult{Lost: "its workflow was terminated by hand"}, nil
			}
			return contract.AwaitServerResult{Result: &rollout.ServerResult{End: rollout.Done, After: changed()}}, nil
		})
	second.env.OnActivity(contract.VerifyServer, mock.Anything, mock.Anything).Return(changed(), nil).Once()

	result := second.result()

	assert.Equal(t, rollout.Completed, result.End, "the server whose workflow was terminated shows proof")
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 4}, result.Counts)
	assert.Equal(t, 4, len(first.orders)+len(second.orders), "nothing that was started is started again")
	assert.Equal(t, curtain, result.StartedAt)
}

// TestServerWhoseWorkflowFailedIsLookedAt: the server decides what it is, not the workflow that is gone.
func TestServerWhoseWorkflowFailedIsLookedAt(t *testing.T) {
	for name, test := range map[string]struct {
		seen rollout.Observation
		end  rollout.ServerEnd
	}{
		"proof":     {changed(), rollout.Done},
		"untouched": {untouched(), rollout.FailedChanged}, // the change may still come
		"no disk":   {seen(rollout.StatusError, oldImage, ""), rollout.FailedLost},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 1, 1)
			f.play = func(workflow.Context, api.ChangeOSInput) (rollout.ServerResult, error) {
				return rollout.ServerResult{}, temporal.NewNonRetryableApplicationError("out of paper", "Surprise", nil)
			}
			f.env.OnActivity(contract.VerifyServer, mock.Anything, mock.Anything).Return(test.seen, nil).Once()
			f.at(time.Hour, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })

			f.run()

			p := f.progress()
			if test.end == rollout.Done {
				assert.Equal(t, rollout.Completed, p.End)
				return
			}
			require.Len(t, p.Failures, 1)
			assert.Equal(t, test.end, p.Failures[0].End)
			assert.Contains(t, p.Failures[0].Reason, "its workflow failed: out of paper")
		})
	}
}

// TestServerWhoseChangeWasCancelledAloneIsReadFromItsResult: somebody cancelled one server's workflow.
func TestServerWhoseChangeWasCancelledAloneIsReadFromItsResult(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.play = func(workflow.Context, api.ChangeOSInput) (rollout.ServerResult, error) {
		return rollout.ServerResult{}, temporal.NewCanceledError(rollout.ServerResult{End: rollout.NotStarted, Reason: "cancelled before its disk was touched"})
	}
	f.at(time.Hour, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
	f.run()
	p := f.progress()
	require.Len(t, p.Failures, 1)
	assert.Equal(t, rollout.NotStarted, p.Failures[0].End)
}

func TestRolloutRollsBackToTheImageFromBefore(t *testing.T) {
	f := newFleet(t, 3, 1, 3)
	f.plan.Budget.OnBreach = rollout.BreachRollback
	f.ends["web-01"] = rollout.ServerResult{End: rollout.FailedChanged, Reason: "does not run", After: seen(rollout.StatusShutoff, newImage, newDisk)}

	result := f.result()

	assert.Equal(t, rollout.RolledBack, result.End)
	assert.Equal(t, rollout.Counts{Servers: 3, RolledBack: 2, NotStarted: 1}, result.Counts)
	require.Len(t, f.orders, 4)
	back := f.orders[2]
	assert.Equal(t, f.plan.Servers[1].ID, back.ServerID, "the last one first")
	assert.Equal(t, oldImage, back.Change.ImageID)
	assert.True(t, back.Change.EvenIfSameImage)
	assert.Equal(t, &rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk}, back.Expect, "only the disk it was seen with may be lost")
}

func TestRolloutPages(t *testing.T) {
	f := newFleet(t, 5, 5, 5)
	f.run()
	var all []string
	for from := 0; ; {
		answer, err := f.env.QueryWorkflow(api.ServersQuery, api.ServersPage{From: from, Limit: 2})
		require.NoError(t, err)
		var page api.ServersAnswer
		require.NoError(t, answer.Get(&page))
		all = append(all, names(page.Servers)...)
		if page.Next == 0 {
			break
		}
		from = page.Next
	}
	assert.Equal(t, []string{"web-00", "web-01", "web-02", "web-03", "web-04"}, all)
}

func TestRolloutRefusesWhatNoPlannerMakes(t *testing.T) {
	for name, spoil := range map[string]func(*fleet){
		"another version":           func(f *fleet) { f.plan.Version++ },
		"no servers":                func(f *fleet) { f.plan.Servers, f.plan.Waves = nil, nil },
		"waves that do not reach":   func(f *fleet) { f.plan.Waves[1].End = 2 },
		"waves that go back":        func(f *fleet) { f.plan.Waves[0].End = 4 },
		"a cap that starts nothing": func(f *fleet) { f.plan.Caps.InFlight = 0 },
		"a cap that wedges it":      func(f *fleet) { f.plan.Caps.InFlight = rollout.MaxInFlight + 1 },
		"the id of another rollout": func(f *fleet) { f.plan.Name = "Web" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3, 1, 1, 3)
			id := api.RolloutID(f.plan.Name)
			spoil(f)
			f.in.Plan, f.in.StartedBy = f.plan, "ann"
			f.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
			f.env.ExecuteWorkflow(api.RolloutName, f.in)
			var app *temporal.ApplicationError
			require.ErrorAs(t, f.env.GetWorkflowError(), &app)
			assert.Equal(t, "InvalidInput", app.Type())
			assert.Empty(t, f.orders)
		})
	}
}
