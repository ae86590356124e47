package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestPowerOfAChangedServer: a change of OS always ends with a running server, so only a stop is ever needed.
func TestPowerOfAChangedServer(t *testing.T) {
	stop := leftOff()
	for name, test := range map[string]struct {
		was   string
		asked rollout.Power
		leave []contract.RestorePowerInput
	}{
		"ran, nothing asked":         {rollout.StatusActive, "", nil},
		"ran, as before":             {rollout.StatusActive, rollout.PowerAsBefore, nil},
		"ran, on":                    {rollout.StatusActive, rollout.PowerOn, nil},
		"ran, off":                   {rollout.StatusActive, rollout.PowerOff, stop},
		"was stopped, nothing asked": {rollout.StatusShutoff, "", stop},
		"was stopped, as before":     {rollout.StatusShutoff, rollout.PowerAsBefore, stop},
		"was stopped, on":            {rollout.StatusShutoff, rollout.PowerOn, nil},
		"was stopped, off":           {rollout.StatusShutoff, rollout.PowerOff, stop},
		"had failed, nothing asked":  {rollout.StatusError, "", nil},
		"had failed, off":            {rollout.StatusError, rollout.PowerOff, stop},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.look.returns(found(test.was))
			s.in.Change.Power = test.asked

			result := s.ended()

			assert.Equal(t, rollout.Done, result.End)
			assert.Equal(t, test.leave, s.leave.inputs)
			assert.Empty(t, result.PowerTrouble)
		})
	}
}

// TestPowerTroubleIsToldAndChangesNothingElse for a changed server and for one that was left intact.
func TestPowerTroubleIsToldAndChangesNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		play func(s *stage)
		end  rollout.ServerEnd
	}{
		"changed": {func(s *stage) { s.in.Change.Power = rollout.PowerOff }, rollout.Done},
		"intact":  {func(s *stage) { s.submit.fails(final(api.ErrRefused, "no quota")) }, rollout.FailedIntact},
	} {
		t.Run(name, func(t *testing.T) {
			smooth := newStage(t)
			test.play(smooth)
			s := newStage(t)
			test.play(s)
			s.leave.fails(final(api.ErrOverdue, "the guest does not react"))

			want, got := smooth.ended(), s.ended()

			assert.Equal(t, test.end, got.End)
			assert.Equal(t, "the guest does not react", got.PowerTrouble)
			want.PowerTrouble, want.Left = got.PowerTrouble, ""
			assert.Equal(t, want, got)
			assert.Contains(t, s.details(), "Power: the guest does not react")
		})
	}
}

// TestPowerWaitsForCredentials over a weekend, whatever the last trouble of a day was. What is no matter of credentials is
// told after a day.
func TestPowerWaitsForCredentials(t *testing.T) {
	refused, silent := later(api.ErrCredentials, "no such key", 4*time.Hour), later(api.ErrCloud, "nobody answers", 4*time.Hour)
	weekend := func(err error) []error { return slices.Repeat([]error{err}, 16) }
	for name, test := range map[string]struct {
		submit   error
		troubles []error
		waits    bool
	}{
		"refused credentials":        {final(api.ErrCredentials, "no such key"), weekend(refused), true},
		"refused only for the power": {final(api.ErrRefused, "no quota"), weekend(refused), true},
		"then nobody answers":        {final(api.ErrCredentials, "no such key"), weekend(silent), true},
		"no cloud":                   {final(api.ErrRefused, "no quota"), weekend(silent), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.submit.fails(test.submit)
			s.leave.failsFirst(test.troubles...)

			result := s.ended()

			if test.waits {
				assert.Empty(t, result.PowerTrouble)
				assert.Equal(t, "LEFT", result.Left)
				assert.Len(t, s.leave.inputs, 17)
				return
			}
			assert.NotEmpty(t, result.PowerTrouble)
			assert.Less(t, len(s.leave.inputs), 10)
		})
	}
}

// TestCancelEndsTheWaitForPower where one is still obeyed: of a server whose earlier change had come when it was looked at.
func TestCancelEndsTheWaitForPower(t *testing.T) {
	s := newStage(t)
	came := found(rollout.StatusActive)
	came.Before.ImageID, came.Before.VolumeID = newImage, newDisk
	s.look.returns(came)
	s.in.Earlier = &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	s.in.Change.Power = rollout.PowerOff
	s.leave.fails(later(api.ErrCredentials, "no such key", 4*time.Hour))
	s.at(30*time.Hour, s.env.CancelWorkflow)

	result := s.ended()

	assert.Equal(t, rollout.Done, result.End)
	assert.NotEmpty(t, result.PowerTrouble)
	assert.Greater(t, len(s.leave.inputs), 6, "it has waited for more than a day")
}

// TestPowerThatNeverComesForCredentials: what cannot pass is not tried for ever.
func TestPowerThatNeverComesForCredentials(t *testing.T) {
	s := newStage(t)
	s.submit.fails(final(api.ErrRefused, "no quota"))
	s.leave.fails(final(api.ErrCredentials, "the profile has no project"))
	assert.Equal(t, "the profile has no project", s.ended().PowerTrouble)
	assert.Len(t, s.leave.inputs, 1)
}

func TestPowerIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	s.leave.failsFirst(passing(api.ErrNotSent, "no route"))
	assert.Empty(t, s.ended().PowerTrouble)
	assert.Len(t, s.leave.inputs, 2)
}

// TestBrokenServerIsLeftAlone: what is left of it is evidence.
func TestBrokenServerIsLeftAlone(t *testing.T) {
	for end, after := range map[rollout.ServerEnd]rollout.Observation{
		rollout.FailedChanged: seen(rollout.StatusError, newImage, newDisk),
		rollout.FailedLost:    seen(rollout.StatusError, oldImage, ""),
		rollout.Vanished:      {},
	} {
		for _, power := range []rollout.Power{rollout.PowerAsBefore, rollout.PowerOn, rollout.PowerOff} {
			t.Run(string(end)+" "+string(power), func(t *testing.T) {
				s := newStage(t)
				s.in.Change.Power = power
				s.prove.returns(after)
				assert.Equal(t, end, s.ended().End)
				assert.Empty(t, s.leave.inputs)
			})
		}
	}
}

// TestServerThatVanishesAtTheEnd is not called done: it is gone.
func TestServerThatVanishesAtTheEnd(t *testing.T) {
	s := newStage(t)
	s.in.Change.Power = rollout.PowerOff
	s.leave.fails(final(api.ErrVanished, "server is gone"))

	result := s.ended()

	assert.Equal(t, rollout.Vanished, result.End)
	assert.Empty(t, result.PowerTrouble)
}

// TestServerThatHasAnotherDiskAtTheEnd is not called intact: the change came after it was judged.
func TestServerThatHasAnotherDiskAtTheEnd(t *testing.T) {
	s := newStage(t)
	s.wait.returns(contract.PollJobResult{End: change.JobEndFailed, Reason: "Ecs.0202: no disk"})
	s.prove.returns(untouched())
	s.leave.fails(final(api.ErrForeignDisk, "server web-07 has another system disk by now"))

	result := s.ended()

	assert.Equal(t, rollout.FailedChanged, result.End)
	assert.Equal(t, "it had its old system disk when it was judged, and has another one since: server web-07 has another system disk by now", result.Reason)
	assert.Empty(t, result.PowerTrouble)
}

// TestServerThatSomebodyGaveAnotherDiskAtTheEnd: a disk that no change of ours leaves is not ours to lose, neither to a
// retry nor to a rollback.
func TestServerThatSomebodyGaveAnotherDiskAtTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		end     rollout.ServerEnd
		has     rollout.Fingerprint
		foreign bool
	}{
		"somebody else's":               {rollout.FailedIntact, rollout.Fingerprint{ImageID: "another", VolumeID: newDisk}, true},
		"maybe ours":                    {rollout.FailedIntact, rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk}, false},
		"half way":                      {rollout.FailedIntact, rollout.Fingerprint{ImageID: oldImage, VolumeID: newDisk}, false},
		"somebody else's, after a done": {rollout.Done, rollout.Fingerprint{ImageID: "another", VolumeID: "a third"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Power = rollout.PowerOff
			if test.end == rollout.FailedIntact {
				s.wait.returns(contract.PollJobResult{End: change.JobEndFailed, Reason: "Ecs.0202: no disk"})
				s.prove.returns(untouched())
			}
			s.leave.fails(temporal.NewNonRetryableApplicationError("it has another system disk", api.ErrForeignDisk, nil, test.has))

			result := s.ended()

			assert.Equal(t, test.foreign, result.Foreign)
			if test.end == rollout.Done {
				assert.Equal(t, rollout.Done, result.End)
				assert.Equal(t, "it has another system disk", result.PowerTrouble)
				return
			}
			assert.Equal(t, rollout.FailedChanged, result.End)
			assert.Equal(t, test.foreign, strings.HasSuffix(result.Reason, "; it was given that disk from outside"), result.Reason)
		})
	}
}

// TestPowerAsBeforeAnEarlierAttempt: what "as before" means was told with the order, because the server itself no
// longer shows it.
func TestPowerAsBeforeAnEarlierAttempt(t *testing.T) {
	leftStopped := func(s *stage) { // as the look itself has found
		look := found(rollout.StatusShutoff)
		look.AsBefore = rollout.StatusActive
		s.look.returns(look)
	}
	refused := func(s *stage) { s.submit.fails(final(api.ErrRefused, "no quota")) }
	for name, test := range map[string]struct {
		was, asBefore string
		play          func(s *stage)
		end           rollout.ServerEnd
		leave         []contract.RestorePowerInput
	}{
		"ran, done":                      {rollout.StatusShutoff, rollout.StatusActive, func(*stage) {}, rollout.Done, nil},
		"ran, failed intact":             {rollout.StatusShutoff, rollout.StatusActive, refused, rollout.FailedIntact, backOn(false)},
		"was stopped, done":              {rollout.StatusActive, rollout.StatusShutoff, func(*stage) {}, rollout.Done, leftOff()},
		"was stopped, failed intact":     {rollout.StatusActive, rollout.StatusShutoff, refused, rollout.FailedIntact, nil},
		"ran, but off was asked for":     {rollout.StatusShutoff, rollout.StatusActive, func(s *stage) { s.in.Change.Power = rollout.PowerOff }, rollout.Done, leftOff()},
		"ran before an earlier change":   {rollout.StatusShutoff, rollout.StatusShutoff, leftStopped, rollout.Done, nil},
		"the same, and failed intact":    {rollout.StatusShutoff, "", func(s *stage) { leftStopped(s); refused(s) }, rollout.FailedIntact, backOn(false)},
		"was stopped, but on was wanted": {rollout.StatusActive, rollout.StatusShutoff, func(s *stage) { s.in.Change.Power = rollout.PowerOn }, rollout.Done, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.look.returns(found(test.was))
			s.in.AsBefore = test.asBefore
			test.play(s)

			result := s.ended()

			assert.Equal(t, test.end, result.End)
			assert.Equal(t, test.leave, s.leave.inputs)
		})
	}
}
