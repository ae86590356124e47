package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// submission asks for the change of the lab's server, with a secret in it.
func (l *lab) submission() activities.SubmitChangeOSInput {
	return activities.SubmitChangeOSInput{
		ServerID: l.server.ID,
		Change:   rollout.Change{ImageID: l.target.ID, UserDataFrom: "env:CLOUD_CONFIG"},
		Before:   l.before(),
	}
}

// submit makes one attempt.
func (l *lab) submit(a attempt) ended[activities.SubmitChangeOSResult] {
	l.Helper()
	return run(l, l.acts.SubmitChangeOS, l.submission(), a)
}

// persistSubmit makes attempts until the end.
func (l *lab) persistSubmit(from attempt) course[activities.SubmitChangeOSResult] {
	l.Helper()
	return persist(l, l.acts.SubmitChangeOS, l.submission(), from)
}

func TestSubmitIsAccepted(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		end := l.submit(attempt{})
		require.NoError(l, end.err)
		accepted := l.writes(emulator.OpChangeOS)
		require.Len(l, accepted, 1)
		assert.Equal(l, activities.SubmitChangeOSResult{JobID: accepted[0].JobID}, end.result)
		assert.Equal(l, l.target.ID, accepted[0].ImageID)
		assert.Zero(l, end.took, "a first attempt has nothing to wait for")
	})
}
