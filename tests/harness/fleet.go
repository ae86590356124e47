package harness

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Plan plans all servers of the lab's cloud in waves that end at the given numbers, some servers in flight at
// a time. Edit it and seal it anew where a test needs more.
func (l *Lab) Plan(name string, inFlight int, waveEnds ...int) rollout.Plan {
	l.T.Helper()
	plan := rollout.Plan{
		Version: rollout.PlanVersion, Name: name, Project: emulator.DefaultProjectID, MadeAt: time.Now().UTC(),
		Caps: rollout.Caps{InFlight: inFlight}, Budget: rollout.Budget{Count: new(int), OnBreach: rollout.BreachPause},
		BusyWait: 5 * time.Minute,
	}
	for _, server := range l.Cloud.Servers() {
		if plan.ImageName == "" {
			image := l.OtherImage(server)
			plan.ImageName, plan.Change.ImageID = image.Name, image.ID
		}
		plan.Servers = append(plan.Servers, rollout.PlannedServer{
			ID: server.ID, Name: server.Name, Zone: server.Zone, Status: server.Status,
			Before: rollout.Fingerprint{ImageID: server.ImageID, VolumeID: server.SystemVolumeID},
		})
	}
	for i, end := range waveEnds {
		plan.Waves = append(plan.Waves, rollout.Wave{Name: "wave-" + string(rune('1'+i)), End: end})
	}
	require.NoError(l.T, plan.Seal())
	return plan
}

// Roll starts a rollout without the command line.
func (l *Lab) Roll(in api.RolloutInput) client.WorkflowRun {
	l.T.Helper()
	in.StartedBy = "the test"
	run, err := l.Temporal.Client.ExecuteWorkflow(l.T.Context(), client.StartWorkflowOptions{
		ID:                       api.RolloutID(in.Plan.Name),
		TaskQueue:                l.Queue,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, api.RolloutName, in)
	require.NoError(l.T, err)
	return run
}

// Progress asks a rollout how it is getting on. The answer is empty while no worker answers.
func (l *Lab) Progress(run client.WorkflowRun) rollout.Progress {
	var progress rollout.Progress
	answer, err := l.Temporal.Client.QueryWorkflow(l.T.Context(), run.GetID(), "", api.ProgressQuery)
	if err == nil {
		require.NoError(l.T, answer.Get(&progress))
	}
	return progress
}

// Await waits until the progress of a rollout is as asked for, and returns it.
func (l *Lab) Await(run client.WorkflowRun, what string, as func(rollout.Progress) bool) rollout.Progress {
	l.T.Helper()
	var last rollout.Progress
	defer func() {
		if l.T.Failed() {
			l.T.Logf("%s: the last progress was %+v", what, last)
		}
	}()
	l.Eventually(what, func() bool {
		last = l.Progress(run)
		return last.Name != "" && as(last)
	})
	return last
}

// Tell gives a rollout a command and returns its answer.
func (l *Lab) Tell(run client.WorkflowRun, command rollout.Command) (string, error) {
	l.T.Helper()
	command.By = "the test"
	handle, err := l.Temporal.Client.UpdateWorkflow(l.T.Context(), client.UpdateWorkflowOptions{
		WorkflowID: run.GetID(), UpdateName: string(command.Kind), Args: []any{command}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return "", err
	}
	var done string
	err = handle.Get(l.T.Context(), &done)
	return done, err
}

// Rolled waits for the end of a rollout.
func (l *Lab) Rolled(run client.WorkflowRun) api.RolloutResult {
	l.T.Helper()
	var result api.RolloutResult
	require.NoError(l.T, run.Get(l.T.Context(), &result))
	return result
}

// Runs are the histories of all runs of a rollout, the first one first.
func (l *Lab) Runs(run client.WorkflowRun) []*history.History {
	l.T.Helper()
	var runs []*history.History
	for id, more := "", true; more; more = id != "" {
		last := l.History(l.T.Context(), l.T, l.Temporal.Client.GetWorkflow(l.T.Context(), run.GetID(), id))
		id = last.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		runs = append(runs, last)
	}
	slices.Reverse(runs)
	return runs
}

// ReplayRuns replays every run of a rollout and returns how many there were.
func (l *Lab) ReplayRuns(run client.WorkflowRun) int {
	l.T.Helper()
	runs := l.Runs(run)
	for _, history := range runs {
		Replay(l.T, history)
	}
	return len(runs)
}

// WatchOutOfService counts, until the function it returns is called, how many servers that ran at first do
// not run at a time, and returns the most.
func (l *Lab) WatchOutOfService() func() int {
	ran := make(map[string]bool)
	for _, server := range l.Cloud.Servers() {
		ran[server.ID] = server.Status == rollout.StatusActive
	}
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		worst := 0
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			out := 0
			for _, server := range l.Cloud.Servers() {
				if ran[server.ID] && (server.Status != rollout.StatusActive || server.TaskState != "") {
					out++
				}
			}
			worst = max(worst, out)
			select {
			case <-stop:
				most <- worst
				return
			case <-ticker.C:
			}
		}
	}()
	return func() int { close(stop); return <-most }
}
