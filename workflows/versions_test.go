package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// TestRolloutOfBeforeCountsRefusedCredentials: what it decided once it decides again.
func TestRolloutOfBeforeCountsRefusedCredentials(t *testing.T) {
	f := newFleet(t, 2, 1, 2)
	f.env.OnGetVersion("credentials-pause", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	f.ends["web-00"] = noKey()
	f.abortLate()

	f.run()

	p := f.progress()
	require.Len(t, p.Failures, 1)
	assert.Equal(t, rollout.NotStarted, p.Failures[0].End)
}

// TestSubmitOfBeforeTakesRefusedCredentialsForARefusal.
func TestSubmitOfBeforeTakesRefusedCredentialsForARefusal(t *testing.T) {
	s := newStage(t)
	s.env.OnGetVersion("credentials-doubt", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	s.submit.fails(temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, passing(api.ErrCredentials, "no such key")))

	result := s.ended()

	assert.Equal(t, rollout.NotStarted, result.End)
	assert.Empty(t, s.prove.inputs)
}
