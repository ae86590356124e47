package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

func recalledBy(touched ...any) error {
	return temporal.NewNonRetryableApplicationError("nothing was sent to server X: rollout/web was aborted", api.ErrRecalled, nil, touched...)
}

// TestServerRecalledBeforeItsStopIsLeftAlone: it runs still, and nothing is asked of the cloud any more.
func TestServerRecalledBeforeItsStopIsLeftAlone(t *testing.T) {
	s := newStage(t)
	s.in.Rollout = api.RolloutRef{WorkflowID: "rollout/web", FirstRunID: "first"}
	s.stop.fails(recalledBy(false))

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded}, s.started)
	assert.Equal(t, s.in.Rollout, s.stop.inputs[0].Rollout)
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.True(t, result.Recalled)
	assert.Equal(t, "recalled before it was stopped: nothing was sent to server X: rollout/web was aborted", result.Reason)
}

// TestServerRecalledAfterAStopGetsItsPowerBack. When it is not known whether a stop was sent, one may have been.
func TestServerRecalledAfterAStopGetsItsPowerBack(t *testing.T) {
	for name, recall := range map[string]error{"a stop was sent": recalledBy(true), "it does not say": recalledBy(), "unreadable": recalledBy("perhaps")} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.stop.fails(recall)
			result := s.ended()
			assert.Equal(t, backOn(true), s.leave.inputs)
			assert.Equal(t, rollout.NotStarted, result.End)
			assert.True(t, result.Recalled)
			assert.Contains(t, result.Reason, "recalled before its disk was touched")
		})
	}
}

// TestServerRecalledBeforeItsChangeGetsItsPowerBack, if it was stopped for it.
func TestServerRecalledBeforeItsChangeGetsItsPowerBack(t *testing.T) {
	for name, test := range map[string]struct {
		status  string
		touched bool
		leave   []contract.RestorePowerInput
	}{
		"stopped for it":  {rollout.StatusActive, true, backOn(false)},
		"stopped before":  {rollout.StatusShutoff, false, nil},
		"stopped by hand": {rollout.StatusActive, false, backOn(false)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.in.Rollout = api.RolloutRef{WorkflowID: "rollout/web"}
			s.look.returns(found(test.status))
			s.stop.returns(contract.StopIfNeededResult{Status: rollout.StatusShutoff, Touched: test.touched})
			s.submit.fails(recalledBy())

			result := s.ended()

			assert.Equal(t, s.in.Rollout, s.submit.inputs[0].Rollout)
			assert.Equal(t, test.touched, s.submit.inputs[0].Touched)
			assert.Equal(t, test.leave, s.leave.inputs)
			assert.Equal(t, rollout.NotStarted, result.End)
			assert.True(t, result.Recalled)
			assert.Empty(t, result.JobID)
		})
	}
}

// TestServerLeftOffByAnEarlierAttemptGetsItsPowerBack: being taken back untouched does not leave it down.
func TestServerLeftOffByAnEarlierAttemptGetsItsPowerBack(t *testing.T) {
	s := newStage(t)
	s.in.AsBefore = rollout.StatusActive
	s.look.returns(found(rollout.StatusShutoff))
	s.stop.returns(contract.StopIfNeededResult{Status: rollout.StatusShutoff})
	s.submit.fails(recalledBy())
	s.ended()
	assert.Equal(t, backOn(false), s.leave.inputs)
}

// TestTheRolloutLearnsOfSuspicionsFromTheActivities that watch a change.
func TestTheRolloutLearnsOfSuspicionsFromTheActivities(t *testing.T) {
	s := newStage(t)
	s.in.Rollout = api.RolloutRef{WorkflowID: "rollout/web"}
	s.look.returns(found(rollout.StatusError))
	s.ended()
	assert.Equal(t, s.in.Rollout, s.wait.inputs[0].Rollout)
	assert.Equal(t, s.in.Rollout, s.prove.inputs[0].Rollout)
	assert.True(t, s.prove.inputs[0].WasInError)
}
