package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

func TestServerIsChanged(t *testing.T) {
	s := newStage(t)
	s.in.Change.AllowHardStop = true
	s.in.Change.Login = rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}
	s.in.Expect = &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}

	result := s.ended()

	assert.Equal(t, []string{
		contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS,
		contract.PollJob, contract.VerifyServer,
	}, s.started, "the runbook, in order; a server that ran runs again by itself")
	assert.Equal(t, rollout.ServerResult{
		End: rollout.Done, Reason: "runs the image on a new system disk",
		ServerID: serverID, Name: called, JobID: jobID,
		Before: seen(rollout.StatusActive, oldImage, oldDisk), After: changed(),
		StartedAt: curtain, EndedAt: curtain.Add(5 * time.Minute),
	}, result)

	before := rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	deadline := curtain.Add(3*time.Minute + 40*time.Minute)
	assert.Equal(t, []contract.PreflightInput{{Project: project, ServerID: serverID, Change: s.in.Change, Expect: &before}}, s.look.inputs)
	assert.Equal(t, []contract.StopIfNeededInput{{Project: project, ServerID: serverID, Change: s.in.Change, Disk: oldDisk, AllowHard: true}}, s.stop.inputs)
	assert.Equal(t, []contract.SubmitChangeOSInput{{Project: project, ServerID: serverID, Change: s.in.Change, Before: before}}, s.submit.inputs)
	assert.Equal(t, []contract.PollJobInput{{Project: project, JobID: jobID, ServerID: serverID, Change: s.in.Change, Deadline: deadline}}, s.wait.inputs)
	assert.Equal(t, []contract.VerifyServerInput{{Project: project, ServerID: serverID, Change: s.in.Change, Before: before, Ended: true, Deadline: deadline}}, s.prove.inputs)
}

// TestHardStopIsNotAllowedUnlessAsked: cutting the power can cost data on the disks that are kept.
func TestHardStopIsNotAllowedUnlessAsked(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	s.ended()
	assert.Equal(t, []contract.StopIfNeededInput{{Project: project, ServerID: serverID, Change: s.in.Change, Disk: oldDisk}}, s.stop.inputs)
	assert.Equal(t, leftOff(), s.leave.inputs)
}

// TestPlatformStopSkipsOurStop: the platform stops the server itself when the user asked for that.
func TestPlatformStopSkipsOurStop(t *testing.T) {
	s := newStage(t)
	s.in.Change.WithStopServer = true

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Equal(t, []string{
		contract.Preflight, contract.SubmitChangeOS, contract.PollJob, contract.VerifyServer,
	}, s.started)
	require.Len(t, s.submit.inputs, 1)
	assert.True(t, s.submit.inputs[0].Change.WithStopServer)
}

// TestDeadlineCountsFromTheAcceptance: throttling must not eat the time that the job has.
func TestDeadlineCountsFromTheAcceptance(t *testing.T) {
	s := newStage(t)
	s.in.Change.Deadline = 0
	s.submit.failsFirst(later(api.ErrThrottled, "slow down", 5*time.Minute))

	s.ended()

	accepted := curtain.Add(2*time.Minute + time.Minute + 5*time.Minute + time.Minute)
	require.Len(t, s.wait.inputs, 1)
	assert.Equal(t, accepted.Add(rollout.DefaultDeadline), s.wait.inputs[0].Deadline)
	require.Len(t, s.prove.inputs, 1)
	assert.Equal(t, s.wait.inputs[0].Deadline, s.prove.inputs[0].Deadline)
}

func TestInvalidInputTouchesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(s *stage)
		says  string
	}{
		"another server's lock": {
			func(s *stage) { s.workflowID = api.ChangeOSID(project, newDisk) },
			`has to be "changeos/` + project + "/" + serverID + `"`,
		},
		"another project's lock": {
			func(s *stage) { s.workflowID = api.ChangeOSID("another", serverID) },
			`does not lock the server`,
		},
		"no lock at all": {
			func(s *stage) { s.workflowID = "my-favourite-workflow" },
			`"my-favourite-workflow" does not lock the server`,
		},
		"invalid change": {
			func(s *stage) { s.in.Change.ImageID, s.in.Change.Power = "ubuntu", "sideways" },
			"image id \"ubuntu\" is not a UUID (in lower case)\npower \"sideways\" is none of as-before, on, off",
		},
		"malformed server id, rightly locked": {
			func(s *stage) {
				s.in.ServerID = "../servers"
				s.workflowID = api.ChangeOSID(project, s.in.ServerID)
			},
			`server id "../servers" is not a UUID`,
		},
		"another spelling of the lock": {
			func(s *stage) {
				s.in.ServerID = strings.ToUpper(serverID)
				s.workflowID = api.ChangeOSID(project, s.in.ServerID)
			},
			`is not a UUID (in lower case)`,
		},
		"a lock without a project": {
			func(s *stage) { s.in.Project, s.workflowID = "", api.ChangeOSID("", serverID) },
			`there is no project`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			test.spoil(s)
			s.execute(api.ChangeOSName, s.in)

			failure := applicationError(t, s.env.GetWorkflowError())
			assert.Equal(t, "InvalidInput", failure.Type())
			assert.True(t, failure.NonRetryable())
			assert.Contains(t, failure.Message(), test.says)
			assert.Empty(t, s.started)
		})
	}
}

// TestSecretTypedInPlaceOfAReferenceIsNotRepeated: the failure is in the history for everybody to read.
func TestSecretTypedInPlaceOfAReferenceIsNotRepeated(t *testing.T) {
	s := newStage(t)
	s.in.Change.Login.PasswordFrom = "hunter2:hunter2"
	s.execute(api.ChangeOSName, s.in)
	assert.NotContains(t, applicationError(t, s.env.GetWorkflowError()).Error(), "hunter2")
}
