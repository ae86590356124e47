package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

func checks() *rollout.Health {
	return &rollout.Health{Checks: []rollout.HealthCheck{rollout.HealthCheck{Type: rollout.CheckHTTP}.WithDefaults()}}
}

// TestHealthFollowsTheProof: the application is probed once the new disk is proven, and in the soak.
func TestHealthFollowsTheProof(t *testing.T) {
	s := newStage(t)
	s.in.Health, s.in.Soak = checks(), 10*time.Minute

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.True(t, result.Healthy)
	assert.Equal(t, []string{
		contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS, contract.PollJob, contract.VerifyServer,
		contract.CheckHealth, contract.CheckHealth,
	}, s.started)
	input := contract.CheckHealthInput{
		Project: project, ServerID: serverID, Change: s.in.Change, Checks: s.in.Health.Checks, Disk: newDisk, Since: curtain.Add(5 * time.Minute),
	}
	soak := input
	soak.Since, soak.Soak = curtain.Add(6*time.Minute), 10*time.Minute
	assert.Equal(t, []contract.CheckHealthInput{input, soak}, s.health.inputs)
	var steps []api.Step
	for _, at := range s.status().Steps {
		steps = append(steps, at.Step)
	}
	assert.Equal(t, []api.Step{api.StepLook, api.StepStop, api.StepSubmit, api.StepWait, api.StepProve, api.StepHealth, api.StepSoak, api.StepEnded}, steps)
}

// TestUnhealthyServerStaysAsItIs: with the new disk and running, for a human to look at.
func TestUnhealthyServerStaysAsItIs(t *testing.T) {
	s := newStage(t)
	s.look.returns(found(rollout.StatusShutoff))
	s.in.Health, s.in.Soak = checks(), time.Minute
	s.health.returns(contract.CheckHealthResult{Reason: "http :80/: 10.0.0.7:80: status 503"})

	result := s.ended()

	assert.Equal(t, rollout.FailedUnhealthy, result.End)
	assert.Equal(t, "runs the image on a new system disk, and its application is not healthy: http :80/: 10.0.0.7:80: status 503", result.Reason)
	assert.Len(t, s.health.inputs, 1, "no soak")
	assert.Empty(t, s.leave.inputs, "it is not stopped, though it was before")
	assert.Equal(t, changed(), result.After)
}

// TestHealthBeforeTheServerIsStoppedAgain: a server that was stopped is probed while it runs.
func TestHealthBeforeTheServerIsStoppedAgain(t *testing.T) {
	s := newStage(t)
	s.look.returns(found(rollout.StatusShutoff))
	s.in.Health = checks()

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Equal(t, []string{contract.VerifyServer, contract.CheckHealth, contract.RestorePower}, s.started[len(s.started)-3:])
}

// TestServerDiesInItsSoak: it dies in its soak.
func TestServerDiesInItsSoak(t *testing.T) {
	s := newStage(t)
	s.in.Health, s.in.Soak = checks(), time.Minute
	s.health.answers = []answer[contract.CheckHealthResult]{{out: contract.CheckHealthResult{Healthy: true}}, {out: contract.CheckHealthResult{Reason: "refused"}}}

	result := s.ended()

	assert.Equal(t, rollout.FailedUnhealthy, result.End)
	assert.Contains(t, result.Reason, "is not healthy in its soak: refused")
	assert.False(t, result.Healthy)
}

// TestNoWorkerCanProbe: it is tried again until one can, and the server has not failed.
func TestNoWorkerCanProbe(t *testing.T) {
	s := newStage(t)
	s.in.Health = checks()
	s.health.failsFirst(later(api.ErrProbesRefused, "REIMAGE_PROBES=off", time.Minute), later(api.ErrProbesRefused, "REIMAGE_PROBES=off", time.Hour))

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.health.inputs, 3)
	assert.Equal(t, s.health.inputs[0], s.health.inputs[2], "the times count from the proof, whatever attempt it is")
}

// TestFailedChangeIsNotProbed.
func TestFailedChangeIsNotProbed(t *testing.T) {
	s := newStage(t)
	s.in.Health = checks()
	s.prove.returns(untouched())

	result := s.ended()

	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Empty(t, s.health.inputs)
}

// TestRecheck asks for the health and sends nothing.
func TestRecheck(t *testing.T) {
	s := newStage(t)
	s.in.Health, s.in.Recheck, s.in.Earlier = checks(), true, &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	s.in.Expect = &rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk}
	s.look.returns(contract.PreflightResult{Name: called, Before: changed(), AlreadyThere: true})

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Equal(t, []string{contract.Preflight, contract.CheckHealth}, s.started)
	assert.Empty(t, s.look.inputs[0].HealthyBefore)
}

// TestRecheckOfAnotherDisk touches nothing, also when the other one is of the same image.
func TestRecheckOfAnotherDisk(t *testing.T) {
	for reason, now := range map[string]rollout.Observation{
		"it does not have the system disk any more that was proven (status ACTIVE)": seen(rollout.StatusActive, newImage, "77777777-7777-4888-9999-aaaaaaaaaaaa"),
		"it does not run (status SHUTOFF)":                                          seen(rollout.StatusShutoff, newImage, newDisk),
	} {
		s := newStage(t)
		s.in.Health, s.in.Recheck, s.in.Earlier = checks(), true, &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
		s.in.Expect = &rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk}
		s.look.returns(contract.PreflightResult{Name: called, Before: now})

		result := s.ended()

		assert.Equal(t, rollout.NotStarted, result.End)
		assert.Contains(t, result.Reason, reason)
		assert.Equal(t, []string{contract.Preflight}, s.started)
	}
}

// TestDiskIsReplacedDuringTheHealthChecks: it is not ours.
func TestDiskIsReplacedDuringTheHealthChecks(t *testing.T) {
	s := newStage(t)
	s.in.Health = checks()
	s.health.fails(final(api.ErrForeignDisk, "another disk"))

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.True(t, result.Foreign)
}

// TestEndIsNotKnownBeforeTheHealthIs: nothing shows a server as done that is still probed.
func TestEndIsNotKnownBeforeTheHealthIs(t *testing.T) {
	s := newStage(t)
	s.in.Health = checks()
	asked := false
	s.at(5*time.Minute+30*time.Second, func() {
		asked = true
		assert.Equal(t, api.StepHealth, s.status().Now().Step)
		assert.Empty(t, s.status().End)
		assert.NotContains(t, s.details(), "done")
	})
	assert.Equal(t, rollout.Done, s.ended().End)
	assert.True(t, asked)
}

// TestHealthIsRequiredBefore passes the checks on to the preflight.
func TestHealthIsRequiredBefore(t *testing.T) {
	s := newStage(t)
	s.in.Health = checks()
	s.in.Health.RequireBefore = rollout.BeforeRefuse
	s.ended()
	assert.Equal(t, s.in.Health.Checks, s.look.inputs[0].HealthyBefore)
}

// TestInvalidHealthIsRefused before anything is touched.
func TestInvalidHealthIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*api.ChangeOSInput){
		"without health checks":           func(in *api.ChangeOSInput) { in.Soak = time.Minute },
		"a recheck is asked for":          func(in *api.ChangeOSInput) { in.Recheck = true },
		"the disk from before the change": func(in *api.ChangeOSInput) { in.Health, in.Recheck = checks(), true },
		"is not between 0s and 24h":       func(in *api.ChangeOSInput) { in.Health, in.Soak = checks(), 25*time.Hour },
		"health: there is no check":       func(in *api.ChangeOSInput) { in.Health = &rollout.Health{} },
	} {
		s := newStage(t)
		spoil(&s.in)
		s.execute(api.ChangeOSName, s.in)
		require.ErrorContains(t, s.env.GetWorkflowError(), want)
		assert.Empty(t, s.started)
	}
}
