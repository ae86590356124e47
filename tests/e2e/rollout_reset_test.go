package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// resetRollout is a rollout of four servers, the first of which fails intact, that was reset to its first task once two had
// ended and the third was being changed.
func resetRollout(t *testing.T, name string) (*harness.Lab, rollout.Plan, client.WorkflowRun) {
	t.Helper()
	lab := machine.NewLab(t, emulator.Options{Servers: 4, Speed: 20})
	plan := lab.Plan(name, 1, 4)
	plan.Budget.Count = new(2)
	require.NoError(t, plan.Seal())
	require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: "changeos", Kind: "job_fail", Variant: "intact", Server: plan.Servers[0].ID}))
	lab.StartWorker(nil)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	lab.Eventually("the third is being changed", func() bool { return lab.Accepted(plan.Servers[2].ID) == 1 })
	return lab, plan, resetTo(t, run, finished(t, lab, run, 0))
}

// TestRolloutReset: a rollout that was reset to its first task pauses and says so, follows what it had started, and changes
// no server again.
func TestRolloutReset(t *testing.T) {
	t.Parallel()
	lab, plan, run := resetRollout(t, "reset-and-resumed")

	known := lab.Await(run, "it follows the servers", func(p rollout.Progress) bool {
		return p.Phase == rollout.PhasePaused && p.Counts.Done == 2 && p.Counts.Failed == 1
	})
	assert.Contains(t, known.Why, "its workflow was reset by hand")
	assert.Equal(t, 1, known.Counts.Pending)
	assert.Zero(t, lab.Accepted(plan.Servers[3].ID), "nothing is started before it is resumed")

	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
	require.NoError(t, err)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.CompletedWithFailures, result.End)
	for _, server := range plan.Servers {
		assert.Equal(t, 1, lab.Accepted(server.ID), server.Name)
	}
	lab.ReplayRuns(run)
}

// TestRolloutResetAndAborted: a server that is being changed is not called not started.
func TestRolloutResetAndAborted(t *testing.T) {
	t.Parallel()
	lab, plan, run := resetRollout(t, "reset-and-aborted")
	lab.Await(run, "it is paused", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused })

	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Abort})
	require.NoError(t, err)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Aborted, result.End)
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 2, Failed: 1, NotStarted: 1}, result.Counts)
	assert.Zero(t, lab.Accepted(plan.Servers[3].ID))
	lab.ReplayRuns(run)
}
