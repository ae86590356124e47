package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestServerCommand changes a running server from the command line and looks at the evidence.
func TestServerCommand(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	image := lab.OtherImage(before)

	ran := machine.CLI(t, "server", before.ID, "--image", image.ID, "--key-pair", before.KeyName, "--yes", "--output", "json", "--task-queue", lab.Queue)
	require.Equal(t, 0, ran.Code)
	assert.Contains(t, ran.ErrOut, "the system disk of "+before.Name+" and everything on it", "consent names what is lost")

	var result rollout.ServerResult
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &result))
	after, _ := lab.Cloud.Server(before.ID)
	assert.Equal(t, rollout.Done, result.End)
	assert.Equal(t, image.ID, after.ImageID)
	assert.Equal(t, after.ImageID, result.After.ImageID)
	assert.NotEqual(t, before.SystemVolumeID, after.SystemVolumeID)
	assert.Equal(t, after.SystemVolumeID, result.After.VolumeID)
	assert.Equal(t, before.DataVolumeIDs, after.DataVolumeIDs, "data disks stay")
	assert.Equal(t, "ACTIVE", after.Status)
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, before.ID), ""))

	again := machine.CLI(t, "server", before.ID, "--image", image.ID, "--key-pair", before.KeyName, "--yes", "--task-queue", lab.Queue)
	assert.Equal(t, 0, again.Code)
	assert.Contains(t, again.Out, "on the image already")
	assert.Equal(t, 1, lab.Accepted(before.ID), "the same command again must not cost the new disk")
}

// TestConsent takes nothing but a whole yes.
func TestConsent(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	lab.StartWorker(nil)
	server := lab.Server("SHUTOFF")
	args := []string{"server", server.ID, "--image", lab.OtherImage(server).ID, "--task-queue", lab.Queue}

	for _, answer := range []string{"", "y\n", "no\n"} {
		ran := machine.Command(t, args...).Run(answer)
		assert.Equal(t, 1, ran.Code)
		assert.Contains(t, ran.ErrOut, "nothing was touched")
	}
	assert.Empty(t, lab.Cloud.Ledger().Servers[server.ID].Writes)

	ran := machine.Command(t, args...).Run("yes\n")
	require.Equal(t, 0, ran.Code)
	assert.Equal(t, 1, lab.Accepted(server.ID))
	after, _ := lab.Cloud.Server(server.ID)
	assert.Equal(t, "SHUTOFF", after.Status, "a stopped server is left stopped")
}

// TestDetachStatusAndLock starts without waiting, and finds the server locked meanwhile.
func TestDetachStatusAndLock(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 5})
	lab.StartWorker(nil)
	server := lab.Server("ACTIVE")
	args := []string{"server", server.ID, "--image", lab.OtherImage(server).ID, "--yes", "--task-queue", lab.Queue}

	require.Equal(t, 0, machine.CLI(t, append(args, "--detach")...).Code)
	run := machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, server.ID), "")
	lab.AwaitStep(run, api.StepStop)

	second := machine.CLI(t, args...)
	assert.Equal(t, 1, second.Code)
	assert.Contains(t, second.ErrOut, "busy", "the server is held by the first change")
	same := machine.CLI(t, "server", server.ID, "--image", server.ImageID, "--yes", "--task-queue", lab.Queue)
	assert.Equal(t, 1, same.Code)
	assert.Contains(t, same.ErrOut, "busy", "it is on that image, but not for long")

	status := machine.CLI(t, "server", "status", server.ID, "--wait", "--task-queue", lab.Queue)
	assert.Equal(t, 0, status.Code)
	assert.Contains(t, status.Out, string(rollout.Done))
	assert.Equal(t, 1, lab.Accepted(server.ID))
}

// TestLoginReachesTheServer proves that references are resolved on the worker and applied.
func TestLoginReachesTheServer(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "Xk7-planted-Pw"})
	lab.Secret("cloud-config", "#cloud-config\nruncmd: []\n")
	running, stopped := lab.Server("ACTIVE"), lab.Server("SHUTOFF")

	ran := machine.CLI(t, "server", running.ID, "--image", lab.OtherImage(running).ID, "--password-from", "env:REIMAGE_SECRET_ROOT_PASSWORD", "--yes", "--task-queue", lab.Queue)
	require.Equal(t, 0, ran.Code)
	after, _ := lab.Cloud.Server(running.ID)
	assert.Equal(t, sha256Hex("Xk7-planted-Pw"), after.PasswordSHA256)

	ran = machine.CLI(t, "server", stopped.ID, "--image", lab.OtherImage(stopped).ID, "--user-data-from", "file:cloud-config", "--power", "on", "--yes", "--task-queue", lab.Queue)
	require.Equal(t, 0, ran.Code)
	after, _ = lab.Cloud.Server(stopped.ID)
	assert.Equal(t, sha256Hex("#cloud-config\nruncmd: []\n"), after.UserDataSHA256)
	assert.Equal(t, "ACTIVE", after.Status, "left running as asked")
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
