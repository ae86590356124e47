package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

// TestLookAfterTheWorkerLeft: Temporal lists a worker for a while after it has gone, so the command starts its
// look in good faith, and has to notice by itself that nobody will answer.
func TestLookAfterTheWorkerLeft(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	worker := lab.StartWorker(nil)
	server := lab.Server("ACTIVE")
	args := []string{"server", server.ID, "--image", lab.OtherImage(server).ID, "--task-queue", lab.Queue}
	require.Equal(t, 1, machine.Command(t, args...).Run("no\n").Code)
	require.NoError(t, worker.Stop())

	ran := machine.CLI(t, args...)

	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.ErrOut, "could not be looked at, nothing was touched: no worker serves task queue "+lab.Queue+" any more: start reimage-worker")
	assert.Empty(t, lab.Cloud.Ledger().Servers[server.ID].Writes)
}
