package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

func TestServerThatCannotBeStoppedGetsItsPowerBack(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff // asked for a changed server, and this one is not
	s.in.Change.AllowHardStop = true
	s.stop.fails(final(api.ErrOverdue, "the guest ignores the shutdown"))

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded, contract.RestorePower}, s.started)
	want := backOn(true) // nobody saw how the stop ended
	want[0].AllowHard = true
	assert.Equal(t, want, s.leave.inputs)
	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Equal(t, "it could not be stopped, its disk was not touched: the guest ignores the shutdown", result.Reason)
	assert.Zero(t, result.After)
}

// TestStopThatCredentialsKeepOut is no failure of the server.
func TestStopThatCredentialsKeepOut(t *testing.T) {
	s := newStage(t)
	s.stop.fails(final(api.ErrCredentials, "no such key"))

	result := s.ended()

	assert.Equal(t, backOn(true), s.leave.inputs)
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "no such key", result.CredentialsRefused)
}

func TestServerThatDidNotRunIsNotStartedAfterAFailedStop(t *testing.T) {
	for _, status := range []string{rollout.StatusShutoff, rollout.StatusError} {
		t.Run(status, func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Power = rollout.PowerOn // asked for a changed server, and this one is not
			s.look.returns(found(status))
			s.stop.fails(final(api.ErrRefused, "the server is locked"))

			result := s.ended()

			assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded}, s.started)
			assert.Equal(t, rollout.FailedIntact, result.End)
		})
	}
}

// TestServerGoneAtTheStopIsNotCalledIntact: nobody knows whether its disk is still there.
func TestServerGoneAtTheStopIsNotCalledIntact(t *testing.T) {
	s := newStage(t)
	s.stop.fails(final(api.ErrVanished, "server web-07 is gone: the cloud no longer knows it"))

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded}, s.started, "there is nothing to start")
	assert.Equal(t, rollout.Vanished, result.End)
	assert.Equal(t, "server web-07 is gone: the cloud no longer knows it", result.Reason)
}

// TestServerOfAnotherDiskIsLeftAlone: somebody else changed it after the look.
func TestServerOfAnotherDiskIsLeftAlone(t *testing.T) {
	s := newStage(t)
	s.stop.fails(final(api.ErrForeignDisk, "server web-07 has another system disk by now"))

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded}, s.started)
	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.Equal(t, "its disk was replaced from outside, nothing was sent: server web-07 has another system disk by now", result.Reason)
	assert.True(t, result.Foreign, "a rollout must not take that disk")
}

// TestStopThatMayArriveYet: the server was seen stopped, and may be stopped again once it runs.
func TestStopThatMayArriveYet(t *testing.T) {
	s := newStage(t)
	s.stop.returns(contract.StopIfNeededResult{Status: rollout.StatusShutoff, Doubt: true})
	s.submit.fails(final(api.ErrRefused, "the quota is used up"))
	assert.Equal(t, rollout.FailedIntact, s.ended().End)
	assert.Equal(t, backOn(true), s.leave.inputs)
}

func TestTroubleAtTheStopIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.stop.failsFirst(passing(api.ErrCloud, "503"), passing(api.ErrWorkerStopping, "handed back"))

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.stop.inputs, 3)
	assert.Len(t, s.submit.inputs, 1)
}
