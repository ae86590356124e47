package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
	"github.com/reimage/reimage/workflows"
)

// temporalServer is the one server of this package's tests.
var temporalServer *stack.Temporal

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	path, err := harness.TemporalProgram()
	if err == nil {
		var dir string
		if dir, err = os.MkdirTemp("", "reimage-starter-"); err == nil {
			defer os.RemoveAll(dir)
			quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
			temporalServer, err = stack.StartTemporal(context.Background(), stack.TemporalOptions{
				Path: path, DB: filepath.Join(dir, "temporal.db"), Output: io.Discard, Logger: quiet,
			})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests cannot start:", err)
		return 1
	}
	defer temporalServer.Stop()
	return m.Run()
}

// fleet is a rollout of some servers that exist nowhere, carried out by the real workflow on a worker of its
// own. The workflows that change the servers and make plans are stood in for, so that a test says how they end.
type fleet struct {
	t     *testing.T
	queue string
	plan  rollout.Plan

	lock  sync.Mutex
	ends  map[string]rollout.ServerEnd // servers that end at once, by name; the others wait for finish
	made  api.PlanRolloutResult        // what PlanRollout answers
	drift []rollout.Drift              // what CheckPlan answers
	found []api.Finding                // what Doctor answers; none is a worker that cannot
	works worker.Worker
}

const (
	testImage = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	oldImage  = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d3"
)

// newFleet plans some servers and starts a worker. The first two servers are canaries that need an approval,
// if there are more.
func newFleet(t *testing.T, name string, servers int, edit ...func(*rollout.Plan)) *fleet {
	t.Helper()
	f := &fleet{t: t, queue: "queue-" + uuid.NewString(), ends: map[string]rollout.ServerEnd{}}
	f.plan = rollout.Plan{
		Version: rollout.PlanVersion, Name: name, Reason: "CVE-2026-4711", Project: uuid.NewString(), MadeAt: time.Now().UTC(),
		Change: rollout.Change{ImageID: testImage}, ImageName: "Ubuntu 24.04",
		Waves:  []rollout.Wave{{Name: "canary", End: min(2, servers), Approval: true}, {Name: "rest", End: servers}},
		Caps:   rollout.Caps{InFlight: 2},
		Budget: rollout.Budget{Count: new(int), OnBreach: rollout.BreachPause},
	}
	for i := range servers {
		f.plan.Servers = append(f.plan.Servers, rollout.PlannedServer{
			ID: uuid.NewString(), Name: fmt.Sprintf("web-%02d", i+1), Zone: "eu-de-01", Status: rollout.StatusActive, DiskGB: 40, DataDisks: 1,
			Before: rollout.Fingerprint{ImageID: oldImage, VolumeID: uuid.NewString()},
		})
	}
	if servers <= 2 {
		f.plan.Waves = []rollout.Wave{{Name: "all", End: servers}}
	}
	for _, edit := range edit {
		edit(&f.plan)
	}
	require.NoError(t, f.plan.Seal())
	f.made.Plan = &f.plan
	f.work()
	t.Setenv("TEMPORAL_ADDRESS", temporalServer.Address)
	t.Setenv("TEMPORAL_CONFIG_FILE", t.TempDir()+"/none.toml")
	return f
}

func (f *fleet) work() {
	f.works = worker.New(temporalServer.Client, f.queue, worker.Options{})
	f.works.RegisterWorkflowWithOptions(workflows.Rollout, workflow.RegisterOptions{Name: api.RolloutName})
	f.works.RegisterWorkflowWithOptions(f.changeOS, workflow.RegisterOptions{Name: api.ChangeOSName})
	f.works.RegisterWorkflowWithOptions(f.planRollout, workflow.RegisterOptions{Name: api.PlanRolloutName})
	f.works.RegisterWorkflowWithOptions(f.checkPlan, workflow.RegisterOptions{Name: api.CheckPlanName})
	f.works.RegisterWorkflowWithOptions(f.doctor, workflow.RegisterOptions{Name: api.DoctorName})
	f.works.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "so that activities are polled for"})
	require.NoError(f.t, f.works.Start())
	f.t.Cleanup(func() { f.stopWorking() })
}

func (f *fleet) stopWorking() {
	if f.works != nil {
		f.works.Stop()
		f.works = nil
	}
}

func (f *fleet) planRollout(workflow.Context, api.PlanRolloutInput) (api.PlanRolloutResult, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.made, nil
}

func (f *fleet) checkPlan(workflow.Context, api.CheckPlanInput) (api.CheckPlanResult, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	return api.CheckPlanResult{Drift: f.drift}, nil
}

func (f *fleet) doctor(_ workflow.Context, in api.DoctorInput) (api.DoctorResult, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if len(f.found) == 0 {
		return api.DoctorResult{}, temporal.NewNonRetryableApplicationError("out of order", "Trouble", nil)
	}
	asked := api.Finding{Check: api.CheckProfile, Verdict: api.CheckOK, Seen: fmt.Sprintf("asked for %+v", in)}
	return api.DoctorResult{Findings: append([]api.Finding{asked}, f.found...)}, nil
}

// finishSignal tells the stand-in for ChangeOS how the server ended.
const finishSignal = "finish"

func (f *fleet) changeOS(ctx workflow.Context, in api.ChangeOSInput) (rollout.ServerResult, error) {
	began := workflow.Now(ctx)
	err := workflow.SetQueryHandler(ctx, api.StatusQuery, func() (api.Status, error) {
		return api.Status{Steps: []api.StepAt{{Step: api.StepWait, At: began}}}, nil
	})
	if err != nil {
		return rollout.ServerResult{}, err
	}
	end, known := f.endOf(in.ServerID)
	if !known {
		workflow.GetSignalChannel(ctx, finishSignal).Receive(ctx, &end)
	}
	result := rollout.ServerResult{End: end, Reason: "the test says " + string(end), ServerID: in.ServerID}
	if end == rollout.Done || end == rollout.FailedChanged {
		result.After = rollout.Observation{Exists: true, Status: rollout.StatusActive, Fingerprint: rollout.Fingerprint{ImageID: in.Change.ImageID, VolumeID: "new-disk-of-" + in.ServerID}}
	}
	return result, nil
}

func (f *fleet) endOf(serverID string) (end rollout.ServerEnd, known bool) {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, server := range f.plan.Servers {
		if server.ID == serverID {
			end, known = f.ends[server.Name]
		}
	}
	return end, known
}

// endAtOnce sets how servers end as soon as they are started; without names, all that have no end yet.
func (f *fleet) endAtOnce(end rollout.ServerEnd, names ...string) *fleet {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, name := range names {
		f.ends[name] = end
	}
	for _, server := range f.plan.Servers {
		if _, known := f.ends[server.Name]; !known && len(names) == 0 {
			f.ends[server.Name] = end
		}
	}
	return f
}

// finish ends a server that is in flight.
func (f *fleet) finish(name string, end rollout.ServerEnd) {
	f.t.Helper()
	for _, server := range f.plan.Servers {
		if server.Name == name {
			id := api.ChangeOSID(f.plan.Project, server.ID)
			f.eventually(name+" is in flight", func() bool {
				return temporalServer.Client.SignalWorkflow(f.t.Context(), id, "", finishSignal, end) == nil
			})
		}
	}
}

// start starts the rollout without the command line.
func (f *fleet) start() client.WorkflowRun {
	f.t.Helper()
	run, err := temporalServer.Client.ExecuteWorkflow(f.t.Context(), client.StartWorkflowOptions{
		ID: api.RolloutID(f.plan.Name), TaskQueue: f.queue, WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, api.RolloutName, api.RolloutInput{Plan: f.plan, StartedBy: "ina"})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { // so that no other test meets it
		_ = temporalServer.Client.TerminateWorkflow(context.Background(), run.GetID(), "", "the test is over")
	})
	return run
}

func (f *fleet) progress() (p rollout.Progress) {
	answer, err := temporalServer.Client.QueryWorkflow(f.t.Context(), api.RolloutID(f.plan.Name), "", api.ProgressQuery)
	if err == nil {
		require.NoError(f.t, answer.Get(&p))
	}
	return p
}

// await waits until the rollout stands as wanted.
func (f *fleet) await(what string, as func(rollout.Progress) bool) rollout.Progress {
	f.t.Helper()
	var p rollout.Progress
	f.eventually(what, func() bool {
		p = f.progress()
		return p.Name != "" && as(p)
	})
	return p
}

func (f *fleet) eventually(what string, is func() bool) {
	f.t.Helper()
	require.Eventually(f.t, is, time.Minute, 50*time.Millisecond, what)
}

func waits(p rollout.Progress) bool { return p.NeedsHuman }

// ran is what a command gave.
type ran struct {
	code     int
	out, err string
}

// cli runs a command in process.
func (f *fleet) cli(args ...string) ran {
	f.t.Helper()
	return f.cliWith(f.t.Context(), "", args...)
}

func (f *fleet) cliWith(ctx context.Context, input string, args ...string) ran {
	f.t.Helper()
	var out, errOut bytes.Buffer
	code := execute(ctx, streams{in: strings.NewReader(input), out: &out, err: &errOut}, args)
	f.t.Logf("reimage %s\nexit %d\n%s%s", strings.Join(args, " "), code, errOut.String(), out.String())
	return ran{code, out.String(), errOut.String()}
}

// file writes a file into a folder of the test's own and gives its path.
func (f *fleet) file(name, content string) string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), name)
	require.NoError(f.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// planFile writes the plan as reimage plan does.
func (f *fleet) planFile() string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "plan.json")
	require.NoError(f.t, writePlan(path, f.plan))
	return path
}

// document is the rollout that the plan could have been made from.
func (f *fleet) document() string {
	return f.file("rollout.yaml", "apiVersion: reimage/v1\nkind: Rollout\nmetadata: {name: "+f.plan.Name+"}\nspec:\n  select: {names: ['web-*']}\n  image: {id: "+testImage+"}\n")
}
