package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
	"github.com/reimage/reimage/workflows"
)

// abortLate ends a rollout that a failure has paused.
func (f *fleet) abortLate() {
	f.at(5*time.Hour, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
}

// TestServerThatLostItsPowerIsDown: it ran before the rollout and does not run now, so it holds its slot, and
// the report says how it was left.
func TestServerThatLostItsPowerIsDown(t *testing.T) {
	for name, test := range map[string]struct {
		before, trouble string
		down            bool
		reason          string
	}{
		"ran, trouble":         {rollout.StatusActive, "the guest does not react", true, "no quota; it was left SHUTOFF; its power is not as asked: the guest does not react"},
		"ran, power back":      {rollout.StatusActive, "", false, "no quota; it was left SHUTOFF"},
		"was stopped, trouble": {rollout.StatusShutoff, "the guest does not react", false, "no quota; it was left SHUTOFF; its power is not as asked: the guest does not react"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 1, 1)
			f.ends["web-00"] = rollout.ServerResult{
				End: rollout.FailedIntact, Reason: "no quota", Before: seen(test.before, oldImage, oldDisk), After: untouched(),
				Left: rollout.StatusShutoff, PowerTrouble: test.trouble,
			}
			f.abortLate()

			f.run()

			p := f.progress()
			require.Len(t, p.Failures, 1)
			assert.Equal(t, test.down, p.Failures[0].Down)
			assert.Equal(t, test.down, p.Failures[0].HoldsSlot)
			assert.Equal(t, test.reason, p.Failures[0].Reason)
		})
	}
}

// TestPowerAfterTheJudgement is told as what came after it: "status SHUTOFF" and "left ACTIVE" in one sentence would
// contradict each other.
func TestPowerAfterTheJudgement(t *testing.T) {
	for left, test := range map[string]struct {
		after  rollout.Observation
		reason string
	}{
		rollout.StatusActive:  {untouched(), "judged; its power was restored since: ACTIVE"},
		rollout.StatusShutoff: {seen(rollout.StatusActive, newImage, newDisk), "judged; it was stopped since: SHUTOFF"},
		rollout.StatusError:   {untouched(), "judged; it was left ERROR since"},
		"":                    {untouched(), "judged"},
	} {
		t.Run(left, func(t *testing.T) {
			f := newFleet(t, 1, 1, 1)
			f.ends["web-00"] = rollout.ServerResult{
				End: rollout.FailedIntact, Reason: "judged", Before: seen(rollout.StatusActive, oldImage, oldDisk), After: test.after, Left: left,
			}
			f.abortLate()
			f.run()
			assert.Equal(t, test.reason, f.progress().Failures[0].Reason)
		})
	}
	t.Run("before any judgement", func(t *testing.T) {
		f := newFleet(t, 1, 1, 1)
		f.ends["web-00"] = rollout.ServerResult{
			End: rollout.NotStarted, Reason: "refused", Before: seen(rollout.StatusActive, oldImage, oldDisk), Left: rollout.StatusActive,
		}
		f.abortLate()
		f.run()
		assert.Equal(t, "refused; it was left ACTIVE", f.progress().Failures[0].Reason)
	})
}

// looksFail makes every look at a server whose workflow left no result fail.
func (f *fleet) looksFail() *[]contract.VerifyServerInput {
	looks := &[]contract.VerifyServerInput{}
	f.env.OnActivity(contract.VerifyServer, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.VerifyServerInput) (rollout.Observation, error) {
			*looks = append(*looks, in)
			return rollout.Observation{}, final(api.ErrCredentials, "the key was revoked")
		})
	return looks
}

// TestServerThatNobodyCanLookAtIsNeverDone: its workflow is gone and the cloud does not answer, so the worst is
// assumed, and nobody takes its disk back.
func TestServerThatNobodyCanLookAtIsNeverDone(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.plan.Budget.OnBreach = rollout.BreachRollback
	f.play = func(workflow.Context, api.ChangeOSInput) (rollout.ServerResult, error) {
		return rollout.ServerResult{}, final("Surprise", "out of paper")
	}
	looks := f.looksFail()

	result := f.result()

	assert.Equal(t, rollout.RolledBackPartially, result.End)
	assert.Equal(t, rollout.Counts{Servers: 1, Failed: 1}, result.Counts)
	server := f.server(0)
	assert.Equal(t, rollout.FailedChanged, server.End)
	assert.Equal(t, "its workflow failed: out of paper, and the server could not be looked at: the key was revoked", server.Reason)
	assert.Zero(t, server.After, "nothing was seen")
	assert.Len(t, f.orders, 1)
	change := f.plan.Change
	assert.Equal(t, []contract.VerifyServerInput{{
		Project: project, ServerID: f.plan.Servers[0].ID, Change: change, Before: f.plan.Servers[0].Before, Deadline: curtain.Add(40 * time.Minute),
	}}, *looks, "watched like one whose answer was lost")
}

// TestRefusedOrderIsLookedAtByNobody: a workflow that refuses its input has done nothing.
func TestRefusedOrderIsLookedAtByNobody(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.play = func(workflow.Context, api.ChangeOSInput) (rollout.ServerResult, error) {
		return rollout.ServerResult{}, final(api.ErrInvalidInput, "there is no project")
	}
	looks := f.looksFail()
	f.abortLate()

	f.run()

	server := f.server(0)
	assert.Equal(t, rollout.NotStarted, server.End)
	assert.Equal(t, "its workflow was refused, nothing was touched: there is no project", server.Reason)
	assert.Empty(t, *looks)
}

// TestRealRefusalOfAnOrder: the workflow that really changes servers refuses with the error that a rollout reads.
func TestRealRefusalOfAnOrder(t *testing.T) {
	s := newStage(t)
	s.in.Project = ""
	s.execute(api.ChangeOSName, s.in)
	left, lost := api.EndWithoutResult(s.env.GetWorkflowError())
	require.NotNil(t, left, lost)
	assert.Equal(t, rollout.NotStarted, left.End)
	assert.Empty(t, s.started)
}

// TestServerWhoseWaitFailsIsLookedAt: an adopted server whose wait ends with an error decides by what it shows.
func TestServerWhoseWaitFailsIsLookedAt(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.adopts(workflows.Running{Server: 0, RunID: "run", ImageID: newImage, Before: f.plan.Servers[0].Before})
	f.env.OnActivity(contract.AwaitServer, mock.Anything, mock.Anything).Return(contract.AwaitServerResult{},
		temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, passing(api.ErrCloud, "Temporal is away")))
	looks := []contract.VerifyServerInput{}
	f.env.OnActivity(contract.VerifyServer, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.VerifyServerInput) (rollout.Observation, error) {
			looks = append(looks, in)
			return untouched(), nil
		})
	f.abortLate()

	f.run()

	require.Len(t, looks, 1)
	server := f.server(0)
	assert.Equal(t, rollout.FailedChanged, server.End, "the change may still come")
	assert.Contains(t, server.Reason, "; its workflow could not be waited for: it took too long; last trouble: Temporal is away")
	assert.Empty(t, f.orders)
}

// adopts lets the rollout be the second run, which finds these servers in flight.
func (f *fleet) adopts(running ...workflows.Running) {
	e := engine.New(f.plan, "ann", curtain)
	started := e.Advance(curtain)
	require.Len(f.t, started.Start, len(running))
	f.in.Carry = &workflows.Carry{State: e.State(), Running: running}
}

// foreign is the end of a server that somebody else has changed.
func foreign() rollout.ServerResult {
	return rollout.ServerResult{
		End: rollout.FailedChanged, Reason: "its disk was replaced from outside, nothing was sent", Foreign: true, After: seen(rollout.StatusActive, oldImage, newDisk),
	}
}

// TestForeignDiskIsNotTriedAgain: the retry would destroy what is not ours, so it is refused with the reason.
func TestForeignDiskIsNotTriedAgain(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.ends["web-00"] = foreign()
	var retry, accept *told
	f.at(15*time.Minute, func() {
		retry = f.tell(rollout.Command{Kind: rollout.Retry, Servers: []string{"web-00"}})
		accept = f.tell(rollout.Command{Kind: rollout.Accept})
		f.tell(rollout.Command{Kind: rollout.Resume})
	})

	result := f.result()

	assert.ErrorContains(t, retry.rejected, "web-00 has a system disk that somebody else gave it, which this rollout must not destroy: accept the failure")
	assert.NoError(t, accept.err)
	assert.Equal(t, rollout.CompletedWithFailures, result.End)
	assert.Len(t, f.orders, 1)
}

// TestForeignDiskOfAServerWhoseWorkflowLeftNoResult is told by its image, and nobody takes it: neither old nor new, no
// change of ours leaves it.
func TestForeignDiskOfAServerWhoseWorkflowLeftNoResult(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.plan.Budget.OnBreach = rollout.BreachRollback
	f.play = func(workflow.Context, api.ChangeOSInput) (rollout.ServerResult, error) {
		return rollout.ServerResult{}, final("Surprise", "out of paper")
	}
	other := seen(rollout.StatusActive, "77777777-58c4-4a2b-9d0e-3f6b7c8d9e0f", newDisk)
	f.env.OnActivity(contract.VerifyServer, mock.Anything, mock.Anything).Return(other, nil)

	f.run()

	require.Len(t, f.orders, 1, "a rollback would take the disk")
	assert.Contains(t, f.server(0).Reason, "; it was given that disk from outside; its workflow failed: out of paper")
}

// TestForeignDiskIsNotRolledBack, and the rollout says that not everything is as before.
func TestForeignDiskIsNotRolledBack(t *testing.T) {
	f := newFleet(t, 2, 1, 2)
	f.plan.Budget.OnBreach = rollout.BreachRollback
	f.ends["web-01"] = foreign()

	result := f.result()

	assert.Equal(t, rollout.RolledBackPartially, result.End)
	assert.Equal(t, rollout.Counts{Servers: 2, RolledBack: 1, Failed: 1}, result.Counts)
	require.Len(t, f.orders, 3)
	assert.Equal(t, f.plan.Servers[0].ID, f.orders[2].ServerID, "the one with a disk of our making")
}
