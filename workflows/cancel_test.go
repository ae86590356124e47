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

func TestCancelBeforeAnythingTouchesNothing(t *testing.T) {
	for name, when := range map[string]time.Duration{"at once": 0, "during the look": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.at(when, s.env.CancelWorkflow)

			result := s.canceled()

			assert.Subset(t, []string{contract.Preflight}, s.started)
			assert.Equal(t, rollout.NotStarted, result.End)
			assert.Equal(t, "cancelled before anything was touched", result.Reason)
			assert.Equal(t, serverID, result.ServerID)
			assert.Equal(t, curtain.Add(when), result.EndedAt, "a look is not waited for")
			assert.Zero(t, result.After)
		})
	}
}

func TestCancelBetweenTwoLooksIsObeyed(t *testing.T) {
	s := newStage(t)
	s.look.fails(later(api.ErrThrottled, "slow down", 2*time.Minute))
	s.at(2*time.Minute, s.env.CancelWorkflow)
	assert.Equal(t, rollout.NotStarted, s.canceled().End)
	assert.Equal(t, []string{contract.Preflight}, s.started)
}

func TestCancelDuringTheStopGivesThePowerBack(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff // asked for a changed server, and this one is not
	s.at(90*time.Second, s.env.CancelWorkflow)

	result := s.canceled()

	assert.Equal(t, []string{contract.Preflight, contract.StopIfNeeded, contract.RestorePower}, s.started)
	assert.Equal(t, backOn(false), s.leave.inputs, "the stop was seen to its end")
	assert.Equal(t, curtain.Add(3*time.Minute), result.EndedAt, "a minute each for the look, the stop and the start")
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "cancelled before its disk was touched", result.Reason)
	assert.Equal(t, called, result.Name)
	assert.Equal(t, seen(rollout.StatusActive, oldImage, oldDisk), result.Before)
	assert.Empty(t, result.PowerTrouble)
}

// TestCancelDuringAStopThatIsTriedAgain: a server that is still going down looks as if it ran, so the stop is
// seen to its end whatever it takes, and the cancel obeyed after it.
func TestCancelDuringAStopThatIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.stop.failsFirst(passing(api.ErrWorkerStopping, "handed back"), passing(api.ErrCloud, "503"))
	s.at(90*time.Second, s.env.CancelWorkflow)

	assert.Equal(t, rollout.NotStarted, s.canceled().End)

	assert.Len(t, s.stop.inputs, 3)
	assert.Equal(t, backOn(false), s.leave.inputs)
	assert.Empty(t, s.submit.inputs)
}

// TestCancelDuringAStopThatFails: nobody knows whether the server goes down yet.
func TestCancelDuringAStopThatFails(t *testing.T) {
	for _, kind := range []string{api.ErrOverdue, api.ErrRefused, api.ErrForeignDisk, api.ErrVanished} {
		s := newStage(t)
		s.stop.fails(final(kind, "no luck"))
		s.at(90*time.Second, s.env.CancelWorkflow)
		result := s.canceled()
		assert.Equal(t, rollout.NotStarted, result.End)
		assert.Equal(t, "cancelled before its disk was touched", result.Reason)
		assert.Equal(t, backOn(true), s.leave.inputs, "and whoever cannot be started says why")
	}
}

func TestCancelDuringTheStopLeavesAStoppedServerStopped(t *testing.T) {
	s := newStage(t)
	s.look.returns(found(rollout.StatusShutoff))
	s.at(90*time.Second, s.env.CancelWorkflow)
	assert.Equal(t, rollout.NotStarted, s.canceled().End)
	assert.Empty(t, s.leave.inputs)
}

func TestPowerTroubleAfterACancelIsTold(t *testing.T) {
	s := newStage(t)
	s.leave.fails(final(api.ErrRefused, "the zone is sold out"))
	s.at(90*time.Second, s.env.CancelWorkflow)
	result := s.canceled()
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "the zone is sold out", result.PowerTrouble)
}

// TestCancelWhileThePowerIsGivenBack does not leave the server off.
func TestCancelWhileThePowerIsGivenBack(t *testing.T) {
	s := newStage(t)
	s.stop.fails(final(api.ErrOverdue, "the guest ignores the shutdown"))
	s.at(150*time.Second, s.env.CancelWorkflow)

	result := s.ended()

	assert.Equal(t, rollout.FailedIntact, result.End, "it had ended when the cancel came")
	assert.Equal(t, curtain.Add(3*time.Minute), result.EndedAt)
	assert.Len(t, s.leave.inputs, 1)
	assert.Empty(t, result.PowerTrouble)
}

// TestCancelTooLateIsCarriedToTheEnd: from the submit on, the old disk is given up.
func TestCancelTooLateIsCarriedToTheEnd(t *testing.T) {
	undisturbed := newStage(t)
	undisturbed.in.Change.Power = rollout.PowerOff
	want := undisturbed.ended()
	require.Equal(t, rollout.Done, want.End)
	for step, when := range map[api.Step]time.Duration{
		api.StepSubmit: 150 * time.Second,
		api.StepWait:   210 * time.Second,
		api.StepProve:  270 * time.Second,
		api.StepLeave:  330 * time.Second,
	} {
		t.Run(string(step), func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Power = rollout.PowerOff
			s.at(when, s.env.CancelWorkflow)
			var after api.Status
			s.at(when+time.Second, func() { after = s.status() })

			result := s.ended()

			assert.Equal(t, want, result, "as if nobody had asked")
			assert.Equal(t, undisturbed.started, s.started)
			assert.Equal(t, step, after.Now().Step)
			assert.True(t, after.CancelRequested)
			assert.True(t, s.status().CancelRequested)
		})
	}
}

// TestCancelWhileTheSubmitIsInDoubt must not leave the question open.
func TestCancelWhileTheSubmitIsInDoubt(t *testing.T) {
	s := newStage(t)
	s.submit.failsFirst(later(api.ErrInDoubt, "nobody knows", time.Minute))
	s.at(200*time.Second, s.env.CancelWorkflow) // between the first attempt and the second
	result := s.ended()
	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.submit.inputs, 2)
}

func TestCancelAfterTheLookOfAPlatformStop(t *testing.T) {
	s := newStage(t)
	s.in.Change.WithStopServer = true // the submit follows the look at once
	s.at(90*time.Second, s.env.CancelWorkflow)
	assert.Equal(t, rollout.Done, s.ended().End, "the submit was under way")
}
