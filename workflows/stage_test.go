package workflows_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/reimage/reimage/workflows"
)

const (
	project  = "5f0e8c31aa6b4f0e9d2b7c5a61d40e77"
	serverID = "2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11"
	oldImage = "0a7c1e52-58c4-4a2b-9d0e-3f6b7c8d9e0f"
	newImage = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	oldDisk  = "11111111-2222-4333-8444-555555555555"
	newDisk  = "66666666-7777-4888-9999-aaaaaaaaaaaa"
	jobID    = "ff8080829a1c22e0019a33d0b7a40f5e"
	called   = "web-07"
)

// curtain is when every workflow of these tests starts.
var curtain = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// stage is Temporal's test environment with all six activities played by roles. An attempt of a role takes
// one simulated minute unless it says otherwise, so the step number n runs from minute n-1 to minute n.
type stage struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment
	in  api.ChangeOSInput
	// workflowID is the id to start under. newStage sets the right one.
	workflowID string

	look   *role[contract.PreflightInput, contract.PreflightResult]
	stop   *role[contract.StopIfNeededInput, contract.StopIfNeededResult]
	submit *role[contract.SubmitChangeOSInput, contract.SubmitChangeOSResult]
	wait   *role[contract.PollJobInput, contract.PollJobResult]
	prove  *role[contract.VerifyServerInput, rollout.Observation]
	leave  *role[contract.RestorePowerInput, contract.RestorePowerResult]
	health *role[contract.CheckHealthInput, contract.CheckHealthResult]

	// started are the names of the activities as they began, one for every attempt.
	started []string
	// records are what the workflow wrote to its memo, with the number of activities that had begun by then.
	records []remembered
	// options are those of every activity that the workflow asked for.
	options *optionsRecorder
}

// newStage sets the happy path of a server that runs.
func newStage(t *testing.T) *stage {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	s := &stage{
		t: t, env: suite.NewTestWorkflowEnvironment(), options: &optionsRecorder{},
		in: api.ChangeOSInput{
			Project: project, ServerID: serverID,
			Change: rollout.Change{ImageID: newImage, Deadline: 40 * time.Minute},
		},
		workflowID: api.ChangeOSID(project, serverID),

		look:   newRole[contract.PreflightInput](contract.Preflight, found(rollout.StatusActive)),
		stop:   newRole[contract.StopIfNeededInput](contract.StopIfNeeded, contract.StopIfNeededResult{Status: rollout.StatusShutoff}),
		submit: newRole[contract.SubmitChangeOSInput](contract.SubmitChangeOS, contract.SubmitChangeOSResult{JobID: jobID}),
		wait:   newRole[contract.PollJobInput](contract.PollJob, contract.PollJobResult{End: change.JobEndSucceeded}),
		prove:  newRole[contract.VerifyServerInput](contract.VerifyServer, changed()),
		leave:  newRole[contract.RestorePowerInput](contract.RestorePower, contract.RestorePowerResult{Status: "LEFT"}),
		health: newRole[contract.CheckHealthInput](contract.CheckHealth, contract.CheckHealthResult{Healthy: true}),
	}
	s.env.SetStartTime(curtain)
	s.env.SetTestTimeout(time.Minute) // only a test that hangs gets here, however slow the machine
	s.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{s.options}})
	workflows.Register(s.env)
	(&activities.Activities{}).Register(s.env)
	s.env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		s.records = append(s.records, remembered{args.Get(0).(map[string]any)[api.ChangeMemo].(api.ChangeRecord), len(s.started)})
	}).Return(nil)
	return s
}

// remembered is a record, and how many activities had begun when it was written.
type remembered struct {
	api.ChangeRecord
	begun int
}

// set gives every role its place, as late as possible so that tests may change all of it.
func (s *stage) set() {
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: s.workflowID})
	record := map[string]func(converter.EncodedValues) error{
		s.look.name: s.look.play(s.env), s.stop.name: s.stop.play(s.env), s.submit.name: s.submit.play(s.env),
		s.wait.name: s.wait.play(s.env), s.prove.name: s.prove.play(s.env), s.leave.name: s.leave.play(s.env),
		s.health.name: s.health.play(s.env),
	}
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
		s.started = append(s.started, info.ActivityType.Name)
		require.NoError(s.t, record[info.ActivityType.Name](args))
		if info.ActivityType.Name == s.leave.name { // backOn and leftOff are for any change
			left := &s.leave.inputs[len(s.leave.inputs)-1]
			asked := s.in.Change
			asked.UserDataDigest = left.Change.UserDataDigest // the look may have pinned it
			assert.Equal(s.t, asked, left.Change)
			left.Change = rollout.Change{}
		}
	})
}

func (s *stage) execute(workflow string, input any) {
	s.t.Helper()
	s.set()
	s.env.ExecuteWorkflow(workflow, input)
	require.True(s.t, s.env.IsWorkflowCompleted())
}

// ended runs ChangeOS to a result.
func (s *stage) ended() rollout.ServerResult {
	s.t.Helper()
	s.execute(api.ChangeOSName, s.in)
	require.NoError(s.t, s.env.GetWorkflowError())
	var result rollout.ServerResult
	require.NoError(s.t, s.env.GetWorkflowResult(&result))
	return result
}

// canceled runs ChangeOS to a cancel that was obeyed and reads the result from it.
func (s *stage) canceled() rollout.ServerResult {
	s.t.Helper()
	s.execute(api.ChangeOSName, s.in)
	err := s.env.GetWorkflowError()
	require.True(s.t, temporal.IsCanceledError(err), "%v", err)
	canceled, ok := errors.AsType[*temporal.CanceledError](err)
	require.True(s.t, ok)
	var result rollout.ServerResult
	require.NoError(s.t, canceled.Details(&result))
	return result
}

// at does something at a simulated time after the start.
func (s *stage) at(d time.Duration, do func()) { s.env.RegisterDelayedCallback(do, d) }

func (s *stage) status() api.Status {
	s.t.Helper()
	answer, err := s.env.QueryWorkflow(api.StatusQuery)
	require.NoError(s.t, err)
	var status api.Status
	require.NoError(s.t, answer.Get(&status))
	return status
}

// details are what the Web UI shows of the workflow.
func (s *stage) details() string {
	s.t.Helper()
	answer, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, answer.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// role plays one activity.
type role[In, Out any] struct {
	name  string
	takes time.Duration // simulated, for each attempt
	// inputs are what it was given, one for every attempt.
	inputs []In
	// answers to the attempts in their order. The last one is for all that follow.
	answers []answer[Out]
}

type answer[Out any] struct {
	out Out
	err error
}

func newRole[In, Out any](name string, out Out) *role[In, Out] {
	return &role[In, Out]{name: name, takes: time.Minute, answers: []answer[Out]{{out: out}}}
}

// returns makes it succeed with the result.
func (r *role[In, Out]) returns(out Out) { r.answers = []answer[Out]{{out: out}} }

// fails makes every attempt fail.
func (r *role[In, Out]) fails(err error) { r.answers = []answer[Out]{{err: err}} }

// failsFirst makes the first attempts fail, one for each error. What follows is as before.
func (r *role[In, Out]) failsFirst(errs ...error) {
	var failures []answer[Out]
	for _, err := range errs {
		failures = append(failures, answer[Out]{err: err})
	}
	r.answers = slices.Concat(failures, r.answers)
}

// play puts the role on the stage. It returns what notes the input of an attempt.
func (r *role[In, Out]) play(env *testsuite.TestWorkflowEnvironment) func(converter.EncodedValues) error {
	attempts := 0
	env.OnActivity(r.name, mock.Anything, mock.Anything).Return(func(context.Context, In) (Out, error) {
		attempts++
		given := r.answers[min(attempts, len(r.answers))-1]
		return given.out, given.err
	}).After(r.takes)
	return func(args converter.EncodedValues) error {
		var in In
		if err := args.Get(&in); err != nil {
			return err
		}
		r.inputs = append(r.inputs, in)
		return nil
	}
}

// found is what Preflight says of a server that can be changed.
func found(status string) contract.PreflightResult {
	return contract.PreflightResult{
		Project: project, Name: called, Before: seen(status, oldImage, oldDisk),
		PresentImageName: "Ubuntu 24.04", ImageName: "Ubuntu 26.04", SystemDiskGB: 40, DataDisks: 1,
	}
}

func seen(status, image, disk string) rollout.Observation {
	return rollout.Observation{
		Fingerprint: rollout.Fingerprint{ImageID: image, VolumeID: disk}, Exists: true, Status: status,
	}
}

// backOn gives a server that ran its power back. Unsettled is for one that may go down yet.
func backOn(unsettled bool) []contract.RestorePowerInput {
	return []contract.RestorePowerInput{{Project: project, ServerID: serverID, Disk: oldDisk, On: true, Unsettled: unsettled}}
}

// leftOff stops a changed server, once its new system has set itself up.
func leftOff() []contract.RestorePowerInput {
	return []contract.RestorePowerInput{{Project: project, ServerID: serverID, Disk: newDisk, Unsettled: true}}
}

// changed is a server with the proof that it was changed.
func changed() rollout.Observation { return seen(rollout.StatusActive, newImage, newDisk) }

// untouched is a server that still has the old disk.
func untouched() rollout.Observation { return seen(rollout.StatusShutoff, oldImage, oldDisk) }

// final is an error of an activity that trying again cannot mend.
func final(kind, message string) error {
	return temporal.NewNonRetryableApplicationError(message, kind, nil)
}

// passing is an error of an activity that is expected to pass.
func passing(kind, message string) error {
	return temporal.NewApplicationError(message, kind)
}

// later is an error that passes, with the pause that the activity asks for.
func later(kind, message string, pause time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{NextRetryDelay: pause})
}

func applicationError(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	failure, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok, "%v", err)
	return failure
}

// silence is a log that nobody reads: activities that fail on purpose are no news.
type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Info(string, ...any)  {}
func (silence) Warn(string, ...any)  {}
func (silence) Error(string, ...any) {}
