package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// requireDoneOnce is what every crash has to end in: the new image, on a new disk, asked for once.
func requireDoneOnce(t *testing.T, lab *harness.Lab, before emulator.Server, image emulator.Image, result rollout.ServerResult) {
	t.Helper()
	require.Equal(t, rollout.Done, result.End, result.Reason)
	after, _ := lab.Cloud.Server(before.ID)
	assert.Equal(t, image.ID, after.ImageID)
	assert.NotEqual(t, before.SystemVolumeID, after.SystemVolumeID)
	assert.Equal(t, before.Status, after.Status)
	assert.Equal(t, 1, lab.Accepted(before.ID), "accepted changes of OS")
}

// TestWorkerKilled kills the worker with SIGKILL in every step that may take long.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	for _, step := range []api.Step{api.StepStop, api.StepWait} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Speed: 8})
			worker := lab.StartWorker(nil)
			before := lab.Server("ACTIVE")
			image := lab.OtherImage(before)
			run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
			lab.AwaitStep(run, step)

			require.NoError(t, worker.Kill())
			lab.StartWorker(nil)

			requireDoneOnce(t, lab, before, image, lab.Result(run))
			lab.Replay(run)
		})
	}
}

// TestWorkerKilledWhileSubmitting kills the worker while the cloud has the request in its hands: no
// process knows whether it was accepted.
func TestWorkerKilledWhileSubmitting(t *testing.T) {
	t.Parallel()
	for _, fault := range []emulator.FaultKind{"hang_before", "hang_after"} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Faults: []emulator.Fault{{Op: "changeos", Kind: fault}}})
			worker := lab.StartWorker(nil)
			before := lab.Server("SHUTOFF")
			image := lab.OtherImage(before)
			run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
			lab.Eventually("the request has arrived", func() bool { return requests(lab, changeOSv2) == 1 })

			require.NoError(t, worker.Kill())
			lab.StartWorker(nil)

			requireDoneOnce(t, lab, before, image, lab.Result(run))
			lab.Replay(run)
		})
	}
}

// TestWorkerHandsOver stops a worker with SIGTERM: the next one carries on without waiting for a
// heartbeat to time out.
func TestWorkerHandsOver(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 8})
	worker := lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	lab.AwaitStep(run, api.StepWait)

	require.NoError(t, worker.Stop())
	lab.StartWorker(nil)

	requireDoneOnce(t, lab, before, image, lab.Result(run))
	lab.Replay(run)
}

const changeOSv2 = "POST /v2/{project_id}/cloudservers/{server_id}/changeos"

func requests(lab *harness.Lab, endpoint string) int { return lab.Cloud.Ledger().Requests[endpoint] }
