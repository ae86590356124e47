package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

func TestPlan(t *testing.T) {
	f := newFleet(t, "planned", 3)
	document, out := f.document(), filepath.Join(t.TempDir(), "a plan.json")

	ran := f.cli("plan", "-f", document, "-o", out, "--task-queue", f.queue)
	assert.Equal(t, exitDone, ran.code, ran.err)
	assert.Contains(t, ran.out, "planned")
	assert.Contains(t, ran.err, "next: reimage apply '"+out+"' --task-queue "+f.queue+"\n", "the exact next command")
	info, err := os.Stat(out)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	plan, err := readPlan(nil, out)
	require.NoError(t, err)
	assert.Equal(t, f.plan, plan)
	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing temporary is left")

	ran = f.cli("plan", "-f", document, "--output", "json", "--task-queue", f.queue)
	assert.Equal(t, exitDone, ran.code)
	var printed rollout.Plan
	require.NoError(t, json.Unmarshal([]byte(ran.out), &printed))
	assert.Equal(t, f.plan, printed)
	assert.Contains(t, ran.err, "the plan was not kept; next: reimage plan -f "+document+" -o plan.json --task-queue "+f.queue)

	t.Setenv("REIMAGE_TASK_QUEUE", f.queue)
	assert.NotContains(t, f.cli("plan", "-f", document).err, "--task-queue", "the default need not be typed")
}

// TestPlanRefused: every problem is named, and there is no plan.
func TestPlanRefused(t *testing.T) {
	f := newFleet(t, "impossible", 3)
	f.made = api.PlanRolloutResult{Problems: []string{"no server matches web-*", "image x is not active"}}
	out := filepath.Join(t.TempDir(), "plan.json")
	ran := f.cli("plan", "-f", f.document(), "-o", out, "--task-queue", f.queue)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "rollout impossible cannot be planned, nothing was touched:\n  no server matches web-*\n  image x is not active")
	assert.Empty(t, ran.out)
	assert.NoFileExists(t, out)

	// For programs, all servers are named.
	for want, whole := range map[string][]string{"2 locked servers: web-1, web-2": {"2 locked servers: web-1, web-2"}, "2 locked servers: web-1 and 1 more": nil} {
		f.made = api.PlanRolloutResult{Problems: []string{"2 locked servers: web-1 and 1 more"}, Whole: whole}
		ran = f.cli("plan", "-f", f.document(), "--output", "json", "--task-queue", f.queue)
		assert.Equal(t, exitUsage, ran.code)
		assert.Contains(t, ran.err, "2 locked servers: web-1 and 1 more")
		var refused struct {
			Error    string
			Problems []string
		}
		require.NoError(t, json.Unmarshal([]byte(ran.out), &refused))
		assert.Contains(t, refused.Error, "cannot be planned, nothing was touched:\n  2 locked servers: web-1 and 1 more")
		assert.Equal(t, []string{want}, refused.Problems)
	}

	f.made = api.PlanRolloutResult{Problems: []string{"image \x1b[2J\nx"}}
	assert.Contains(t, f.cli("plan", "-f", f.document(), "--task-queue", f.queue).err, "nothing was touched:\n  image [2J x\n")

	f.made = api.PlanRolloutResult{}
	assert.Contains(t, f.cli("plan", "-f", f.document(), "--task-queue", f.queue).err, "made no plan and did not say why")
	edited := f.plan
	edited.Caps.InFlight = 3
	f.made = api.PlanRolloutResult{Plan: &edited}
	assert.Contains(t, f.cli("plan", "-f", f.document(), "--task-queue", f.queue).err, "do not fit together")

	ran = f.cli("plan", "-f", f.file("rollout.yaml", "kind: [\n"), "--task-queue", f.queue)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "nothing was planned:\n")

	ran = f.cli("plan", "-f", f.document(), "-o", filepath.Join(t.TempDir(), "no", "plan.json"), "--task-queue", "nobody-"+f.queue)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "no worker serves task queue nobody-")
}

// TestAllThatIsWrongWithADocument is listed in one error, with the problems of its files.
func TestAllThatIsWrongWithADocument(t *testing.T) {
	dir := t.TempDir()
	document, servers := filepath.Join(dir, "web.yaml"), filepath.Join(dir, "servers.txt")
	require.NoError(t, os.WriteFile(servers, []byte("web-01\nweb,02\n"), 0o600))
	require.NoError(t, os.WriteFile(document, []byte(`apiVersion: reimage/v1
kind: Rollout
metadata: {name: web}
spec:
  select: {file: servers.txt, exclude: {file: none.txt}}
  image: {name: noble}
  waves: [{count: 1, bake: soon}, {upTo: 90%}]
  inFlight: {count: 0}
`), 0o600))
	code, _, errOut := runCommand(t, "plan", "-f", document)
	assert.Equal(t, exitUsage, code)
	for _, says := range []string{
		document + `:7:28: spec.waves[0].bake: "soon" is not a time`,
		document + ":7:42: spec.waves[1].upTo: the last wave goes up to 90% of the servers",
		document + ":8:21: spec.inFlight.count: a cap of 0",
		servers + `:2:1: "web,02" is not the name of a server`,
		filepath.Join(dir, "none.txt") + ": spec.select.exclude.file: the file cannot be read",
	} {
		assert.Contains(t, errOut, says)
	}
}

// TestStandardInput in place of a file: a plan and an apply can be joined by a pipe.
func TestStandardInput(t *testing.T) {
	f := newFleet(t, "piped", 2)
	document, err := os.ReadFile(f.document())
	require.NoError(t, err)
	planned := f.cliWith(t.Context(), string(document), "plan", "-f", "-", "--output", "json", "--task-queue", f.queue)
	require.Equal(t, exitDone, planned.code, planned.err)
	assert.Contains(t, planned.err, "next: reimage plan -f - -o plan.json")

	apply := []string{"apply", "-", "--by", "ina", "--task-queue", f.queue, "--detach"}
	ran := f.cliWith(t.Context(), planned.out, apply...)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "standard input is read for a file, so it cannot answer a question: consent with --yes")
	assert.Contains(t, f.cli("status", "piped").err, "no rollout piped is known")
	ran = f.cliWith(t.Context(), planned.out, append(apply, "--yes")...)
	assert.Equal(t, exitDone, ran.code, ran.err)
	assert.Contains(t, ran.out, "started: rollout piped")

	file := f.planFile()
	for input, test := range map[string]struct {
		args []string
		says string
	}{
		"kind: [\n":                        {[]string{"plan", "-f", "-"}, "nothing was planned:\nstandard input:1:1: not YAML"},
		planned.out:                        {[]string{"plan", "-f", "-"}, "standard input is a plan already and not the rollout that one is made from; carry it out with: reimage apply -"},
		string(document):                   {[]string{"apply", "-", "--yes"}, "standard input is a rollout and not a plan yet; make one with: reimage plan -f - -o plan.json"},
		"{}":                               {[]string{"apply", "-", "--yes"}, "make a new plan with: reimage plan -f FILE -o plan.json"},
		"":                                 {[]string{"apply", "-", "--yes", "--replan", "-f", "-"}, "the plan and the rollout cannot both be read from standard input"},
		string(document) + "# unconfirmed": {[]string{"apply", file, "--replan", "-f", "-"}, "cannot answer a question"},
		" ":                                {[]string{"plan", "-f", file, "-o", "-"}, "leave it away to have the plan on standard output"},
	} {
		ran := f.cliWith(t.Context(), input, test.args...)
		assert.Equal(t, exitUsage, ran.code, test.args)
		assert.Contains(t, ran.err, test.says)
	}
	f.drift = []rollout.Drift{{ServerID: f.plan.Servers[0].ID, What: "it is gone"}}
	f.plan.Name = "piped-again"
	require.NoError(t, f.plan.Seal())
	content, err := os.ReadFile(f.planFile())
	require.NoError(t, err)
	ran = f.cliWith(t.Context(), string(content), append(apply, "--yes")...)
	assert.Contains(t, ran.err, "reimage plan -f FILE -o plan.json --task-queue "+f.queue)
}

// TestPlanThatStays: a plan that fails leaves the file as it was, and says that it holds an earlier plan.
func TestPlanThatStays(t *testing.T) {
	f := newFleet(t, "stays", 3)
	out := f.planFile()
	f.made = api.PlanRolloutResult{Problems: []string{"no server matches web-*"}}
	says := out + " still holds the plan of " + timestamp.Full(f.plan.MadeAt) + "\n"
	ran := f.cli("plan", "-f", f.document(), "-o", out, "--task-queue", f.queue)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, "no server matches web-*\n"+says)
	ran = f.cli("plan", "-f", "none.yaml", "-o", out)
	assert.Equal(t, exitUsage, ran.code)
	assert.Contains(t, ran.err, says, "whatever it failed of")
	plan, err := readPlan(nil, out)
	require.NoError(t, err)
	assert.Equal(t, f.plan, plan)

	for _, other := range []string{f.file("other.json", "{}"), filepath.Join(t.TempDir(), "none.json"), os.DevNull} {
		ran = f.cli("plan", "-f", "none.yaml", "-o", other)
		assert.Equal(t, exitUsage, ran.code)
		assert.NotContains(t, ran.err, "still holds")
	}
}

// TestNothingToDo is no failure: somebody has done it before.
func TestNothingToDo(t *testing.T) {
	f := newFleet(t, "idle", 0, func(p *rollout.Plan) {
		p.Skipped = []rollout.SkippedServer{{ID: "id", Name: "web-01", Reason: "it runs the image already"}}
	})
	out := filepath.Join(t.TempDir(), "plan.json")
	ran := f.cli("plan", "-f", f.document(), "-o", out, "--task-queue", f.queue)
	assert.Equal(t, exitDone, ran.code)
	assert.Contains(t, ran.err, "nothing to do: no server needs to be changed")
	ran = f.cli("apply", out, "--task-queue", f.queue)
	assert.Equal(t, exitDone, ran.code)
	assert.Contains(t, ran.err, "nothing to do: rollout idle has no server to change")
	assert.Empty(t, ran.out)
	var p rollout.Progress
	require.NoError(t, json.Unmarshal([]byte(f.cli("apply", out, "--task-queue", f.queue, "--output", "json").out), &p))
	assert.Equal(t, rollout.Completed, p.End)
	assert.Zero(t, p.Counts)
	_, err := temporalServer.Client.DescribeWorkflowExecution(t.Context(), api.RolloutID("idle"), "")
	assert.Error(t, err, "nothing was started")
}

// TestPlanThatCannotBeWritten leaves the plan that was there.
func TestPlanThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	err := writeFile(filepath.Join(dir, "taken"), []byte("new"))
	assert.ErrorContains(t, err, "taken was not written")
	err = writeFile(filepath.Join(dir, "none", "plan.json"), []byte("new"))
	assert.ErrorContains(t, err, "plan.json was not written")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

// TestWriteFile replaces regular files only.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	target, link, pipe, nowhere := filepath.Join(dir, "plan.json"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe"), filepath.Join(dir, "nowhere")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	require.NoError(t, os.Symlink("plan.json", link))
	require.NoError(t, writeFile(link, []byte("new")))
	assert.Equal(t, "new", readText(t, target))
	linked, err := os.Readlink(link)
	require.NoError(t, err, "a link stays a link")
	assert.Equal(t, "plan.json", linked)

	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	read := make(chan string, 1)
	go func() {
		content, _ := os.ReadFile(pipe)
		read <- string(content)
	}()
	require.NoError(t, writeFile(pipe, []byte("through")))
	assert.Equal(t, "through", <-read)
	info, err := os.Stat(pipe)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeNamedPipe, "a pipe stays a pipe")
	require.NoError(t, writeFile(os.DevNull, []byte("away")))
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeDevice)

	require.NoError(t, os.Symlink("none", nowhere))
	assert.ErrorContains(t, writeFile(nowhere, []byte("new")), "nowhere was not written")
}

// nothingStarted is true while no rollout of that name has ever run.
func (f *fleet) nothingStarted() bool {
	_, err := temporalServer.Client.DescribeWorkflowExecution(f.t.Context(), api.RolloutID(f.plan.Name), "")
	return err != nil
}

// isRunning is true while the rollout's workflow has not closed.
func (f *fleet) isRunning() bool {
	described, err := temporalServer.Client.DescribeWorkflowExecution(f.t.Context(), api.RolloutID(f.plan.Name), "")
	return err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// TestReadFile: a file without an end is given up, whoever reads it.
func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("1234"), 0o600))
	content, err := readFile(path, 4)
	require.NoError(t, err)
	assert.Equal(t, "1234", string(content))
	_, err = readFile(path, 3)
	assert.ErrorContains(t, err, "has more than")
	for _, args := range [][]string{{"apply", "/dev/zero"}, {"plan", "-f", "/dev/zero"}} {
		code, _, errOut := runCommand(t, args...)
		assert.Equal(t, exitUsage, code)
		assert.Contains(t, errOut, "/dev/zero has more than 32 MB")
	}
}
