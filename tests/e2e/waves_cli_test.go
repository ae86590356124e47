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
)

// TestSelectedWavesFromTheCommandLine plans waves by what the servers of a cloud are, with a canary that has one of each zone
// and role, ends its bake of a day early, and carries the rest out.
func TestSelectedWavesFromTheCommandLine(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 12})
	lab.StartWorker(nil)
	dir := t.TempDir()
	document, planFile := filepath.Join(dir, "rollout.yaml"), filepath.Join(dir, "plan.json")
	require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: by-role}
spec:
  select: {names: ["*"], zones: [eu-emulated-1a, eu-emulated-1b]}
  image: {id: %s}
  spread: [zone, tag:role]
  waves:
    - {name: canary, select: {names: ["web-*"], tags: [role=app]}, count: 2, bake: 1d, approval: true}
    - {name: mail, select: {tags: [role=mail]}, bake: 1d}
    - {name: db, select: {tags: [role=db]}}
    - {name: rest}
  inFlight: {count: 4}
`, lab.OtherImage(lab.Cloud.Servers()[0]).ID), 0o600))
	run := func(code int, args ...string) string {
		t.Helper()
		ran := machine.CLI(t, args...)
		require.Equal(t, code, ran.Code)
		return ran.Out + ran.ErrOut
	}

	planned := run(0, "plan", "-f", document, "-o", planFile, "--task-queue", lab.Queue)
	assert.Contains(t, planned, "Wave 1 of 4: canary (names web-*; tags role=app), 2 servers (2 of 8 after it), then bakes 24h, then waits for approval\n")
	assert.Contains(t, planned, "Wave 2 of 4: mail (tags role=mail), empty\n")
	assert.Contains(t, planned, "wave mail selects what no planned server has: tag role=mail")
	content, err := os.ReadFile(planFile)
	require.NoError(t, err)
	var plan rollout.Plan
	require.NoError(t, json.Unmarshal(content, &plan))
	require.Len(t, plan.Servers, 8, "of the two zones")
	role := func(s rollout.PlannedServer) string {
		server, _ := lab.Cloud.Server(s.ID)
		return server.Tags[0]
	}
	canary := plan.Servers[:2]
	assert.NotEqual(t, canary[0].Zone, canary[1].Zone)
	assert.ElementsMatch(t, []string{"role=web", "role=app"}, []string{role(canary[0]), role(canary[1])})
	for _, s := range plan.Servers[2:plan.Waves[2].End] {
		assert.Equal(t, "role=db", role(s))
	}
	for _, s := range plan.Servers[plan.Waves[2].End:] {
		assert.NotEqual(t, "role=db", role(s))
	}

	run(0, "apply", planFile, "--yes", "--detach", "--by", "ina", "--task-queue", lab.Queue)
	workflow := lab.Temporal.Client.GetWorkflow(t.Context(), api.RolloutID(plan.Name), "")
	lab.Await(workflow, "the canary bakes", func(p rollout.Progress) bool { return !p.Waves[0].BakeUntil.IsZero() })
	assert.Contains(t, run(0, "status", plan.Name), "to end the bake early  reimage approve by-role --end-bake --comment WHY")
	assert.Contains(t, run(1, "approve", plan.Name, "--by", "ben"), "or end its bake early with approve --end-bake")
	ended := run(0, "approve", plan.Name, "--end-bake", "--wave", "canary", "--by", "ben", "--comment", "all checks are green")
	assert.Contains(t, ended, "ended the bake of wave canary, ")
	assert.Contains(t, ended, " before its time, and approved what follows it\n")
	assert.Contains(t, run(0, "watch", plan.Name), "ended: completed")

	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(machine.CLI(t, "report", plan.Name, "--format", "json").Out), &r))
	assert.Equal(t, rollout.Counts{Servers: 8, Done: 8}, r.Counts)
	assert.Equal(t, []string{"ben", "ben"}, []string{r.Waves[0].BakeEndedBy, r.Waves[0].ApprovedBy})
	assert.Contains(t, run(0, "report", plan.Name), "wave mail (tags role=mail) is empty and skipped")
	requireFleetChangedOnce(t, lab, plan)
	assert.Equal(t, 1, lab.ReplayRuns(workflow))
}
