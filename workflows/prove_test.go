package workflows_test

import (
	"slices"
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

// TestServerDecidesWhateverTheJobSaid: the job's word is told with every end but a proven one.
func TestServerDecidesWhateverTheJobSaid(t *testing.T) {
	jobs := map[string]contract.PollJobResult{
		"succeeded": {End: change.JobEndSucceeded},
		"failed":    {End: change.JobEndFailed, Reason: "Ecs.0021: no disk quota"},
		"overdue":   {End: change.JobEndOverdue, Reason: "the job is still RUNNING"},
		"forgotten": {End: change.JobEndForgotten, Reason: "the cloud no longer knows its job"},
	}
	ends := map[rollout.ServerEnd]rollout.Observation{
		rollout.Done:          changed(),
		rollout.FailedIntact:  untouched(),
		rollout.FailedChanged: {Fingerprint: untouched().Fingerprint, Exists: true, Status: rollout.StatusRebuild},
		rollout.FailedLost:    seen(rollout.StatusError, oldImage, ""),
		rollout.Vanished:      {},
	}
	for name, job := range jobs {
		for end, after := range ends {
			t.Run(name+" "+string(end), func(t *testing.T) {
				s := newStage(t)
				s.wait.returns(job)
				s.prove.returns(after)

				result := s.ended()

				before := rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
				told := job.End == change.JobEndSucceeded || job.End == change.JobEndFailed
				if end == rollout.FailedIntact && !told {
					end = rollout.FailedChanged // nobody said that the change is over: it may still come
				}
				judged, why := change.Judge(after, before, newImage, told)
				require.Equal(t, end, judged)
				if end != rollout.Done && job.Reason != "" {
					why += "; " + job.Reason
				}
				assert.Equal(t, end, result.End)
				assert.Equal(t, why, result.Reason)
				assert.Equal(t, after, result.After)
				assert.Equal(t, jobID, result.JobID)
				assert.Equal(t, told, s.prove.inputs[0].Ended)
				starts := s.leave.inputs
				if job.End == change.JobEndFailed {
					require.NotEmpty(t, starts, "a late copy of the request is refused by a server that runs")
					assert.Equal(t, backOn(false)[0], starts[0])
					starts = starts[1:]
				}
				if end == rollout.FailedIntact {
					assert.Equal(t, backOn(false), starts)
				} else {
					assert.Empty(t, starts, "what runs yet, or is broken, is left alone")
				}
			})
		}
	}
}

// TestForeignDiskThatCameWhileAChangeWasInDoubt: a change leaves the old image or the new one. A rollout must not take
// a disk of a third, be it by a retry or a rollback.
func TestForeignDiskThatCameWhileAChangeWasInDoubt(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrInDoubt, "nobody knows"))
	s.prove.returns(seen(rollout.StatusShutoff, "77777777-58c4-4a2b-9d0e-3f6b7c8d9e0f", newDisk))

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.True(t, result.Foreign)
	assert.Contains(t, result.Reason, "and not the one asked for (status SHUTOFF), and the change may still be under way; it was given that disk from outside; submitting ended in doubt: nobody knows")

	s = newStage(t)
	s.submit.fails(final(api.ErrInDoubt, "nobody knows"))
	s.prove.returns(seen(rollout.StatusError, oldImage, newDisk))
	assert.False(t, s.ended().Foreign, "a change that failed half way leaves it so")
}

// TestEarlierChangeThatComesAfterTheLook: the server is tried again while an earlier change of it is under way, which
// nobody saw. It comes before anything is sent.
func TestEarlierChangeThatComesAfterTheLook(t *testing.T) {
	for name, test := range map[string]struct {
		after rollout.Observation
		end   rollout.ServerEnd
	}{
		"proven":      {seen(rollout.StatusActive, newImage, newDisk), rollout.Done},
		"not running": {seen(rollout.StatusError, newImage, newDisk), rollout.FailedChanged},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			halfWay := found(rollout.StatusShutoff)
			halfWay.Before.VolumeID = newDisk
			s.look.returns(halfWay)
			s.in.Earlier = &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
			s.submit.fails(final(api.ErrForeignDisk, "server web-07 was changed by somebody else"))
			s.prove.returns(test.after)

			result := s.ended()

			assert.Equal(t, test.end, result.End)
			if test.end == rollout.Done {
				assert.Equal(t, "runs the image on a new system disk: an earlier change came after all", result.Reason)
				assert.False(t, result.Foreign)
			}
		})
	}
}

func TestJobThatCannotBeFollowedIsSettledByTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"refused":   {final(api.ErrCredentials, "the key was revoked"), "its job could not be followed: the key was revoked"},
		"timed out": {temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, passing(api.ErrCloud, "503")), "its job could not be followed: it took too long; last trouble: 503"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.wait.fails(test.err)
			s.prove.returns(seen(rollout.StatusError, newImage, newDisk))
			result := s.ended()
			assert.Equal(t, rollout.FailedChanged, result.End)
			assert.Contains(t, result.Reason, test.says)
			assert.Len(t, s.wait.inputs, 1)
		})
	}
}

// TestServerThatCannotBeLookedAtIsNeverCalledIntact: the change was submitted, so the worst is assumed.
func TestServerThatCannotBeLookedAtIsNeverCalledIntact(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	s.prove.fails(final(api.ErrCredentials, "the key was revoked"))

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.Equal(t, "the change was submitted, but the server could not be looked at afterwards: the key was revoked", result.Reason)
	assert.Zero(t, result.After, "nothing was seen")
	assert.Empty(t, s.leave.inputs, "what is left of it is for a human to look at")
}

func TestReadsAreTriedAgain(t *testing.T) {
	s := newStage(t)
	s.look.failsFirst(passing(api.ErrCloud, "503"))
	s.wait.failsFirst(passing(api.ErrCloud, "503"), passing(api.ErrThrottled, "slow down"))
	s.prove.failsFirst(passing(api.ErrWorkerStopping, "handed back"))

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.look.inputs, 2)
	assert.Len(t, s.submit.inputs, 1, "reading again never means sending again")
	assert.Len(t, s.wait.inputs, 3)
	assert.Len(t, s.prove.inputs, 2)
}

// TestWaitsDoNotGiveUp: a server that has given up its disk is not given up because for a day nobody could be asked.
func TestWaitsDoNotGiveUp(t *testing.T) {
	s := newStage(t)
	day := slices.Repeat([]error{later(api.ErrCredentials, "the key was revoked", 4*time.Hour)}, 6)
	s.wait.failsFirst(day...)
	s.prove.failsFirst(day...)

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.Len(t, s.wait.inputs, 7)
	assert.Len(t, s.prove.inputs, 7)
	assert.Len(t, s.submit.inputs, 1)
}

// TestFailedJobStartsTheServerAtOnce: before the proof, which takes the settle time; and what runs by then is not started again.
func TestFailedJobStartsTheServerAtOnce(t *testing.T) {
	s := newStage(t)
	s.wait.returns(contract.PollJobResult{End: change.JobEndFailed, Reason: "Ecs.0202: no disk"})
	s.prove.returns(seen(rollout.StatusActive, oldImage, oldDisk))

	result := s.ended()

	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Equal(t, rollout.StatusActive, result.Left)
	assert.Equal(t, backOn(false), s.leave.inputs)
	assert.Equal(t, []string{
		contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS, contract.PollJob, contract.RestorePower, contract.VerifyServer,
	}, s.started)
}

// TestFailedJobOfAStoppedServerStartsNothing: it is left as it was.
func TestFailedJobOfAStoppedServerStartsNothing(t *testing.T) {
	s := newStage(t)
	s.look.returns(found(rollout.StatusShutoff))
	s.wait.returns(contract.PollJobResult{End: change.JobEndFailed, Reason: "Ecs.0202: no disk"})
	s.prove.returns(untouched())

	assert.Equal(t, rollout.FailedIntact, s.ended().End)
	assert.Empty(t, s.leave.inputs)
}

// TestFailedJobWhoseServerCannotBeStarted is judged all the same, and the power is tried again after that.
func TestFailedJobWhoseServerCannotBeStarted(t *testing.T) {
	s := newStage(t)
	s.wait.returns(contract.PollJobResult{End: change.JobEndFailed, Reason: "Ecs.0202: no disk"})
	s.prove.returns(untouched())
	s.leave.failsFirst(final(api.ErrRefused, "the cloud could not start it"))

	result := s.ended()

	assert.Equal(t, rollout.FailedIntact, result.End)
	assert.Empty(t, result.PowerTrouble)
	assert.Len(t, s.leave.inputs, 2)
}
