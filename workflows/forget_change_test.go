package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

func forget(id string, in activities.ForgetChangeInput) (result rollout.ServerResult, err error) {
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetStartTime(curtain)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id})
	env.RegisterWorkflowWithOptions(workflows.ForgetChange, workflow.RegisterOptions{Name: workflows.ForgetChangeName})
	env.ExecuteWorkflow(workflows.ForgetChangeName, in)
	if err = env.GetWorkflowError(); err == nil {
		err = env.GetWorkflowResult(&result)
	}
	return result, err
}

// TestForgetChange: the change is what it was, with somebody's word.
func TestForgetChange(t *testing.T) {
	last := rollout.ServerResult{
		End: rollout.FailedChanged, Reason: "it may still come", ServerID: serverID, Name: called, JobID: jobID,
		Before: seen(rollout.StatusActive, oldImage, oldDisk), After: seen(rollout.StatusShutoff, oldImage, oldDisk),
		StartedAt: curtain.Add(-time.Hour), EndedAt: curtain.Add(-time.Minute),
	}
	want := last
	for comment, why := range map[string]string{"": "", "order 4711": " (order 4711)"} {
		result, err := forget(workflows.ChangeOSID(project, serverID), activities.ForgetChangeInput{Project: project, Runs: []string{"run-1"}, Last: last, By: "ina", Comment: comment})
		assert.NoError(t, err)
		want.Reason = "nothing comes of its change any more, says ina" + why + "; before that: it may still come"
		assert.Equal(t, want, result)
	}
}

// TestForgetChangeRefuses what would stand for nothing, or without the lock.
func TestForgetChangeRefuses(t *testing.T) {
	lock := workflows.ChangeOSID(project, serverID)
	for says, change := range map[string]func(id *string, in *activities.ForgetChangeInput){
		"a server and runs that":                           func(_ *string, in *activities.ForgetChangeInput) { in.Last.ServerID = "web-07" },
		"to forget have a project":                         func(_ *string, in *activities.ForgetChangeInput) { in.Project = "" },
		"runs that sent them":                              func(_ *string, in *activities.ForgetChangeInput) { in.Runs = nil },
		"nobody says":                                      func(_ *string, in *activities.ForgetChangeInput) { in.By = "" },
		"does not lock the server: it has to be \"" + lock: func(id *string, _ *activities.ForgetChangeInput) { *id = "forget/" + serverID },
	} {
		id, in := lock, activities.ForgetChangeInput{Project: project, Runs: []string{"run-1"}, Last: rollout.ServerResult{ServerID: serverID}, By: "ina"}
		change(&id, &in)
		_, err := forget(id, in)
		failure := applicationError(t, err)
		assert.Equal(t, activities.ErrInvalidInput, failure.Type())
		assert.Contains(t, failure.Message(), says)
	}
}
