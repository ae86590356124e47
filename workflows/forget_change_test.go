package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// secretive is a change with a secret that the cloud may repeat.
var secretive = rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT"}}

// forget has the cloud answer so when it is asked for the job.
func forget(id string, in api.ForgetChangeInput, answer contract.PollJobResult, trouble error) (result rollout.ServerResult, err error) {
	err = locked(id, api.ForgetChangeName, in, answer, trouble, &result)
	return result, err
}

// locked runs a workflow that locks a server.
func locked(id, name string, in api.ForgetChangeInput, answer contract.PollJobResult, trouble error, result any) error {
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetStartTime(curtain)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
	env.RegisterWorkflowWithOptions(workflows.ForgetChange, workflow.RegisterOptions{Name: api.ForgetChangeName})
	env.RegisterWorkflowWithOptions(workflows.CheckDismissal, workflow.RegisterOptions{Name: api.CheckDismissalName})
	env.RegisterActivityWithOptions(func(_ context.Context, asked contract.PollJobInput) (contract.PollJobResult, error) {
		if want := (contract.PollJobInput{Project: project, JobID: jobID, ServerID: serverID, Change: secretive, Deadline: curtain}); !reflect.DeepEqual(asked, want) {
			return answer, final(api.ErrInvalid, fmt.Sprintf("asked for %+v", asked))
		}
		return answer, trouble
	}, activity.RegisterOptions{Name: contract.PollJob})
	env.ExecuteWorkflow(name, in)
	if err := env.GetWorkflowError(); err != nil || result == nil {
		return err
	}
	return env.GetWorkflowResult(result)
}

// TestForgetChange: the change is what it was, with somebody's word.
func TestForgetChange(t *testing.T) {
	last := rollout.ServerResult{
		End: rollout.FailedChanged, Reason: "it may still come", ServerID: serverID, Name: called, JobID: jobID,
		Before: seen(rollout.StatusActive, oldImage, oldDisk), After: seen(rollout.StatusShutoff, oldImage, oldDisk),
		StartedAt: curtain.Add(-time.Hour), EndedAt: curtain.Add(-time.Minute),
	}
	want := last
	unpaid := contract.PollJobResult{End: contract.JobOverdue, Status: api.JobAwaitsPayment}
	for comment, why := range map[string]string{"": "", "order 4711": " (order 4711)"} {
		result, err := forget(api.ChangeOSID(project, serverID), api.ForgetChangeInput{Project: project, Runs: []string{"run-1"}, JobID: jobID, Change: secretive, Last: last, By: "ina", Comment: comment}, unpaid, nil)
		assert.NoError(t, err)
		want.Reason = "nothing more comes of its change, says ina" + why
		assert.Equal(t, want, result)
	}
}

// TestForgetChangeRefuses what would stand for nothing, or without the lock.
func TestForgetChangeRefuses(t *testing.T) {
	lock := api.ChangeOSID(project, serverID)
	for says, change := range map[string]func(id *string, in *api.ForgetChangeInput){
		"a server and runs that":                           func(_ *string, in *api.ForgetChangeInput) { in.Last.ServerID = "web-07" },
		"to forget have a project":                         func(_ *string, in *api.ForgetChangeInput) { in.Project = "" },
		"runs that sent them":                              func(_ *string, in *api.ForgetChangeInput) { in.Runs = nil },
		"nobody says":                                      func(_ *string, in *api.ForgetChangeInput) { in.By = "" },
		"does not lock the server: it has to be \"" + lock: func(id *string, _ *api.ForgetChangeInput) { *id = "forget/" + serverID },
	} {
		id, in := lock, api.ForgetChangeInput{Project: project, Runs: []string{"run-1"}, Last: rollout.ServerResult{ServerID: serverID}, By: "ina"}
		change(&id, &in)
		_, err := forget(id, in, contract.PollJobResult{}, errors.New("not asked"))
		failure := applicationError(t, err)
		assert.Equal(t, api.ErrInvalidInput, failure.Type())
		assert.Contains(t, failure.Message(), says)
		if in.By != "" {
			checked := locked(id, api.CheckDismissalName, in, contract.PollJobResult{}, errors.New("not asked"), nil)
			assert.Contains(t, applicationError(t, checked).Message(), says)
		}
	}
}

// TestForgetChangeAsksForTheJob: one that the cloud works on comes, and one that is over needs nobody's word.
func TestForgetChangeAsksForTheJob(t *testing.T) {
	overdue := func(status string) contract.PollJobResult {
		return contract.PollJobResult{End: contract.JobOverdue, Status: status}
	}
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		answer  contract.PollJobResult
		trouble error
		age     time.Duration // since the job was last seen to be worked on; zero for never
		says    string        // "" when the word is taken
	}{
		"unpaid":          {overdue("PENDING_PAYMENT"), nil, 0, ""},
		"not told":        {overdue(""), nil, 0, ""},
		"odd":             {overdue("FROZEN_FOR_REVIEW"), nil, 0, ""},
		"has just begun":  {overdue("INIT"), nil, 0, "its job " + jobID + " is INIT: wait for its end"},
		"under way":       {overdue("RUNNING"), nil, 0, "its job " + jobID + " is RUNNING: wait for its end"},
		"stuck for a day": {overdue("RUNNING"), nil, day, ""},
		"nearly":          {overdue("RUNNING"), nil, day - time.Second, "its job " + jobID + " is RUNNING: wait for its end"},
		"done":            {contract.PollJobResult{End: contract.JobSucceeded}, nil, 0, "its job " + jobID + " is over (succeeded)"},
		"failed":          {contract.PollJobResult{End: contract.JobFailed}, nil, 0, "is over (failed), and stands against nothing"},
		"not found":       {contract.PollJobResult{End: contract.JobForgotten}, nil, 0, ""},
		"trouble":         {contract.PollJobResult{}, final(api.ErrRefused, "no permission"), 0, "job " + jobID + " cannot be asked for: no permission"},
	} {
		t.Run(name, func(t *testing.T) {
			in := api.ForgetChangeInput{
				Project: project, Runs: []string{"run-1"}, JobID: jobID, UnderWaySince: ago(test.age), Change: secretive,
				Last: rollout.ServerResult{ServerID: serverID}, By: "ina",
			}
			_, err := forget(api.ChangeOSID(project, serverID), in, test.answer, test.trouble)
			in.By = "" // there is no consent yet
			checked := locked(api.ChangeOSID(project, serverID), api.CheckDismissalName, in, test.answer, test.trouble, nil)
			if test.says == "" {
				assert.NoError(t, checked)
				assert.NoError(t, err)
				return
			}
			failure := applicationError(t, err)
			assert.Equal(t, api.ErrRefused, failure.Type())
			assert.Contains(t, failure.Message(), test.says)
			assert.Equal(t, failure.Message(), applicationError(t, checked).Message(), "a check says the same")
		})
	}
}

// ago is a while before the curtain, or never.
func ago(age time.Duration) time.Time {
	if age == 0 {
		return time.Time{}
	}
	return curtain.Add(-age)
}

// TestForgetChangeWithoutAJob asks nobody.
func TestForgetChangeWithoutAJob(t *testing.T) {
	_, err := forget(api.ChangeOSID(project, serverID), api.ForgetChangeInput{
		Project: project, Runs: []string{"run-1"}, Last: rollout.ServerResult{ServerID: serverID}, By: "ina",
	}, contract.PollJobResult{}, final(api.ErrRefused, "nobody asks"))
	assert.NoError(t, err)
}

// TestForgetChangeBesideAJobThatIsOver: the word is for the run whose job nobody knows.
func TestForgetChangeBesideAJobThatIsOver(t *testing.T) {
	_, err := forget(api.ChangeOSID(project, serverID), api.ForgetChangeInput{
		Project: project, Runs: []string{"run-2", "run-1"}, JobID: jobID, Change: secretive, Last: rollout.ServerResult{ServerID: serverID}, By: "ina",
	}, contract.PollJobResult{End: contract.JobSucceeded}, nil)
	assert.NoError(t, err)
}
