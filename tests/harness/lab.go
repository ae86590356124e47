package harness

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// Lab is one test's own cloud and task queue on the shared machine.
type Lab struct {
	*Machine
	T     testing.TB
	Cloud *emulator.Emulator
	URL   string
	Queue string
	Dir   string // the workers' secrets folder
	logs  []*lockedBuffer
}

// Speed is how much faster than time the cloud of a test runs: a change takes two to four seconds.
const Speed = 30

// workerEnv makes the workers fast enough for a test. The settle time still outlasts the request timeout
// and the lag, or the worker would refuse to start.
var workerEnv = map[string]string{
	"HUAWEICLOUD_SDK_AK": emulator.DefaultAccessKey, "HUAWEICLOUD_SDK_SK": emulator.DefaultSecretKey,
	"HUAWEICLOUD_SDK_PROJECT_ID": emulator.DefaultProjectID,
	"REIMAGE_POLL_INTERVAL":      "200ms", "REIMAGE_REQUEST_TIMEOUT": "3s", "REIMAGE_MAX_LAG": "1s", "REIMAGE_SETTLE_TIME": "5s",
	"REIMAGE_SOFT_STOP_TIME": "20s", "REIMAGE_CALLS_PER_SECOND": "1000",
}

// NewLab serves an emulated cloud for the test. Every test has its own seed and so its own server ids.
func (m *Machine) NewLab(t testing.TB, options emulator.Options) *Lab {
	t.Helper()
	if options.Speed == 0 {
		options.Speed = Speed
	}
	if options.Seed == 0 {
		for _, c := range []byte(t.Name()) {
			options.Seed = options.Seed*131 + uint64(c)
		}
	}
	cloud, err := emulator.New(options)
	require.NoError(t, err)
	t.Cleanup(cloud.Close)
	if len(options.Fleet) == 0 { // a generated fleet runs; some tests want a stopped server
		last := cloud.Servers()[len(cloud.Servers())-1]
		require.NoError(t, cloud.Update(last.ID, func(s *emulator.Server) { s.Status = rollout.StatusShutoff }))
	}
	url, stop, err := stack.Serve(t.Context(), cloud)
	require.NoError(t, err)
	t.Cleanup(stop)
	return &Lab{Machine: m, T: t, Cloud: cloud, URL: url, Queue: strings.ReplaceAll(t.Name(), "/", "-"), Dir: t.TempDir()}
}

// StartWorker starts a worker process on the lab's queue. It is stopped when the test ends, and its log
// is shown when the test failed.
func (l *Lab) StartWorker(env map[string]string) *stack.Worker {
	l.T.Helper()
	w, err := l.TryWorker(env)
	require.NoError(l.T, err)
	return w
}

// TryWorker is StartWorker for tests in which a worker may be unable to start: it finds no Temporal, say.
func (l *Lab) TryWorker(env map[string]string) (*stack.Worker, error) {
	all := maps.Clone(workerEnv)
	all["REIMAGE_ECS_ENDPOINT"], all["REIMAGE_IMS_ENDPOINT"] = l.URL, l.URL
	all["REIMAGE_TASK_QUEUE"], all["REIMAGE_SECRETS_DIR"] = l.Queue, l.Dir
	maps.Copy(all, env)
	log := &lockedBuffer{}
	l.logs = append(l.logs, log)
	w, err := stack.StartWorker(l.T.Context(), stack.WorkerOptions{
		Path: filepath.Join(l.bin, "reimage-worker"), Address: l.Temporal.Address, Dir: l.T.TempDir(), Env: all, Log: log,
	})
	l.T.Cleanup(func() {
		if l.T.Failed() {
			l.T.Logf("log of worker:\n%s", log)
		}
		if strings.Contains(log.String(), "DATA RACE") {
			l.T.Errorf("the worker has a data race:\n%s", log)
		}
	})
	if err != nil {
		return nil, err
	}
	l.T.Cleanup(func() { _ = w.Stop() }) // it may have been killed by the test
	return w, nil
}

// Logs is what all workers have logged so far.
func (l *Lab) Logs() string {
	var all strings.Builder
	for _, log := range l.logs {
		all.WriteString(log.String())
	}
	return all.String()
}

// Secret puts a file into the workers' secrets folder.
func (l *Lab) Secret(name, content string) {
	l.T.Helper()
	require.NoError(l.T, os.WriteFile(filepath.Join(l.Dir, name), []byte(content), 0o600))
}

// Server gives a server of the fleet by its status, as it is now.
func (l *Lab) Server(status string) emulator.Server {
	l.T.Helper()
	for _, server := range l.Cloud.Servers() {
		if server.Status == status {
			return server
		}
	}
	require.FailNow(l.T, "no server has status "+status)
	return emulator.Server{}
}

// OtherImage gives an image that fits the server and that it does not run.
func (l *Lab) OtherImage(server emulator.Server) emulator.Image {
	l.T.Helper()
	var present emulator.Image
	for _, image := range l.Cloud.Images() {
		if image.ID == server.ImageID {
			present = image
		}
	}
	for _, image := range l.Cloud.Images() {
		if image.Status == "active" && image.ID != server.ImageID && image.MinDiskGB <= server.SystemDiskGB &&
			image.ARM == present.ARM && image.Firmware == present.Firmware && image.OSType == "Linux" &&
			image.VirtualEnvType == "FusionCompute" {
			return image
		}
	}
	require.FailNow(l.T, "no image fits "+server.Name)
	return emulator.Image{}
}

// Start starts the change of a server without the command line.
func (l *Lab) Start(serverID string, change rollout.Change) client.WorkflowRun {
	l.T.Helper()
	return l.StartInput(api.ChangeOSInput{Project: emulator.DefaultProjectID, ServerID: serverID, Change: change})
}

// StartInput is Start for changes with more than that.
func (l *Lab) StartInput(in api.ChangeOSInput) client.WorkflowRun {
	l.T.Helper()
	run, err := l.Temporal.Client.ExecuteWorkflow(l.T.Context(), client.StartWorkflowOptions{
		ID:                       api.ChangeOSID(in.Project, in.ServerID),
		TaskQueue:                l.Queue,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, api.ChangeOSName, in)
	require.NoError(l.T, err)
	return run
}

// Result waits for the end of a change.
func (l *Lab) Result(run client.WorkflowRun) rollout.ServerResult {
	l.T.Helper()
	var result rollout.ServerResult
	require.NoError(l.T, run.Get(l.T.Context(), &result))
	return result
}

// Patience bounds every wait in the tests. It is no measure of speed: it only ends a test that hangs.
const Patience = 10 * time.Minute

// Eventually waits until the condition holds.
func (l *Lab) Eventually(what string, holds func() bool) {
	l.T.Helper()
	require.Eventually(l.T, holds, Patience, 20*time.Millisecond, what)
}

// AwaitStep waits until a change has reached a step.
func (l *Lab) AwaitStep(run client.WorkflowRun, step api.Step) {
	l.T.Helper()
	l.Eventually("step "+string(step), func() bool {
		answer, err := l.Temporal.Client.QueryWorkflow(l.T.Context(), run.GetID(), run.GetRunID(), api.StatusQuery)
		if err != nil {
			return false
		}
		var status api.Status
		require.NoError(l.T, answer.Get(&status))
		return status.Now().Step == step
	})
}

// Accepted is how many changes of OS the cloud has accepted for a server.
func (l *Lab) Accepted(serverID string) int {
	return l.Cloud.Ledger().Servers[serverID].ChangeOSAccepted
}

// History reads the whole history of a run. A busy server may not answer in the time that the SDK gives it, and is asked again.
func (m *Machine) History(ctx context.Context, t testing.TB, run client.WorkflowRun) *history.History {
	t.Helper()
	const maxReads = 5
	all, err := m.readHistory(ctx, run)
	for reads := 1; err != nil && reads < maxReads; reads++ {
		all, err = m.readHistory(ctx, run)
	}
	require.NoError(t, err)
	return all
}

func (m *Machine) readHistory(ctx context.Context, run client.WorkflowRun) (*history.History, error) {
	all := &history.History{}
	events := m.Temporal.Client.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, err
		}
		all.Events = append(all.Events, event)
	}
	return all, nil
}

// Replay runs the history of a run through today's code.
func (l *Lab) Replay(run client.WorkflowRun) {
	l.T.Helper()
	Replay(l.T, l.History(l.T.Context(), l.T, run))
}

// Replay runs a history through today's code, under the workflow id it was recorded with: the id is the
// lock on a server, and workflows look at it.
func Replay(t testing.TB, recorded *history.History) {
	t.Helper()
	require.NotEmpty(t, recorded.Events)
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		DisableRegistrationAliasing: true, DataConverter: api.DataConverter(),
	})
	require.NoError(t, err)
	workflows.Register(replayer)
	started := recorded.Events[0].GetWorkflowExecutionStartedEventAttributes()
	require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(nil, recorded, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: started.GetWorkflowId(), RunID: started.GetOriginalExecutionRunId()},
	}))
}

// lockedBuffer is written by a process's log and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
