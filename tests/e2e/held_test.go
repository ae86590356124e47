package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestPlanOfAServerThatARolloutHolds: the cloud shows nothing yet of what is going to happen to it, but Temporal does.
func TestPlanOfAServerThatARolloutHolds(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 3})
	running := lab.Plan("holds", 1, 3)
	held, free := running.Servers[:1], running.Servers[1:]
	gate := newGate(t, lab, held)
	lab.StartWorker(gate.worker())
	run := lab.Roll(api.RolloutInput{Plan: running})
	awaitInFlight(lab, run, held)

	document := filepath.Join(t.TempDir(), "rollout.yaml")
	write := func(rules string) {
		require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: other}
spec:
  select: {names: ["*"]}
  image: {id: %s}
%s`, otherImage(t, lab, running), rules), 0o600))
	}
	plan := func() harness.Ran { return machine.CLI(t, "plan", "-f", document, "--task-queue", lab.Queue) }
	busy := held[0].Name + " (status " + rollout.StatusActive + ", held by rollout holds since "
	write("")
	lab.Eventually("the plan says who holds the server", func() bool { // Temporal's list trails behind
		refused := plan()
		return refused.Code == 1 && strings.Contains(refused.Out+refused.ErrOut, "1 busy server: "+busy)
	})
	write("  servers: {unfit: skip}\n")
	made := plan()
	require.Zero(t, made.Code)
	assert.Contains(t, made.Out, "is busy (status ACTIVE, held by rollout holds since ")
	for _, server := range free {
		assert.Contains(t, made.Out, server.Name, "it is pending, and nobody holds it")
	}

	gate.open(held)
	assert.Equal(t, rollout.Completed, lab.Rolled(run).End)
	write("")
	lab.Eventually("nobody holds the server any more", func() bool { return plan().Code == 0 })
}
