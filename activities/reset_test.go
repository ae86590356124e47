package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pending/pendingtest"
	"github.com/reimage/reimage/rollout"
)

// resetFrom are the activities that touch nothing in a workflow that was reset from the run.
func (l *lab) resetFrom(runID string) map[string]error {
	l.Helper()
	look, submit := l.question(), l.submission()
	look.OriginalRunID, submit.OriginalRunID = runID, runID
	stop := contract.StopIfNeededInput{ServerID: l.server.ID, OriginalRunID: runID}
	return map[string]error{
		contract.Preflight:      run(l, l.acts.Preflight, look, attempt{}).err,
		contract.StopIfNeeded:   run(l, l.acts.StopIfNeeded, stop, attempt{}).err,
		contract.SubmitChangeOS: run(l, l.acts.SubmitChangeOS, submit, attempt{number: 2}).err,
	}
}

// TestResetTouchesNothing, whatever the run before did, and says what that was.
func TestResetTouchesNothing(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		own, sent := past{ID: ownRun, IsRunning: true}, l.changed(rollout.StatusActive, "job-1")
		for name, test := range map[string]struct {
			first []past
			found *api.ChangeRecord
		}{
			"it had only begun":         {[]past{{ID: "a"}}, &api.ChangeRecord{}},
			"it had sent its change":    {[]past{sent}, sent.Record},
			"its record cannot be read": {[]past{{ID: "a", Unreadable: true}}, nil},
			"Temporal no longer has it": {nil, nil},
		} {
			l.acts.Temporal = forgetful{pendingtest.Temporal{Runs: map[string][]past{"default-test-workflow-id": append([]past{own}, test.first...)}}}
			for activity, err := range l.resetFrom("a") {
				failed := failsWith(l, err, api.ErrReset, true)
				var found *api.ChangeRecord
				if failed.HasDetails() {
					require.NoError(l, failed.Details(&found))
				}
				assert.Equal(l, test.found, found, "%s: %s", activity, name)
			}
		}
		l.cannotRemember()
		for _, err := range l.resetFrom("a") {
			failsWith(l, err, api.ErrNotSent, false)
		}
		assert.Empty(l, l.cloud.Ledger().Servers[l.server.ID].Writes)
	})
}

// TestNoResetInItsOwnRun: the run as which a workflow began goes on.
func TestNoResetInItsOwnRun(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		submit := l.submission()
		submit.OriginalRunID = ownRun
		require.NoError(l, run(l, l.acts.SubmitChangeOS, submit, attempt{}).err)
	})
}

// TestResetGivesBackPowerItCanProve to have been taken by a change and not given back since, and stops nothing.
func TestResetGivesBackPowerItCanProve(t *testing.T) {
	for name, test := range map[string]struct {
		status   string
		on       bool
		before   string // the status before the first run
		since    []past
		restored bool
	}{
		"taken":                {rollout.StatusShutoff, true, rollout.StatusActive, nil, true},
		"given back since":     {rollout.StatusShutoff, true, rollout.StatusActive, []past{{ID: "b", Record: &api.ChangeRecord{FirstRunID: "b"}}}, false},
		"to be stopped":        {rollout.StatusActive, false, rollout.StatusActive, nil, false},
		"it was never running": {rollout.StatusShutoff, true, rollout.StatusShutoff, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: test.status}), func(l *lab) {
				l.remembers(append([]past{{ID: ownRun, IsRunning: true}}, append(test.since, l.changed(test.before, "", over))...)...)
				in := contract.RestorePowerInput{ServerID: l.server.ID, On: test.on, Disk: l.server.SystemVolumeID, OriginalRunID: "a"}
				end := run(l, l.acts.RestorePower, in, attempt{})
				if test.restored {
					require.NoError(l, end.err)
					assert.Equal(l, rollout.StatusActive, end.result.Status)
					return
				}
				failed := failsWith(l, end.err, api.ErrReset, true)
				assert.Contains(l, failed.Message(), "it was left alone")
				assert.Empty(l, l.cloud.Ledger().Servers[l.server.ID].Writes)
			})
		})
	}
}
