package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
)

// TestFleetFromTheCommandLine is an operator's walk: plan, apply, approve, watch, report. The plan is then out
// of date, which is noticed.
func TestFleetFromTheCommandLine(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 6})
	lab.StartWorker(nil)
	dir := t.TempDir()
	document, planFile := filepath.Join(dir, "rollout.yaml"), filepath.Join(dir, "plan.json")
	image := lab.OtherImage(lab.Cloud.Servers()[0])
	require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: by-hand}
spec:
  select: {names: ["*"]}
  image: {id: %s}
  servers: {unfit: skip}
  waves:
    - {name: canary, count: 1, approval: true}
    - {name: rest, upTo: 100%%}
  inFlight: {count: 3}
`, image.ID), 0o600))
	run := func(code int, args ...string) string {
		t.Helper()
		ran := machine.CLI(t, args...)
		require.Equal(t, code, ran.Code)
		return ran.Out + ran.ErrOut
	}

	assert.Contains(t, run(0, "plan", "-f", document, "-o", planFile, "--task-queue", lab.Queue), "next: reimage apply "+planFile)
	content, err := os.ReadFile(planFile)
	require.NoError(t, err)
	var plan rollout.Plan
	require.NoError(t, json.Unmarshal(content, &plan))
	require.NotEmpty(t, plan.Servers)

	assert.Contains(t, run(4, "apply", planFile, "--yes", "--by", "ina", "--task-queue", lab.Queue), "next: reimage approve by-hand")
	run(0, "approve", "by-hand", "--wave", "canary", "--by", "ben")
	assert.Contains(t, run(0, "watch", "by-hand"), "ended: completed")

	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(machine.CLI(t, "report", "by-hand", "--format", "json").Out), &r))
	assert.Equal(t, rollout.Completed, r.End)
	assert.Equal(t, rollout.Counts{Servers: len(plan.Servers), Done: len(plan.Servers)}, r.Counts)
	assert.Equal(t, "ben", r.Waves[0].ApprovedBy)
	requireFleetChangedOnce(t, lab, plan)

	again := run(1, "apply", planFile, "--yes", "--task-queue", lab.Queue)
	assert.Contains(t, again, fmt.Sprintf("%d of %d servers have changed since the plan was made", len(plan.Servers), len(plan.Servers)))
	assert.Contains(t, again, plan.Servers[0].Name)
	requireFleetChangedOnce(t, lab, plan)
}
