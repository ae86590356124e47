package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// handed is what this run hands to the next.
func (f *fleet) handed() workflows.RolloutRunInput {
	f.t.Helper()
	f.run()
	var handed *workflow.ContinueAsNewError
	require.ErrorAs(f.t, f.env.GetWorkflowError(), &handed)
	var next workflows.RolloutRunInput
	require.NoError(f.t, converter.GetDefaultDataConverter().FromPayloads(handed.Input, &next))
	require.NotNil(f.t, next.Carry)
	return next
}

// TestCancelDuringTheHandOverIsAnAbort: Temporal does not hand a cancel on to the next run, so this one has to.
func TestCancelDuringTheHandOverIsAnAbort(t *testing.T) {
	first := newFleet(t, 4, 2, 4)
	first.env.SetContinueAsNewSuggested(true)
	first.startTakes = 30 * time.Second // the hand-over waits for it
	first.at(10*time.Second, first.env.CancelWorkflow)

	next := first.handed()

	assert.Len(t, next.Carry.Running, 2, "the starts were waited for")
	assert.Equal(t, rollout.PhaseAborting, next.Carry.State.Phase)
	require.Len(t, next.Carry.Running, 2)
	assert.NotEmpty(t, next.Carry.Running[0].RunID)
	log := next.Carry.State.Log
	assert.Equal(t, "a cancel of its workflow", log[len(log)-1].By)

	second := newFleet(t, 4, 2, 4)
	second.in = next
	second.env.SetStartTime(curtain.Add(time.Minute))
	second.env.OnActivity(contract.AwaitServer, mock.Anything, mock.Anything).Return(
		contract.AwaitServerResult{Result: &rollout.ServerResult{End: rollout.Done, After: changed()}}, nil)
	result := second.result()
	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 2, NotStarted: 2}, result.Counts)
	assert.Empty(t, second.orders)
}

// TestHandOverWithoutACancelGoesOn: the same, and nobody cancels.
func TestHandOverWithoutACancelGoesOn(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	f.env.SetContinueAsNewSuggested(true)
	f.startTakes = 30 * time.Second
	next := f.handed()
	assert.Equal(t, rollout.PhaseRunning, next.Carry.State.Phase)
	assert.Len(t, next.Carry.Running, 2)
}
