package e2e

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults/real"
	"github.com/reimage/reimage/tests/harness"
)

// TestRolloutOutlivesItsTemporalServer kills the Temporal server in the middle of a wave, at the worst moment: a worker
// has sent the request that destroys a disk, and nobody is there to be told so until the change is over. The server is
// brought back on its database, and nothing is sent a second time. When the worker has died as well, nobody is left who
// knows that anything was sent.
func TestRolloutOutlivesItsTemporalServer(t *testing.T) {
	t.Parallel()
	own, err := harness.NewMachine() // the other tests need theirs
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, own.Remove()) })
	output, err := own.TemporalLog()
	require.NoError(t, err)
	t.Cleanup(func() { _ = output.Close() })
	temporal, err := real.StartTemporal(t.Context(), own.TemporalProgram, own.DB, output)
	require.NoError(t, err)
	t.Cleanup(func() { _ = temporal.Stop() }) // it is killed, whatever it says to that
	own.Temporal = temporal.Stack()

	for name, workerDies := range map[string]bool{"the worker lives": false, "the worker dies too": true} {
		t.Run(name, func(t *testing.T) { // one after the other: they share the server that dies
			lab := own.NewLab(t, emulator.Options{Servers: 12})
			plan := lab.Plan("dead-temporal-"+strconv.FormatBool(workerDies), 4, 12)
			plan.Budget.Count = ptr(12) // a server that fails ends the rollout with a failure, and not in a pause
			require.NoError(t, plan.Seal())
			sent, held := plan.Servers[:1], plan.Servers[1:]
			gate, killed := newGate(t, lab, held), make(chan error, 1)
			gate.beforeChange = func() { killed <- temporal.Kill() }
			worker := lab.StartWorker(gate.worker())
			run := lab.Roll(api.RolloutInput{Plan: plan})

			require.NoError(t, <-killed)
			lab.Eventually("the cloud has made the change meanwhile", func() bool {
				now, _ := lab.Cloud.Server(sent[0].ID)
				return lab.Accepted(sent[0].ID) > 0 && now.TaskState == ""
			})
			assert.Equal(t, 1, accepted(lab, plan), "it died in the middle of the wave")
			gate.open(held)
			if workerDies {
				require.NoError(t, worker.Kill())
			}
			require.NoError(t, temporal.Start(t.Context()))
			if workerDies {
				lab.StartWorker(gate.worker())
			}

			result := lab.Rolled(run)
			assert.Equal(t, rollout.Completed, result.End)
			assert.Equal(t, rollout.Counts{Servers: 12, Done: 12}, result.Counts)
			requireFleetChangedOnce(t, lab, plan)
			assert.Equal(t, 1, lab.ReplayRuns(run))
		})
	}
}
