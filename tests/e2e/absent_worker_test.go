package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
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

// TestForgetAfterTheWorkerLeft: a dismissal without a worker is shown to everybody who looks or repeats it, and is called off.
func TestForgetAfterTheWorkerLeft(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unpaid())
	worker := lab.StartWorker(nil)
	server := lab.Server("SHUTOFF")
	ended := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: lab.OtherImage(server).ID, Deadline: 10 * time.Second}))
	require.Equal(t, rollout.FailedChanged, ended.End, ended.Reason)
	require.NoError(t, worker.Stop())
	args := []string{"server", "forget", server.ID, "--yes", "--by", "ina", "--task-queue", lab.Queue}

	first := make(chan harness.Ran)
	go func() { first <- machine.CLI(t, args...) }()

	const waits = "a dismissal of its pending change, which waits for a worker since "
	lab.Eventually("the dismissal is shown", func() bool {
		return strings.Contains(machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue).ErrOut, "there is "+waits)
	})
	again := machine.CLI(t, args...)
	assert.Equal(t, 1, again.Code)
	assert.Contains(t, again.ErrOut, "is locked by "+waits)
	ran := <-first
	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.ErrOut, "no worker has begun yet\n")
	assert.Contains(t, ran.ErrOut, "is not forgotten: no worker serves task queue "+lab.Queue+" any more: start reimage-worker")

	lab.StartWorker(nil)
	assert.Zero(t, machine.CLI(t, args...).Code)
}
