package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

func oneWave(servers int) func(*rollout.Plan) {
	return func(p *rollout.Plan) { p.Waves = []rollout.Wave{{Name: "all", End: servers}} }
}

func TestApply(t *testing.T) {
	f := newFleet(t, "applied", 4, oneWave(4), func(p *rollout.Plan) { p.Warnings = []string{"it is Friday"} }).endAtOnce(rollout.Done)
	ran := f.cliWith(t.Context(), "yes\n", "apply", f.planFile(), "--task-queue", f.queue, "--by", "ina")
	assert.Equal(t, exitDone, ran.code)
	assert.Contains(t, ran.err, "lost: 4 system disks and everything on them (160 GB, and all their snapshots)")
	assert.Contains(t, ran.err, "kept: the servers' ids and addresses, and 4 data disks")
	assert.Contains(t, ran.err, "warning: it is Friday")
	assert.Contains(t, ran.err, "Type yes to destroy 4 system disks (rollout applied): ")
	assert.Contains(t, ran.out, "log: ina: started: 4 servers in 1 wave\n")
	assert.Contains(t, ran.out, "ended: completed\n")
}

// TestApplyExitCodes: how the rollout ended is how the command ends.
func TestApplyExitCodes(t *testing.T) {
	t.Run("failures", func(t *testing.T) {
		f := newFleet(t, "with-failures", 3, oneWave(3), func(p *rollout.Plan) { p.Budget.Count = new(1) })
		f.endAtOnce(rollout.FailedIntact, "web-02").endAtOnce(rollout.Done)
		ran := f.cli("apply", f.planFile(), "--task-queue", f.queue, "--yes", "--output", "json")
		assert.Equal(t, exitFailed, ran.code)
		assert.Contains(t, ran.err, "completed with failures; see: reimage report with-failures")
		var p rollout.Progress
		require.NoError(t, json.Unmarshal([]byte(ran.out), &p), "standard output is one object")
		assert.Equal(t, rollout.CompletedWithFailures, p.End)
		assert.NotEmpty(t, p.StartedBy, "the user of the system")
	})
	t.Run("waits", func(t *testing.T) {
		f := newFleet(t, "breached", 3, oneWave(3)).endAtOnce(rollout.FailedChanged, "web-01")
		ran := f.cli("apply", f.planFile(), "--task-queue", f.queue, "--yes")
		assert.Equal(t, exitWaits, ran.code)
		assert.Contains(t, ran.out, "failed: web-01 ("+f.plan.Servers[0].ID+") is failed-changed: the test says failed-changed\n")
		assert.Contains(t, ran.out, "next: reimage retry breached --all && reimage resume breached\n")
		f.cli("abort", "breached")
		f.finish("web-02", rollout.Done)
	})
	t.Run("aborted", func(t *testing.T) {
		f := newFleet(t, "stopped", 3, oneWave(3), func(p *rollout.Plan) { p.Budget.OnBreach = rollout.BreachAbort })
		f.endAtOnce(rollout.Done).endAtOnce(rollout.FailedIntact, "web-01", "web-02")
		assert.Equal(t, exitCancelled, f.cli("apply", f.planFile(), "--task-queue", f.queue, "--yes").code)
	})
	t.Run("rolled back", func(t *testing.T) {
		f := newFleet(t, "undone", 3, oneWave(3), func(p *rollout.Plan) { p.Caps.InFlight, p.Budget.OnBreach = 1, rollout.BreachRollback })
		f.endAtOnce(rollout.Done).endAtOnce(rollout.FailedIntact, "web-02")
		ran := f.cli("apply", f.planFile(), "--task-queue", f.queue, "--yes")
		assert.Equal(t, exitRolledBack, ran.code)
		assert.Contains(t, ran.err, "every changed server has its previous image again")
		report := f.cli("report", "undone").out
		assert.Regexp(t, `rollback +\S+: 1 server failed and 0 tolerated: web-02\n`, report, "when and why, from the log")
		assert.Contains(t, report, "Servers that have their previous image again")
	})
	t.Run("nothing to roll back", func(t *testing.T) {
		f := newFleet(t, "untouched", 3, oneWave(3), func(p *rollout.Plan) { p.Caps.InFlight, p.Budget.OnBreach = 1, rollout.BreachRollback })
		ran := f.endAtOnce(rollout.FailedIntact).cli("apply", f.planFile(), "--task-queue", f.queue, "--yes")
		assert.Equal(t, exitRolledBack, ran.code)
		assert.Contains(t, ran.err, "rollout untouched was rolled back: no server had been changed; see: reimage report untouched")
	})
}

func TestApplyDetached(t *testing.T) {
	f := newFleet(t, "detached", 2)
	path := f.planFile()
	ran := f.cli("apply", path, "--task-queue", f.queue, "--yes", "--detach", "--output", "json")
	assert.Equal(t, exitDone, ran.code)
	var started struct {
		Name       string `json:"name"`
		WorkflowID string `json:"workflow_id"`
		RunID      string `json:"run_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(ran.out), &started))
	assert.Equal(t, "detached", started.Name)
	assert.Equal(t, "rollout/detached", started.WorkflowID)
	assert.NotEmpty(t, started.RunID)

	ran = f.cli("apply", path, "--task-queue", f.queue, "--yes")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "the name is in use: rollout detached is running (workflow rollout/detached, run "+started.RunID+"), and nothing was started")
	assert.Contains(t, ran.err, "reimage watch detached")
	assert.NotContains(t, ran.err, "lost:", "nobody is asked in vain")

	s := &session{client: temporalServer.Client, taskQueue: f.queue}
	_, err := s.startRollout(t.Context(), f.plan, "ben")
	assert.ErrorContains(t, err, "the name is in use", "the start itself refuses too")
}

// TestApplyRefusedInJSON: flags that do not go together are an object too. A command line that cannot be read is none.
func TestApplyRefusedInJSON(t *testing.T) {
	for says, flags := range map[string][]string{
		"--replan and -f go together":            {"--replan"},
		"go together: what is planned anew":      {"-f", "web.yaml"},
		"--wait and --detach exclude each other": {"--detach", "--wait"},
		"plan.json: no such file":                {},
	} {
		code, out, errOut := runCommand(t, append([]string{"apply", "plan.json", "--output", "json"}, flags...)...)
		assert.Equal(t, exitUsage, code)
		var refused map[string]string
		require.NoError(t, json.Unmarshal([]byte(out), &refused), says)
		assert.Contains(t, refused["error"], says)
		assert.Contains(t, errOut, says)
	}
	for _, args := range [][]string{{"apply", "--output", "json"}, {"apply", "plan.json", "--output", "json", "--nope"}} {
		code, out, _ := runCommand(t, args...)
		assert.Equal(t, exitUsage, code)
		assert.Empty(t, out)
	}
}

// TestNoRolloutWithoutConsent: anything but a whole yes starts nothing.
func TestNoRolloutWithoutConsent(t *testing.T) {
	f := newFleet(t, "unwanted", 2)
	path := f.planFile()
	for _, answer := range []string{"", "ye", "no\n", "y\n", "YES\n", "unwanted\n"} {
		ran := f.cliWith(t.Context(), answer, "apply", path, "--task-queue", f.queue)
		assert.Equal(t, exitUsage, ran.code)
		assert.Contains(t, ran.err, "no consent was given, nothing was touched")
		// The end of a line that was typed is not shown by the program but by the terminal.
		assert.Equal(t, !strings.HasSuffix(answer, "\n"), strings.Contains(ran.err, "(rollout unwanted): \nreimage: "), answer)
	}
	assert.True(t, f.nothingStarted())
}

// TestEditedPlan: what was not shown is not carried out.
func TestEditedPlan(t *testing.T) {
	f := newFleet(t, "edited", 2)
	content, err := os.ReadFile(f.planFile())
	require.NoError(t, err)
	for what, edit := range map[string][2]string{
		"a number":         {`"in_flight": 2`, `"in_flight": 1`},
		"a server":         {f.plan.Servers[0].ID, f.plan.Servers[1].ID},
		"an unknown field": {`"version"`, `"in_flight": 100, "version"`},
		"the version":      {`"version": 1`, `"version": 2`},
		"another plan":     {"\n}\n", "\n}{}\n"},
		"half of it":       {`"caps"`, ``},
		"a second field":   {`"budget"`, `"caps": {"in_flight": 100}, "budget"`},
	} {
		t.Run(what, func(t *testing.T) {
			edited := bytes.Replace(content, []byte(edit[0]), []byte(edit[1]), 1)
			require.NotEqual(t, content, edited)
			ran := f.cli("apply", f.file("plan.json", string(edited)), "--task-queue", f.queue, "--yes")
			assert.Equal(t, exitUsage, ran.code)
			assert.Regexp(t, `^reimage: \S+/plan.json cannot be carried out: [^;]+; make a new plan with: reimage plan -f FILE -o \S+/plan.json\n$`, ran.err)
			assert.Equal(t, 1, strings.Count(ran.err, "make a"), "the remedy is said once")
		})
	}
	assert.True(t, f.nothingStarted())
}

// TestTheOtherFile: a rollout is planned and a plan applied, and whoever mixes them up is told.
func TestTheOtherFile(t *testing.T) {
	f := newFleet(t, "mixed-up", 2)
	document, plan := f.document(), f.planFile()
	ran := f.cli("apply", document, "--yes")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "is a rollout and not a plan yet; make one with: reimage plan -f "+document)
	ran = f.cli("plan", "-f", plan)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "is a plan already and not the rollout that one is made from; carry it out with: reimage apply "+plan)
}

// TestDrift: a plan whose servers have changed is refused.
func TestDrift(t *testing.T) {
	f := newFleet(t, "drifted", 3)
	f.drift = []rollout.Drift{{ServerID: f.plan.Servers[0].ID, Name: "web-01", What: "web-01 has another system disk"}}
	path := f.planFile()

	ran := f.cli("apply", path, "--task-queue", f.queue, "--yes")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "1 of 3 servers have changed since the plan was made")
	assert.Contains(t, ran.err, f.plan.Servers[0].ID+": web-01 has another system disk")
	assert.Contains(t, ran.err, "Nothing was started. Make a new plan with: reimage plan -f FILE -o "+path)
	var refused map[string]string
	require.NoError(t, json.Unmarshal([]byte(f.cli("apply", path, "--task-queue", f.queue, "--yes", "--output", "json").out), &refused))
	assert.Contains(t, refused["error"], "1 of 3 servers have changed")

	assert.True(t, f.nothingStarted())
}

// TestReplan: whatever has changed, in the cloud or in the file, what is carried out is the new plan, and it is
// shown first.
func TestReplan(t *testing.T) {
	f := newFleet(t, "replanned", 3)
	path, document := f.planFile(), f.document()
	replan := func(answer string, args ...string) ran {
		return f.cliWith(t.Context(), answer, append([]string{"apply", path, "--task-queue", f.queue, "--replan", "-f", document}, args...)...)
	}

	other := f.file("other.yaml", strings.Replace(readText(t, document), "replanned", "other", 1))
	ran := f.cli("apply", path, "--task-queue", f.queue, "--replan", "-f", other)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "other.yaml is rollout other and the plan is of rollout replanned")

	elsewhere := f.plan
	elsewhere.Project = "another"
	require.NoError(t, elsewhere.Seal())
	f.made.Plan = &elsewhere
	ran = replan("", "--yes")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "the workers of task queue "+f.queue+" serve project another, nothing was started")

	again := f.plan
	again.MadeAt = again.MadeAt.Add(time.Hour)
	require.NoError(t, again.Seal())
	f.made.Plan = &again
	ran = replan("")
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "the new plan is the same as the old one\n")
	assert.Contains(t, ran.err, "Type yes to destroy 3 system disks (rollout replanned): ")

	fresh := f.plan
	fresh.Servers = fresh.Servers[1:]
	fresh.Waves = []rollout.Wave{{Name: "all", End: 2}}
	require.NoError(t, fresh.Seal())
	f.made.Plan = &fresh
	ran = replan("")
	assert.Equal(t, exitUsage, ran.code, "the consent is to the new plan")
	assert.Contains(t, ran.err, "the new plan compared with the old one:\n  - web-01 leaves")
	assert.Contains(t, ran.err, "Type yes to destroy 2 system disks (rollout replanned): ")
	assert.True(t, f.nothingStarted())

	f.endAtOnce(rollout.Done)
	ran = replan("yes\n", "--output", "json")
	assert.Equal(t, exitDone, ran.code, ran.err)
	var p rollout.Progress
	require.NoError(t, json.Unmarshal([]byte(ran.out), &p))
	assert.Equal(t, 2, p.Counts.Done, "no server has drifted, and still the new plan counts")
}

// TestSamePlan: nothing but the time and the names of the project may differ, down to a warning.
func TestSamePlan(t *testing.T) {
	plan := rollout.Plan{Name: "web", Servers: []rollout.PlannedServer{{ID: "1"}}}
	require.NoError(t, plan.Seal())
	warned := plan
	warned.Warnings = []string{"it is Friday"}
	require.NoError(t, warned.Seal())
	renamed := plan
	renamed.Profile, renamed.Edition = "web", "otc"
	require.NoError(t, renamed.Seal())
	for _, c := range []struct {
		new  rollout.Plan
		want bool
	}{{plan, true}, {warned, false}, {renamed, true}} {
		same, err := samePlan(plan, c.new)
		require.NoError(t, err)
		assert.Equal(t, c.want, same)
	}
}

// TestUnknownSizes: a size that the cloud did not tell is not counted as nothing.
func TestUnknownSizes(t *testing.T) {
	text := losses(rollout.Plan{Name: "web", Project: "p", Profile: "edge", Servers: []rollout.PlannedServer{{DiskGB: 40, DataDisks: 1}, {}}, Skipped: make([]rollout.SkippedServer, 2)})
	assert.Contains(t, text, "\n  where: profile edge, project p\n")
	assert.Contains(t, text, "lost: 2 system disks and everything on them (and all their snapshots)\n")
	assert.Contains(t, text, "and 1 data disk\n  left alone: 2 servers\n")
}

// TestMuchDrift: the list of what has changed stays readable.
func TestMuchDrift(t *testing.T) {
	drift := slices.Repeat([]rollout.Drift{{ServerID: "id", Name: "web-01", What: "web-01 is gone"}}, mostDrift+3)
	text := drifted(applyOptions{}, "plan.json", rollout.Plan{}, drift).Error()
	assert.Equal(t, mostDrift+3, len(strings.Split(text, "\n")))
	assert.Contains(t, text, "\n  and 3 more\nNothing was started. Make a new plan with: reimage plan -f FILE -o plan.json")
}

// TestDriftOfOtherThings: the image and the project are no servers, and a new plan helps only against the first.
func TestDriftOfOtherThings(t *testing.T) {
	image := rollout.Drift{Name: "noble", What: "image noble is gone"}
	plan := rollout.Plan{Servers: make([]rollout.PlannedServer, 3)}
	text := drifted(applyOptions{}, "plan.json", plan, []rollout.Drift{image, {ServerID: "id", What: "web-01 is gone"}}).Error()
	assert.Regexp(t, `^image noble is gone\n1 of 3 servers have changed since the plan was made at [^\n]*:\n  id: web-01 is gone\nNothing was started. Make`, text)
	assert.Regexp(t, `^image noble is gone\nNothing was started. Make`, drifted(applyOptions{}, "plan.json", plan, []rollout.Drift{image}).Error())

	project := rollout.Drift{What: "the plan is for project a and this worker serves project b"}
	assert.Equal(t, project.What+"\nNothing was started. Name the task queue of that project's workers with: reimage apply plan.json --task-queue QUEUE",
		drifted(applyOptions{}, "plan.json", plan, []rollout.Drift{project}).Error())
}

// TestInterruptedApply: Ctrl-C after the start leaves the rollout running.
func TestInterruptedApply(t *testing.T) {
	f := newFleet(t, "unattended", 2)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for !f.isRunning() && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		interrupt()
	}()
	ran := f.cliWith(ctx, "", "apply", f.planFile(), "--task-queue", f.queue, "--yes", "--output", "json")
	assert.Equal(t, exitInterrupted, ran.code)
	var stopped map[string]string
	require.NoError(t, json.Unmarshal([]byte(ran.out), &stopped))
	assert.Contains(t, stopped["error"], "goes on")
	assert.Contains(t, ran.err, "unattended")
	assert.True(t, f.isRunning())
	f.finish("web-01", rollout.Done)
	f.finish("web-02", rollout.Done)
	f.await("it ends all the same", func(p rollout.Progress) bool { return p.End == rollout.Completed })
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
