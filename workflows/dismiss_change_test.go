package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/reimage/reimage/workflows"
)

// secretive is a change with a secret that the cloud may repeat.
var secretive = rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT"}}

// dismissed runs a dismissal: the cloud answers so when it is asked for the job.
func dismissed(id string, in api.DismissChangeInput, answer contract.PollJobResult, trouble error) (result rollout.ServerResult, memo *api.Dismissal, err error) {
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetStartTime(curtain)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
	workflows.Register(env)
	env.RegisterActivityWithOptions(func(_ context.Context, asked contract.PollJobInput) (contract.PollJobResult, error) {
		if want := (contract.PollJobInput{Project: project, JobID: jobID, ServerID: serverID, Change: secretive, Deadline: curtain}); !reflect.DeepEqual(asked, want) {
			return answer, final(api.ErrInvalid, fmt.Sprintf("asked for %+v", asked))
		}
		return answer, trouble
	}, activity.RegisterOptions{Name: contract.PollJob})
	env.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		written := args.Get(0).(map[string]any)[api.DismissalMemo].(api.Dismissal)
		memo = &written
	}).Return(nil)
	env.ExecuteWorkflow(api.DismissChangeName, in)
	if err = env.GetWorkflowError(); err == nil {
		err = env.GetWorkflowResult(&result)
	}
	return result, memo, err
}

// pendingChange is one with that job, or none.
func pendingChange(run, job string) api.PendingChange {
	return api.PendingChange{RunID: run, ChangeRecord: api.ChangeRecord{Change: secretive, Pending: true, Result: rollout.ServerResult{JobID: job}}}
}

// dismissing is somebody's dismissal of changes.
func dismissing(changes ...api.PendingChange) api.DismissChangeInput {
	return api.DismissChangeInput{Project: project, ServerID: serverID, Changes: changes, By: "ina"}
}

// locked is the workflow that locks the server.
var locked = api.ChangeOSID(project, serverID)

// TestDismissChange: the change is what it was, with the dismissal for its reason.
func TestDismissChange(t *testing.T) {
	unpaid := contract.PollJobResult{End: change.JobEndOverdue, Status: api.JobAwaitsPayment}
	last := pendingChange("run-2", "")
	last.Result = rollout.ServerResult{
		End: rollout.FailedChanged, Reason: "it may still come", ServerID: serverID, Name: called,
		Before: seen(rollout.StatusActive, oldImage, oldDisk), After: seen(rollout.StatusShutoff, oldImage, oldDisk),
		StartedAt: curtain.Add(-time.Hour), EndedAt: curtain.Add(-time.Minute),
	}
	want := last.Result
	for comment, why := range map[string]string{"": "", "order 4711": " (order 4711)"} {
		in := dismissing(last, pendingChange("run-1", jobID))
		in.Comment = comment
		result, memo, err := dismissed(locked, in, unpaid, nil)
		assert.NoError(t, err)
		want.Reason = "nothing more comes of its change, says ina" + why
		assert.Equal(t, want, result)
		assert.Equal(t, &api.Dismissal{Runs: []string{"run-2", "run-1"}}, memo)
	}
	terminated, _, err := dismissed(locked, dismissing(pendingChange("run-1", "")), unpaid, errors.New("not asked"))
	assert.NoError(t, err)
	assert.Equal(t, []any{rollout.FailedChanged, serverID}, []any{terminated.End, terminated.ServerID})
}

// TestDismissChangeNeeds its subject, its author and the lock.
func TestDismissChangeNeeds(t *testing.T) {
	for says, change := range map[string]func(id *string, in *api.DismissChangeInput){
		"a server and its changes": func(_ *string, in *api.DismissChangeInput) { in.ServerID = "web-07" },
		"has a project":            func(_ *string, in *api.DismissChangeInput) { in.Project = "" },
		"and its changes":          func(_ *string, in *api.DismissChangeInput) { in.Changes = nil },
		"the name of its author":   func(_ *string, in *api.DismissChangeInput) { in.By = "" },
		"it has to be \"" + locked: func(id *string, _ *api.DismissChangeInput) { *id = "forget/" + serverID },
	} {
		id, in := locked, dismissing(pendingChange("run-1", ""))
		change(&id, &in)
		_, memo, err := dismissed(id, in, contract.PollJobResult{}, errors.New("not asked"))
		failure := applicationError(t, err)
		assert.Equal(t, api.ErrInvalidInput, failure.Type())
		assert.Contains(t, failure.Message(), says)
		assert.Nil(t, memo)
	}
}

// TestDismissChangeAsksForTheJob: a change that the cloud works on is not over, and one whose job is over needs no dismissal.
func TestDismissChangeAsksForTheJob(t *testing.T) {
	overdue := func(status string) contract.PollJobResult {
		return contract.PollJobResult{End: change.JobEndOverdue, Status: status}
	}
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		answer  contract.PollJobResult
		trouble error
		age     time.Duration // since the cloud was first seen to work on the job; zero for never
		says    string        // "" when it is dismissed
	}{
		"unpaid":          {overdue("PENDING_PAYMENT"), nil, 0, ""},
		"not told":        {overdue(""), nil, 0, ""},
		"odd":             {overdue("FROZEN_FOR_REVIEW"), nil, 0, ""},
		"has just begun":  {overdue("INIT"), nil, 0, "its job " + jobID + " is INIT: wait for its end"},
		"under way":       {overdue("RUNNING"), nil, 0, "its job " + jobID + " is RUNNING: wait for its end"},
		"stuck for a day": {overdue("RUNNING"), nil, day, ""},
		"nearly":          {overdue("RUNNING"), nil, day - time.Second, "its job " + jobID + " is RUNNING: wait for its end"},
		"done":            {contract.PollJobResult{End: change.JobEndSucceeded}, nil, 0, "its job " + jobID + " is over (succeeded)"},
		"failed":          {contract.PollJobResult{End: change.JobEndFailed}, nil, 0, "is over (failed), so nothing is pending"},
		"not found":       {contract.PollJobResult{End: change.JobEndForgotten}, nil, 0, ""},
		"trouble":         {contract.PollJobResult{}, final(api.ErrRefused, "no permission"), 0, "job " + jobID + " cannot be asked for: no permission"},
	} {
		t.Run(name, func(t *testing.T) {
			change := pendingChange("run-1", jobID)
			if test.age != 0 {
				change.InProgressSince = curtain.Add(-test.age)
			}
			in := dismissing(change)
			_, memo, err := dismissed(locked, in, test.answer, test.trouble)
			in.By, in.CheckOnly = "", true // there is no consent yet
			_, checked, refusal := dismissed(locked, in, test.answer, test.trouble)
			if test.says == "" {
				assert.NoError(t, err)
				assert.Equal(t, &api.Dismissal{Runs: []string{"run-1"}}, memo)
				assert.NoError(t, refusal)
				assert.Nil(t, checked, "a check dismisses nothing")
				return
			}
			failure := applicationError(t, err)
			assert.Equal(t, api.ErrRefused, failure.Type())
			assert.Contains(t, failure.Message(), test.says)
			assert.Equal(t, failure.Message(), applicationError(t, refusal).Message(), "a check says the same")
			var want *api.Dismissal
			if api.IsInProgress(test.answer.Status) {
				want = &api.Dismissal{InProgressSince: curtain.Add(-test.age)}
			}
			assert.Equal(t, want, memo)
			assert.Equal(t, want, checked)
		})
	}
}

// TestDismissChangeBesideAJobThatIsOver is for the run whose job is unknown.
func TestDismissChangeBesideAJobThatIsOver(t *testing.T) {
	_, _, err := dismissed(locked, dismissing(pendingChange("run-2", ""), pendingChange("run-1", jobID)), contract.PollJobResult{End: change.JobEndSucceeded}, nil)
	assert.NoError(t, err)
}
