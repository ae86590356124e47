package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// planWithHealth plans a canary and a rest from the command line, whose applications have to answer.
func planWithHealth(t *testing.T, lab *harness.Lab, name, health string) (shown string, plan rollout.Plan, path string) {
	t.Helper()
	dir := t.TempDir()
	document, path := filepath.Join(dir, "rollout.yaml"), filepath.Join(dir, "plan.json")
	require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: %s}
spec:
  select: {names: ["*"]}
  image: {id: %s}
  waves: [{name: canary, count: 1}, {name: rest, upTo: 100%%}]
  inFlight: {count: 4}
  health: %s
`, name, lab.OtherImage(lab.Cloud.Servers()[0]).ID, health), 0o600))
	planned := machine.CLI(t, "plan", "-f", document, "-o", path, "--task-queue", lab.Queue)
	require.Equal(t, 0, planned.Code)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &plan))
	return planned.Out, plan, path
}

const probesOfTheApplication = `{checks: [{type: http, port: 8080, path: /health, contains: ok, stableFor: 1s, within: 8s}, {type: tcp, port: 8080, stableFor: 1s}]}`

// TestUnhealthyCanaryFromTheCommandLine: an image whose application does not work is caught by the canary. When the application
// was mended, a recheck goes on without another change.
func TestUnhealthyCanaryFromTheCommandLine(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 5, Applications: true})
	lab.StartWorker(nil)
	shown, plan, path := planWithHealth(t, lab, "unhealthy", probesOfTheApplication)
	assert.Contains(t, shown, "Health: a server is done when it passes\n  http :8080/health for 1s without a break, within 8s\n")
	assert.NotContains(t, shown, "not healthy")
	require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: emulator.OpApplication, Kind: emulator.AppError, Image: plan.Change.ImageID, Times: -1}))
	canary := plan.Servers[0]

	require.Equal(t, 0, machine.CLI(t, "apply", path, "--yes", "--detach", "--by", "ina", "--task-queue", lab.Queue).Code)
	run := lab.Temporal.Client.GetWorkflow(t.Context(), api.RolloutID(plan.Name), "")
	paused := lab.Await(run, "the canary pauses it", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused && p.Counts.Failed == 1 })
	require.Len(t, paused.Failures, 1)
	assert.Equal(t, rollout.FailedUnhealthy, paused.Failures[0].End)
	assert.Contains(t, paused.Failures[0].Reason, "its application is not healthy: http :8080/health: ")
	assert.True(t, paused.Failures[0].HoldsSlot)
	after, _ := lab.Cloud.Server(canary.ID)
	assert.Equal(t, plan.Change.ImageID, after.ImageID, "the disk is proven")
	assert.Contains(t, machine.CLI(t, "status", plan.Name).Out, "next  reimage recheck unhealthy --all && reimage resume unhealthy")

	lab.Cloud.ClearFaults()
	checked := machine.CLI(t, "recheck", plan.Name, canary.Name, "--by", "ben", "--comment", "mended")
	assert.Equal(t, 0, checked.Code)
	assert.Equal(t, "unhealthy: the health of "+canary.Name+" will be checked again once the rollout is resumed\n", checked.Out)
	require.Equal(t, 0, machine.CLI(t, "resume", plan.Name, "--by", "ben").Code)
	ended := machine.CLI(t, "watch", plan.Name)
	assert.Equal(t, 0, ended.Code)
	requireFleetChangedOnce(t, lab, plan)
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(machine.CLI(t, "report", plan.Name, "--format", "json").Out), &r))
	assert.Equal(t, rollout.Completed, r.End)
	assert.Equal(t, rollout.Counts{Servers: 5, Done: 5}, r.Counts)
	for _, server := range plan.Servers {
		after, _ := lab.Cloud.Server(server.ID)
		assert.Equal(t, server.Status, after.Status, "%s: its power as before, also when it was probed while it ran", server.Name)
	}
	lab.ReplayRuns(run)
}

// TestNoWorkerProbes: no server fails because no worker may ask it.
func TestNoWorkerProbes(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 2, Applications: true})
	blind := lab.StartWorker(map[string]string{"REIMAGE_PROBES": "off"})
	shown, plan, path := planWithHealth(t, lab, "unprobed", probesOfTheApplication)
	assert.Contains(t, shown, "which servers are healthy now is not known: the worker probes no servers (REIMAGE_PROBES=off)")

	require.Equal(t, 0, machine.CLI(t, "apply", path, "--yes", "--detach", "--by", "ina", "--task-queue", lab.Queue).Code)
	run := lab.Temporal.Client.GetWorkflow(t.Context(), api.RolloutID(plan.Name), "")
	paused := lab.Await(run, "it pauses and names the worker", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused })
	assert.Contains(t, paused.Why, "REIMAGE_PROBES=off")
	assert.Regexp(t, `\(worker [0-9]+@`, paused.Why)
	assert.Equal(t, 1, paused.Counts.InFlight)
	assert.Zero(t, paused.Counts.Failed)

	lab.StartWorker(nil)
	require.NoError(t, blind.Stop())
	require.Equal(t, 0, machine.CLI(t, "resume", plan.Name, "--by", "ben").Code)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}
