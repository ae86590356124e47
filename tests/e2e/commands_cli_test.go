package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestCommandsFromTheCommandLine gives a rollout every command that steers it but approve, which the walk of an
// operator has, and looks at the cloud's account of each server at the end. Servers wait at the gate, so that each
// command meets the rollout in a known state.
func TestCommandsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 8})
	plan := lab.Plan("steered", 2, 2, 8)
	s := plan.Servers
	for _, fails := range []rollout.PlannedServer{s[0], s[4]} {
		require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: "changeos", Kind: "job_fail", Variant: "intact", Server: fails.ID}))
	}
	gate := newGate(t, lab, slices.Concat(s[:1], s[2:]))
	lab.StartWorker(gate.worker())
	tell := func(says string, args ...string) {
		t.Helper()
		ran := machine.CLI(t, append(args, "--by", "ina")...)
		require.Equal(t, 0, ran.Code)
		assert.Equal(t, plan.Name+": "+says+"\n", ran.Out)
	}
	run := apply(t, lab, plan)
	stands := func(what string, counts rollout.Counts) {
		t.Helper()
		lab.Await(run, what, func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused && p.Counts == counts })
	}

	// The first fails only after the second has ended: a failure recalls what has not been touched.
	lab.Await(run, "the second is done", func(p rollout.Progress) bool { return p.Counts.Done == 1 })
	gate.open(s[:1])
	stands("the failed canary pauses it", rollout.Counts{Servers: 8, Pending: 6, Done: 1, Failed: 1})
	tell(s[0].Name+" will be tried again once the rollout is resumed", "retry", plan.Name, s[0].Name)
	tell("resumed", "resume", plan.Name)
	awaitInFlight(lab, run, s[2:4])
	tell("paused: 2 servers in flight: untouched ones wait for their turn again, the others are finished", "pause", plan.Name)
	gate.open(s[2:4])
	stands("what was untouched waits for its turn again", rollout.Counts{Servers: 8, Pending: 6, Done: 2})

	tell("skipped "+s[7].Name, "skip", plan.Name, s[7].Name)
	tell("up to 1 server in flight, before it was 2", "concurrency", plan.Name, "1")
	tell("resumed", "resume", plan.Name)
	awaitInFlight(lab, run, s[4:5])
	gate.open(s[4:5])
	stands("the next failure pauses it", rollout.Counts{Servers: 8, Pending: 2, Done: 4, Failed: 1, Skipped: 1})
	tell("accepted the failure of "+s[4].Name, "accept", plan.Name, s[4].ID)
	tell("resumed", "resume", plan.Name)
	awaitInFlight(lab, run, s[5:6])
	tell("aborted: 1 server in flight: submitted changes are finished, all others are recalled", "abort", plan.Name, "--comment", "wrong image")
	gate.open(s[5:])

	ended := machine.CLI(t, "watch", plan.Name)
	assert.Equal(t, 3, ended.Code)
	assert.Contains(t, ended.Out, "log: ina: aborted: 1 server in flight: submitted changes are finished, all others are recalled: wrong image\n")
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(machine.CLI(t, "report", plan.Name, "--format", "json").Out), &r))
	assert.Equal(t, rollout.Aborted, r.End)
	assert.Equal(t, rollout.Counts{Servers: 8, Done: 4, Failed: 1, Accepted: 1, Skipped: 1, NotStarted: 2}, r.Counts)
	for i, accepted := range []int{2, 1, 1, 1, 1, 0, 0, 0} { // the first was tried twice, the fifth failed
		after, _ := lab.Cloud.Server(s[i].ID)
		assert.Equal(t, accepted, lab.Accepted(s[i].ID), "%s: changes accepted", s[i].Name)
		changed := accepted > 0 && i != 4
		assert.Equal(t, changed, after.ImageID == plan.Change.ImageID, s[i].Name)
		assert.Equal(t, changed, after.SystemVolumeID != s[i].Before.VolumeID, s[i].Name)
		assert.Equal(t, s[i].Status, after.Status, s[i].Name)
	}
	lab.ReplayRuns(run)
}

// TestRolledBackFromTheCommandLine: the third server fails, which is one too many, so the two that were changed get
// their previous image again, each by exactly one more change, and nothing else is touched.
func TestRolledBackFromTheCommandLine(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 5})
	lab.StartWorker(nil)
	plan := lab.Plan("taken-back", 1, 5)
	plan.Budget.OnBreach = rollout.BreachRollback
	require.NoError(t, plan.Seal())
	s := plan.Servers
	require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: "changeos", Kind: "job_fail", Variant: "intact", Server: s[2].ID}))

	run := apply(t, lab, plan)
	ended := machine.CLI(t, "watch", plan.Name)
	assert.Equal(t, 5, ended.Code)
	assert.Contains(t, ended.ErrOut, "every changed server has its previous image again")
	result := lab.Rolled(run)
	assert.Equal(t, rollout.RolledBack, result.End)
	assert.Equal(t, rollout.Counts{Servers: 5, RolledBack: 2, Failed: 1, NotStarted: 2}, result.Counts)

	there, back := plan.Change.ImageID, s[0].Before.ImageID
	for i, images := range [][]string{{there, back}, {there, back}, {there}, nil, nil} {
		var asked []string
		for _, write := range lab.Cloud.Ledger().Servers[s[i].ID].Writes {
			if write.Op == emulator.OpChangeOS {
				asked = append(asked, write.ImageID)
			}
		}
		assert.Equal(t, images, asked, s[i].Name)
		after, _ := lab.Cloud.Server(s[i].ID)
		assert.Equal(t, s[i].Before.ImageID, after.ImageID, s[i].Name)
		assert.Equal(t, i >= 2, after.SystemVolumeID == s[i].Before.VolumeID, "%s: its old disk", s[i].Name)
		assert.Equal(t, s[i].Status, after.Status, s[i].Name)
	}
	lab.ReplayRuns(run)
}

// apply starts the rollout from the command line and does not wait for it.
func apply(t *testing.T, lab *harness.Lab, plan rollout.Plan) client.WorkflowRun {
	t.Helper()
	content, err := json.Marshal(plan)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.Equal(t, 0, machine.CLI(t, "apply", path, "--yes", "--detach", "--by", "ina", "--task-queue", lab.Queue).Code)
	return lab.Temporal.Client.GetWorkflow(t.Context(), api.RolloutID(plan.Name), "")
}
