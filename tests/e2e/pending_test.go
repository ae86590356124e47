package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestTerminatedChangeIsRemembered: a workflow that was terminated by hand has said everything before, in its memo.
func TestTerminatedChangeIsRemembered(t *testing.T) {
	t.Parallel()
	t.Run("while it waits for its job", func(t *testing.T) {
		t.Parallel()
		lab := machine.NewLab(t, unpaid())
		lab.StartWorker(nil)
		server := lab.Server("SHUTOFF")
		image := lab.OtherImage(server).ID
		run := lab.Start(server.ID, rollout.Change{ImageID: image})
		lab.AwaitStep(run, api.StepWait)
		require.NoError(t, machine.Temporal.Client.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "by hand"))
		change := []string{"server", server.ID, "--image", image, "--yes", "--task-queue", lab.Queue}
		assert.Contains(t, machine.CLI(t, change...).ErrOut, "is PENDING_PAYMENT; ")
		assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue).ErrOut, "was not seen to its end, as judged when its workflow ended")
		assert.Equal(t, 1, lab.Accepted(server.ID))

		require.Equal(t, 0, machine.CLI(t, "server", "forget", server.ID, "--yes", "--by", "ina", "--task-queue", lab.Queue).Code)
		assert.Equal(t, 0, machine.CLI(t, change...).Code)
		assert.Equal(t, 2, lab.Accepted(server.ID))
	})
	t.Run("while it stops the server", func(t *testing.T) {
		t.Parallel()
		lab := machine.NewLab(t, emulator.Options{Speed: 30, Timing: emulator.Timing{Stop: emulator.Span{Median: 5 * time.Minute}}})
		lab.StartWorker(nil)
		server := lab.Server("ACTIVE")
		image := lab.OtherImage(server).ID
		run := lab.Start(server.ID, rollout.Change{ImageID: image})
		is := func(status, task string) func() bool {
			return func() bool {
				now, _ := lab.Cloud.Server(server.ID)
				return now.Status == status && now.TaskState == task
			}
		}
		lab.Eventually("it is being stopped", is("ACTIVE", "powering-off"))
		require.NoError(t, machine.Temporal.Client.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "by hand"))
		lab.Eventually("it is stopped", is("SHUTOFF", ""))
		ran := machine.CLI(t, "server", server.ID, "--image", image, "--yes", "--task-queue", lab.Queue)
		assert.Equal(t, 0, ran.Code)
		assert.Contains(t, ran.ErrOut, "is stopped since an earlier change, before which it ran, and will be left running")
		assert.True(t, is("ACTIVE", "")())
		assert.Equal(t, 1, lab.Accepted(server.ID))
	})
}
