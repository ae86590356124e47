package e2e

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/tests/harness"
)

// runbook is examples/runbook as a process, with the configuration management that it calls.
type runbook struct {
	lab    *harness.Lab
	queue  string
	theirs client.Client

	mu       sync.Mutex
	requests []string
}

// outcome is what both of its workflows return.
type outcome struct {
	End      rollout.ServerEnd `json:"end"`
	Reason   string            `json:"reason"`
	Verified bool              `json:"verified"`
	Planned  int               `json:"planned"`
	Skipped  int               `json:"skipped"`
	Rollout  api.RolloutResult `json:"rollout"`
	NotDone  []string          `json:"not_done"`
}

func startRunbook(t *testing.T, lab *harness.Lab) *runbook {
	t.Helper()
	r := &runbook{lab: lab, queue: "runbook-" + lab.Queue}
	inventory := httptest.NewServer(r)
	t.Cleanup(inventory.Close)
	var err error
	r.theirs, err = client.Dial(client.Options{HostPort: lab.Temporal.Address, DataConverter: api.DataConverter()})
	require.NoError(t, err)
	t.Cleanup(r.theirs.Close)

	program := filepath.Join(t.TempDir(), "runbook")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "../../examples/runbook"
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	process := exec.Command(program)
	process.Env = []string{
		"HOME=" + t.TempDir(), "TEMPORAL_ADDRESS=" + lab.Temporal.Address, "RUNBOOK_TASK_QUEUE=" + r.queue, "RUNBOOK_INVENTORY=" + inventory.URL,
	}
	process.Stdout, process.Stderr = os.Stderr, os.Stderr
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		assert.NoError(t, process.Process.Signal(syscall.SIGTERM))
		assert.NoError(t, process.Wait())
	})
	return r
}

// ServeHTTP is the configuration management: it takes any patch, and an application serves once its server runs the image.
func (r *runbook) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, request.Method+" "+request.URL.Path)
	r.mu.Unlock()
	parts := strings.Split(request.URL.Path, "/") // /servers/ID/images/ID
	server, ok := r.lab.Cloud.Server(parts[2])
	serves := ok && server.ImageID == parts[4] && server.Status == rollout.StatusActive
	if request.Method == http.MethodGet && !serves {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (r *runbook) calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

func (r *runbook) start(workflow string, in map[string]any) client.WorkflowRun {
	r.lab.T.Helper()
	in["queue"] = r.lab.Queue
	run, err := r.theirs.ExecuteWorkflow(r.lab.T.Context(), client.StartWorkflowOptions{TaskQueue: r.queue}, workflow, in)
	require.NoError(r.lab.T, err)
	return run
}

func (r *runbook) run(workflow string, in map[string]any) (got outcome) {
	r.lab.T.Helper()
	require.NoError(r.lab.T, r.start(workflow, in).Get(r.lab.T.Context(), &got))
	return got
}

// TestRunbookChangesOneServer: a workflow of another program patches, changes the OS of a server and verifies. On the image already,
// the server is skipped; while another change of it is under way, it is busy.
func TestRunbookChangesOneServer(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 3})
	lab.StartWorker(nil)
	theirs := startRunbook(t, lab)
	server, held := lab.Cloud.Servers()[0], lab.Cloud.Servers()[1]
	change := rollout.Change{ImageID: lab.OtherImage(server).ID}
	in := func(serverID string, wait time.Duration) map[string]any {
		return map[string]any{"server_id": serverID, "change": change, "busy_wait": wait}
	}
	of := func(method, serverID string) string {
		return method + " /servers/" + serverID + "/images/" + change.ImageID
	}

	got := theirs.run("RefreshServer", in(server.ID, 0))
	assert.Equal(t, rollout.Done, got.End, got.Reason)
	assert.True(t, got.Verified)
	assert.Equal(t, 1, lab.Accepted(server.ID))
	assert.Equal(t, []string{of("PUT", server.ID), of("GET", server.ID)}, theirs.calls())

	got = theirs.run("RefreshServer", in(server.ID, 0))
	assert.Equal(t, rollout.Skipped, got.End, got.Reason)
	assert.True(t, got.Verified)
	assert.Equal(t, 1, lab.Accepted(server.ID), "it runs the image")
	theirs.calls()

	lock, err := lab.Temporal.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: api.ChangeOSID(emulator.DefaultProjectID, held.ID), TaskQueue: lab.Queue + "-without-workers",
	}, api.ChangeOSName, api.ChangeOSInput{Project: emulator.DefaultProjectID, ServerID: held.ID, Change: change})
	require.NoError(t, err)
	got = theirs.run("RefreshServer", in(held.ID, 0))
	assert.Equal(t, rollout.NotStarted, got.End)
	assert.Equal(t, "busy: another change of the server is under way", got.Reason)
	assert.Equal(t, []string{of("PUT", held.ID)}, theirs.calls())

	waits := theirs.start("RefreshServer", in(held.ID, 10*time.Second))
	lab.Eventually("the workflow found the server busy", func() bool {
		for _, event := range lab.History(t.Context(), t, waits).GetEvents() {
			if event.GetEventType() == enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED {
				return true
			}
		}
		return false
	})
	require.NoError(t, lab.Temporal.Client.TerminateWorkflow(t.Context(), lock.GetID(), lock.GetRunID(), "the other change is over"))
	require.NoError(t, waits.Get(t.Context(), &got))
	assert.Equal(t, rollout.Done, got.End, got.Reason)
	assert.Equal(t, 1, lab.Accepted(held.ID))
	lab.Replay(lab.Temporal.Client.GetWorkflow(t.Context(), lock.GetID(), ""))
}

var runbookChanges = flag.Int("runbook-changes", 40, "how many of the 900 servers of TestRunbookRollsAFleet are changed; the others run the image")

// TestRunbookRollsAFleet: a workflow of another program has a plan made, which is large enough to be compressed, and carried out.
func TestRunbookRollsAFleet(t *testing.T) {
	t.Parallel()
	const servers = 900
	skipped := servers - *runbookChanges
	lab := machine.NewLab(t, emulator.Options{Servers: servers})
	image := lab.OtherImage(lab.Server(rollout.StatusActive))
	for _, server := range lab.Cloud.Servers()[:skipped] {
		require.NoError(t, lab.Cloud.Update(server.ID, func(s *emulator.Server) { s.ImageID = image.ID }))
	}
	lab.StartWorker(nil)
	theirs := startRunbook(t, lab)
	doc := document.Rollout{APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: "of-another-program"}}
	doc.Spec.Select.Names = []string{"*"}
	doc.Spec.Image.ID = image.ID
	doc.Spec.Waves = []document.Wave{{Name: "canary", Count: ptr(10)}, {Name: "rest", UpTo: ptr(rollout.Whole)}}
	doc.Spec.InFlight.Count = ptr(100)

	run := theirs.start("RefreshFleet", map[string]any{"document": doc, "started_by": "the runbook"})
	var got outcome
	require.NoError(t, run.Get(t.Context(), &got))
	assert.Equal(t, outcome{Planned: servers - skipped, Skipped: skipped, Rollout: got.Rollout}, got)
	assert.Equal(t, rollout.Completed, got.Rollout.End)
	assert.Equal(t, rollout.Counts{Servers: servers - skipped, Done: servers - skipped}, got.Rollout.Counts)
	for i, server := range lab.Cloud.Servers() {
		assert.Equal(t, image.ID, server.ImageID, server.Name)
		assert.Equal(t, i >= skipped, lab.Accepted(server.ID) == 1, server.Name)
	}

	var compressed bool
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		child := event.GetChildWorkflowExecutionCompletedEventAttributes()
		if child.GetWorkflowType().GetName() == api.PlanRolloutName {
			var plan api.PlanRolloutResult
			err := converter.GetDefaultDataConverter().FromPayloads(child.GetResult(), &plan)
			compressed = assert.ErrorContains(t, err, "encoding is not supported", "otherwise this test proves nothing")
		}
	}
	assert.True(t, compressed)

	again := theirs.run("RefreshFleet", map[string]any{"document": doc, "started_by": "the runbook"})
	assert.Equal(t, outcome{Skipped: servers}, again, "all of them run the image")
}
