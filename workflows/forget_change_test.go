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

func forget(id string, in workflows.ForgetChangeInput) (result rollout.ServerResult, err error) {
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

// TestForgetChange: what was a change that may come is a failure that left the disk, by somebody's word.
func TestForgetChange(t *testing.T) {
	last := rollout.ServerResult{
		End: rollout.FailedChanged, Reason: "it may still come", ServerID: serverID, Name: called, JobID: jobID,
		Before: seen(rollout.StatusActive, oldImage, oldDisk), After: seen(rollout.StatusShutoff, oldImage, oldDisk),
		StartedAt: curtain.Add(-time.Hour), EndedAt: curtain.Add(-time.Minute),
	}
	want := last
	want.End, want.EndedAt = rollout.FailedIntact, curtain
	for comment, why := range map[string]string{"": "", "order 4711": " (order 4711)"} {
		result, err := forget(workflows.ChangeOSID(project, serverID), workflows.ForgetChangeInput{Project: project, Last: last, By: "ina", Comment: comment})
		assert.NoError(t, err)
		want.Reason = "nothing comes of its change any more, says ina" + why + "; before that: it may still come"
		assert.Equal(t, want, result)
	}
}

// TestForgetChangeRefuses what would stand for nothing, or without the lock.
func TestForgetChangeRefuses(t *testing.T) {
	lock := workflows.ChangeOSID(project, serverID)
	for says, change := range map[string]func(id *string, in *workflows.ForgetChangeInput){
		"has a project and a server":                       func(_ *string, in *workflows.ForgetChangeInput) { in.Last.ServerID = "web-07" },
		"to forget has a project":                          func(_ *string, in *workflows.ForgetChangeInput) { in.Project = "" },
		"nobody says":                                      func(_ *string, in *workflows.ForgetChangeInput) { in.By = "" },
		"does not lock the server: it has to be \"" + lock: func(id *string, _ *workflows.ForgetChangeInput) { *id = "forget/" + serverID },
	} {
		id, in := lock, workflows.ForgetChangeInput{Project: project, Last: rollout.ServerResult{ServerID: serverID, JobID: jobID}, By: "ina"}
		change(&id, &in)
		_, err := forget(id, in)
		failure := applicationError(t, err)
		assert.Equal(t, activities.ErrInvalidInput, failure.Type())
		assert.Contains(t, failure.Message(), says)
	}
}
