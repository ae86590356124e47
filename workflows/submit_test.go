package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestRefusedChangeLeavesTheServerAsItWas: the closed list of errors that prove that nothing was accepted.
func TestRefusedChangeLeavesTheServerAsItWas(t *testing.T) {
	for _, kind := range []string{api.ErrRefused, api.ErrInvalid} {
		t.Run(kind, func(t *testing.T) {
			s := newStage(t)
			s.submit.fails(final(kind, "the quota is used up"))

			result := s.ended()

			assert.Equal(t, []string{
				contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS, contract.RestorePower,
			}, s.started, "sent once, and the power given back")
			assert.Equal(t, backOn(false), s.leave.inputs)
			assert.Equal(t, rollout.FailedIntact, result.End)
			assert.Equal(t, "the change was refused, its disk was not touched: the quota is used up", result.Reason)
			assert.Empty(t, result.JobID)
		})
	}
}

// TestChangeThatCredentialsKeepOut is no failure of the server, which gets its power back and waits.
func TestChangeThatCredentialsKeepOut(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrCredentials, "no such key"))

	result := s.ended()

	assert.Equal(t, backOn(false), s.leave.inputs)
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "no change was accepted, its disk was not touched: no such key", result.Reason)
	assert.Equal(t, "no such key", result.CredentialsRefused)
}

// TestChangeThatWasGivenUpLeavesTheServerAsItWas: nothing was accepted, and that is known.
func TestChangeThatWasGivenUpLeavesTheServerAsItWas(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrGivenUp, "nothing was accepted within 20m0s"))

	result := s.ended()

	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Equal(t, "its disk was not touched: nothing was accepted within 20m0s", result.Reason)
	assert.Equal(t, backOn(false), s.leave.inputs)
	assert.Empty(t, s.prove.inputs)
}

func TestRefusedChangeDoesNotStartAServerThatWasStopped(t *testing.T) {
	s := newStage(t)
	s.look.returns(found(rollout.StatusShutoff))
	s.submit.fails(final(api.ErrRefused, "the quota is used up"))
	assert.Equal(t, rollout.FailedIntact, s.ended().End)
	assert.Empty(t, s.leave.inputs)
}

func TestServerGoneAtTheSubmit(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrVanished, "server web-07 is gone"))

	result := s.ended()

	assert.Equal(t, rollout.Vanished, result.End)
	assert.Equal(t, "server web-07 is gone", result.Reason)
	assert.Equal(t, contract.SubmitChangeOS, s.started[len(s.started)-1], "there is nothing left to do")
}

// TestDoubtfulSubmitIsSettledByTheServer: when submitting ends without an answer, what the server shows
// decides, and the doubt is named unless the server shows proof. Its old disk is no proof: the change may
// still come.
func TestDoubtfulSubmitIsSettledByTheServer(t *testing.T) {
	overdue := func(last error) error {
		return temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, last)
	}
	doubts := map[string]struct {
		err   error
		named string
	}{
		"in doubt":                        {final(api.ErrInDoubt, "nobody knows"), "submitting ended in doubt: nobody knows"},
		"took too long, in doubt":         {overdue(passing(api.ErrInDoubt, "nobody knows")), "submitting ended in doubt: it took too long; last trouble: nobody knows"},
		"took too long, throttled":        {overdue(passing(api.ErrThrottled, "slow down")), "submitting ended in doubt: it took too long; last trouble: slow down"},
		"took too long, credentials":      {overdue(passing(api.ErrCredentials, "no such key")), "submitting ended in doubt: it took too long; last trouble: no such key"},
		"took too long without a word":    {overdue(nil), "submitting ended in doubt: it took too long (ScheduleToClose)"},
		"an error outside of the list":    {final("Surprise", "out of paper"), "submitting ended in doubt: out of paper"},
		"the last worker stopped beating": {overdue(temporal.NewHeartbeatTimeoutError()), "submitting ended in doubt: it took too long; last trouble: it took too long (Heartbeat)"},
	}
	ends := map[string]struct {
		end   rollout.ServerEnd
		after rollout.Observation
	}{
		"changed":    {rollout.Done, changed()},
		"untouched":  {rollout.FailedChanged, untouched()},
		"in pieces":  {rollout.FailedChanged, seen(rollout.StatusError, newImage, newDisk)},
		"without it": {rollout.FailedLost, seen(rollout.StatusError, oldImage, "")},
		"gone":       {rollout.Vanished, rollout.Observation{}},
	}
	for doubt, submit := range doubts {
		for name, is := range ends {
			end, after := is.end, is.after
			t.Run(doubt+" "+name, func(t *testing.T) {
				s := newStage(t)
				s.submit.fails(submit.err)
				s.prove.returns(after)

				result := s.ended()

				assert.Equal(t, end, result.End)
				assert.Equal(t, after, result.After)
				assert.Empty(t, s.wait.inputs, "there is no job to follow")
				assert.Len(t, s.prove.inputs, 1)
				if end == rollout.Done {
					assert.NotContains(t, result.Reason, "doubt", "proof leaves none")
				} else {
					assert.Contains(t, result.Reason, submit.named)
				}
				assert.False(t, s.prove.inputs[0].Ended)
				assert.Empty(t, s.leave.inputs)
			})
		}
	}
}

// TestForeignDiskIsNeverCalledIntact: somebody else replaced the disk after the look. Nothing was sent, but
// what the server shows is no longer the disk from before.
func TestForeignDiskIsNeverCalledIntact(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrForeignDisk, "server web-07 was changed by somebody else; nothing was sent"))
	s.prove.returns(seen(rollout.StatusShutoff, oldImage, newDisk))

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.Contains(t, result.Reason, newDisk)
	assert.Contains(t, result.Reason, "changed by somebody else; nothing was sent")
	require.Len(t, s.prove.inputs, 1)
	assert.True(t, s.prove.inputs[0].Ended, "nothing of ours can be under way")
	assert.True(t, result.Foreign, "a rollout must not take that disk")
	assert.Empty(t, s.leave.inputs, "whoever changed it may be working on it")
}

// TestAcceptanceSeenOnTheServerHasNoJob: the answer was lost, so the server is watched in place of the job.
func TestAcceptanceSeenOnTheServerHasNoJob(t *testing.T) {
	s := newStage(t)
	s.submit.returns(contract.SubmitChangeOSResult{Seen: "the cloud is rebuilding it"})

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Empty(t, result.JobID)
	assert.Empty(t, s.wait.inputs)
	require.Len(t, s.prove.inputs, 1)
	assert.Equal(t, curtain.Add(3*time.Minute+40*time.Minute), s.prove.inputs[0].Deadline)
	assert.False(t, s.prove.inputs[0].Ended, "no job said how it ended")
}

// TestSubmitIsTriedAgainForWhatPasses, and each attempt is told the same fingerprint.
func TestSubmitIsTriedAgainForWhatPasses(t *testing.T) {
	for _, kind := range []string{
		api.ErrThrottled, api.ErrNotSent, api.ErrNotReady, api.ErrCloud,
		api.ErrInDoubt, api.ErrWorkerStopping,
	} {
		t.Run(kind, func(t *testing.T) {
			s := newStage(t)
			s.submit.failsFirst(passing(kind, "not now"), passing(kind, "not yet"))

			result := s.ended()

			assert.Equal(t, rollout.Done, result.End)
			require.Len(t, s.submit.inputs, 3)
			assert.Equal(t, s.submit.inputs[0], s.submit.inputs[1])
			assert.Equal(t, s.submit.inputs[0], s.submit.inputs[2])
		})
	}
}

// TestSubmitIsGivenUpAfterHalfAnHour with attempts of eight minutes, the longest that settling may take.
func TestSubmitIsGivenUpAfterHalfAnHour(t *testing.T) {
	s := newStage(t)
	s.submit.takes = change.MaxSettle
	s.submit.fails(passing(api.ErrInDoubt, "nobody knows"))
	s.prove.returns(untouched())

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.Len(t, s.submit.inputs, 4, "the fourth begins within half an hour, a fifth would not")
	assert.Contains(t, result.Reason, "nobody knows")
}

// TestKindOfARefusal comes with its error: what to do next is decided by it, and never by text.
func TestKindOfARefusal(t *testing.T) {
	with := func(kind rollout.FailureKind) error {
		return temporal.NewApplicationErrorWithOptions("no", api.ErrRefused, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{kind}})
	}
	for want, errs := range map[rollout.FailureKind][]error{
		rollout.FailureOfChange: {with(rollout.FailureOfChange)},
		rollout.FailureOfServer: {with(rollout.FailureOfServer), final(api.ErrInvalid, "no")},
		"":                      {final(api.ErrRefused, "no"), final(api.ErrGivenUp, "no")},
	} {
		for _, err := range errs {
			s := newStage(t)
			s.submit.fails(err)
			assert.Equal(t, want, s.ended().Failure, "%v", err)
		}
	}
	s := newStage(t)
	s.look.returns(contract.PreflightResult{Refusals: []string{"it is locked"}})
	assert.Equal(t, rollout.FailureOfServer, s.ended().Failure)
	s = newStage(t)
	assert.Empty(t, s.ended().Failure)
}
