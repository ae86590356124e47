package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

func TestRefusedServerIsNotStarted(t *testing.T) {
	s := newStage(t)
	refused := found(rollout.StatusActive)
	refused.Refusals = []string{"web-07 is locked", "image Ubuntu 26.04 needs a bigger disk"}
	s.look.returns(refused)

	result := s.ended()

	assert.Equal(t, []string{activities.PreflightName}, s.started)
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

	assert.Equal(t, []string{activities.PreflightName}, s.started)
	assert.Equal(t, rollout.Skipped, result.End)
	assert.Equal(t, "it is on the image already", result.Reason)
}

func TestServerThatCannotBeLookedAtIsNotStarted(t *testing.T) {
	s := newStage(t)
	s.look.fails(final(activities.ErrCredentials, "the cloud does not accept the key"))

	result := s.ended()

	assert.Equal(t, []string{activities.PreflightName}, s.started, "asked once")
	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Equal(t, "the server could not be looked at, nothing was touched: the cloud does not accept the key", result.Reason)
	assert.Equal(t, serverID, result.ServerID)
}

// TestLookGivesUpWhileSomebodyIsWatching: a cloud in trouble is reported after at most five minutes.
func TestLookGivesUpWhileSomebodyIsWatching(t *testing.T) {
	s := newStage(t)
	s.look.fails(passing(activities.ErrCloud, "503"))

	result := s.ended()

	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Contains(t, result.Reason, "503")
	assert.Greater(t, len(s.started), 1, "it was tried again")
	assert.Subset(t, []string{activities.PreflightName}, s.started)
	// The test environment lets the last attempt of one minute end; the server would cut it off.
	assert.LessOrEqual(t, result.EndedAt.Sub(result.StartedAt), 6*time.Minute)
}

func TestCheckServerPassesTheFindingsOn(t *testing.T) {
	s := newStage(t)
	findings := found(rollout.StatusActive)
	findings.Refusals, findings.Notes = []string{"it is locked"}, []string{"its image is gone"}
	s.look.returns(findings)
	asked := activities.PreflightInput{Project: project, ServerID: serverID, Change: s.in.Change}

	s.execute(workflows.CheckServerName, asked)

	assert.NoError(t, s.env.GetWorkflowError())
	var got activities.PreflightResult
	assert.NoError(t, s.env.GetWorkflowResult(&got))
	assert.Equal(t, findings, got)
	assert.Equal(t, []activities.PreflightInput{asked}, s.look.inputs)
	assert.Equal(t, []string{activities.PreflightName}, s.started)
}

func TestCheckServerPassesTheErrorOn(t *testing.T) {
	s := newStage(t)
	s.look.fails(final(activities.ErrCredentials, "the cloud does not accept the key"))

	s.execute(workflows.CheckServerName, activities.PreflightInput{ServerID: serverID, Change: s.in.Change})

	failure := applicationError(t, s.env.GetWorkflowError())
	assert.Equal(t, activities.ErrCredentials, failure.Type())
	assert.Equal(t, "the cloud does not accept the key", failure.Message())
}
