package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestCancelBeforeSubmit gives the server its power back, once it is down.
func TestCancelBeforeSubmit(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 5, Timing: emulator.Timing{Stop: emulator.Span{Median: 75 * time.Second}}})
	lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	run := lab.Start(before.ID, rollout.Change{ImageID: lab.OtherImage(before).ID})
	lab.Eventually("the stop was accepted", func() bool { return len(lab.Cloud.Ledger().Servers[before.ID].Writes) == 1 })

	cancel := machine.CLI(t, "server", "cancel", before.ID, "--reason", "wrong image", "--task-queue", lab.Queue)
	require.Equal(t, 0, cancel.Code)
	ran := machine.CLI(t, "server", "status", before.ID, "--wait", "--task-queue", lab.Queue)

	assert.Equal(t, 3, ran.Code)
	assert.Contains(t, ran.ErrOut, "cancelled")
	writes := lab.Cloud.Ledger().Servers[before.ID].Writes
	require.Len(t, writes, 2, "stopped, and started again")
	assert.Equal(t, emulator.OpStart, writes[1].Op)
	after, _ := lab.Cloud.Server(before.ID)
	assert.Equal(t, "ACTIVE", after.Status)
	assert.Equal(t, before.SystemVolumeID, after.SystemVolumeID)
	assert.Zero(t, lab.Accepted(before.ID))
	lab.Replay(run)
}

// TestCancelAfterSubmit comes too late: the server is carried to its end.
func TestCancelAfterSubmit(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 8})
	lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	lab.AwaitStep(run, api.StepWait)
	refused := machine.CLI(t, "server", "cancel", before.ID, "--task-queue", lab.Queue)
	assert.Equal(t, 1, refused.Code)
	assert.Contains(t, refused.ErrOut, "too late, nothing more can be cancelled: the change of "+before.Name+" has been submitted or is about to be")

	require.NoError(t, machine.Temporal.Client.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	ran := machine.CLI(t, "server", "status", before.ID, "--wait", "--output", "json", "--task-queue", lab.Queue)

	require.Equal(t, 0, ran.Code)
	var result rollout.ServerResult
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &result))
	requireDoneOnce(t, lab, before, image, result)
	lab.Replay(run)
}
