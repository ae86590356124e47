package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
)

func TestServerThatCannotBeStoppedGetsItsPowerBack(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff // asked for a changed server, and this one is not
	s.in.Change.AllowHardStop = true
	s.stop.fails(final(activities.ErrOverdue, "the guest ignores the shutdown"))

	result := s.ended()

	assert.Equal(t, []string{activities.PreflightName, activities.StopIfNeededName, activities.RestorePowerName}, s.started)
	assert.Equal(t, []activities.RestorePowerInput{{ServerID: serverID, On: true, AllowHard: true}}, s.leave.inputs)
	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Equal(t, "it could not be stopped, its disk was not touched: the guest ignores the shutdown", result.Reason)
	assert.Zero(t, result.After)
}

func TestServerThatDidNotRunIsNotStartedAfterAFailedStop(t *testing.T) {
	for _, status := range []string{rollout.StatusShutoff, rollout.StatusError} {
		t.Run(status, func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Power = rollout.PowerOn // asked for a changed server, and this one is not
			s.look.returns(found(status))
			s.stop.fails(final(activities.ErrRefused, "the server is locked"))

			result := s.ended()

			assert.Equal(t, []string{activities.PreflightName, activities.StopIfNeededName}, s.started)
			assert.Equal(t, rollout.FailedIntact, result.End)
		})
	}
}

// TestServerGoneAtTheStopIsNotCalledIntact: nobody knows whether its disk is still there.
func TestServerGoneAtTheStopIsNotCalledIntact(t *testing.T) {
	s := newStage(t)
	s.stop.fails(final(activities.ErrVanished, "server web-07 is gone: the cloud no longer knows it"))

	result := s.ended()

	assert.Equal(t, []string{activities.PreflightName, activities.StopIfNeededName}, s.started, "there is nothing to start")
	assert.Equal(t, rollout.Vanished, result.End)
	assert.Equal(t, "server web-07 is gone: the cloud no longer knows it", result.Reason)
}

func TestTroubleAtTheStopIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.stop.failsFirst(passing(activities.ErrCloud, "503"), passing(activities.ErrWorkerStopping, "handed back"))

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.stop.inputs, 3)
	assert.Len(t, s.submit.inputs, 1)
}
