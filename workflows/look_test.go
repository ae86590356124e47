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

func TestRefusedServerIsNotStarted(t *testing.T) {
	s := newStage(t)
	refused := found(rollout.StatusActive)
	refused.Refusals = []string{"web-07 is locked", "image Ubuntu 26.04 needs a bigger disk"}
	s.look.returns(refused)

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight}, s.started)
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "web-07 is locked; image Ubuntu 26.04 needs a bigger disk", result.Reason)
	assert.Equal(t, called, result.Name)
	assert.Equal(t, refused.Before, result.Before)
	assert.Zero(t, result.After, "nothing was touched")
}

func TestServerOnTheImageIsSkipped(t *testing.T) {
	s := newStage(t)
	there := found(rollout.StatusShutoff)
	there.AlreadyThere = true
	s.look.returns(there)

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight}, s.started)
	assert.Equal(t, rollout.Skipped, result.End)
	assert.Equal(t, "it is on the image already", result.Reason)
}

func TestServerThatCannotBeLookedAtIsNotStarted(t *testing.T) {
	s := newStage(t)
	s.look.fails(final(api.ErrCredentials, "the cloud does not accept the key"))

	result := s.ended()

	assert.Equal(t, []string{contract.Preflight}, s.started, "asked once")
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "the server could not be looked at, nothing was touched: the cloud does not accept the key", result.Reason)
	assert.Equal(t, "the cloud does not accept the key", result.CredentialsRefused)
	assert.Equal(t, serverID, result.ServerID)
}

// TestChangeThatCameLateIsDone: an earlier attempt was judged before its change came. Now the server shows proof
// against the disk from before that attempt, so nothing is sent, and its power is left as asked.
func TestChangeThatCameLateIsDone(t *testing.T) {
	for name, test := range map[string]struct {
		power    rollout.Power
		asBefore string
		leave    []contract.RestorePowerInput
	}{
		"left running":             {rollout.PowerOn, "", nil},
		"as before, when it ran":   {"", rollout.StatusActive, nil},
		"stopped, as asked":        {rollout.PowerOff, rollout.StatusActive, leftOff()},
		"as before, when it stood": {"", rollout.StatusShutoff, leftOff()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.in.Change.Power, s.in.AsBefore, s.in.Change.EvenIfSameImage = test.power, test.asBefore, true
			s.in.Earlier = &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
			s.in.Expect = s.in.Earlier
			late := found(rollout.StatusActive)
			late.Before = changed()
			late.Refusals = []string{"web-07 has another system disk by now"}
			s.look.returns(late)

			result := s.ended()

			assert.Equal(t, rollout.Done, result.End)
			assert.Equal(t, "runs the image on a new system disk: an earlier change came after all, nothing was sent", result.Reason)
			assert.Equal(t, changed(), result.After)
			assert.Empty(t, s.submit.inputs)
			assert.Empty(t, s.stop.inputs)
			assert.Equal(t, test.leave, s.leave.inputs)
		})
	}
}

// TestOnlyProofMakesAChangeThatCameLate: anything less is refused, or changed as ordered.
func TestOnlyProofMakesAChangeThatCameLate(t *testing.T) {
	for name, now := range map[string]rollout.Observation{
		"does not run":    seen(rollout.StatusShutoff, newImage, newDisk),
		"another image":   seen(rollout.StatusActive, oldImage, newDisk),
		"still that disk": seen(rollout.StatusActive, newImage, oldDisk),
		"no disk":         seen(rollout.StatusActive, newImage, ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.in.Earlier = &rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
			late := found(rollout.StatusActive)
			late.Before, late.Refusals = now, []string{"it is not as expected"}
			s.look.returns(late)

			result := s.ended()

			assert.Equal(t, rollout.NotStarted, result.End)
			assert.Equal(t, "it is not as expected", result.Reason)
			assert.Zero(t, result.After)
			assert.Equal(t, []string{contract.Preflight}, s.started)
		})
	}
}

// TestLookGivesUp on a cloud in trouble.
func TestLookGivesUp(t *testing.T) {
	s := newStage(t)
	s.look.fails(passing(api.ErrCloud, "503"))

	result := s.ended()

	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Contains(t, result.Reason, "503")
	assert.Greater(t, len(s.started), 1, "it was tried again")
	assert.Subset(t, []string{contract.Preflight}, s.started)
	assert.LessOrEqual(t, result.EndedAt.Sub(result.StartedAt), 30*time.Minute)
}

// TestCheckServerGivesUpWhileSomebodyIsWatching: after at most five minutes.
func TestCheckServerGivesUpWhileSomebodyIsWatching(t *testing.T) {
	s := newStage(t)
	s.look.fails(passing(api.ErrCloud, "503"))
	begun := s.env.Now()

	s.execute(api.CheckServerName, contract.PreflightInput{ServerID: serverID, Change: s.in.Change})

	assert.ErrorContains(t, s.env.GetWorkflowError(), "503")
	assert.Greater(t, len(s.started), 1, "it was tried again")
	// The test environment lets the last attempt of one minute end; the server would cut it off.
	assert.LessOrEqual(t, s.env.Now().Sub(begun), 6*time.Minute)
}

func TestCheckServerPassesTheFindingsOn(t *testing.T) {
	s := newStage(t)
	findings := found(rollout.StatusActive)
	findings.Refusals, findings.Notes = []string{"it is locked"}, []string{"its image is gone"}
	s.look.returns(findings)
	asked := contract.PreflightInput{Project: project, ServerID: serverID, Change: s.in.Change}

	s.execute(api.CheckServerName, asked)

	assert.NoError(t, s.env.GetWorkflowError())
	var got contract.PreflightResult
	assert.NoError(t, s.env.GetWorkflowResult(&got))
	assert.Equal(t, findings, got)
	assert.Equal(t, []contract.PreflightInput{asked}, s.look.inputs)
	assert.Equal(t, []string{contract.Preflight}, s.started)
}

func TestCheckServerPassesTheErrorOn(t *testing.T) {
	s := newStage(t)
	s.look.fails(final(api.ErrCredentials, "the cloud does not accept the key"))

	s.execute(api.CheckServerName, contract.PreflightInput{ServerID: serverID, Change: s.in.Change})

	failure := applicationError(t, s.env.GetWorkflowError())
	assert.Equal(t, api.ErrCredentials, failure.Type())
	assert.Equal(t, "the cloud does not accept the key", failure.Message())
}

// TestUserDataIsPinnedByTheLook: what is sent is what was looked at, unless the input pinned it before.
func TestUserDataIsPinnedByTheLook(t *testing.T) {
	for name, test := range map[string]struct{ asked, looked, sent string }{
		"by the look":           {"", "1f0e", "1f0e"},
		"before":                {"1f0e", "1f0e", "1f0e"},
		"before, by old worker": {"1f0e", "", "1f0e"},
		"not at all":            {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.in.Change.UserDataFrom, s.in.Change.UserDataDigest = "file:cloud-config", test.asked
			looked := found(rollout.StatusShutoff)
			looked.UserDataDigest = test.looked
			s.look.returns(looked)
			s.stop.returns(contract.StopIfNeededResult{Status: rollout.StatusShutoff})

			s.execute(api.ChangeOSName, s.in)

			require.NoError(t, s.env.GetWorkflowError())
			require.Len(t, s.look.inputs, 1)
			assert.Equal(t, test.asked, s.look.inputs[0].Change.UserDataDigest)
			require.Len(t, s.submit.inputs, 1)
			assert.Equal(t, test.sent, s.submit.inputs[0].Change.UserDataDigest)
		})
	}
}
