package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pastruns"
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
		before := l.was(rollout.StatusActive)
		done := endedAs(rollout.Done)
		for name, test := range map[string]struct {
			first pastruns.Run
			found contract.BeforeReset
		}{
			"it had only begun":     {pastruns.Run{ID: "a", First: "a"}, contract.BeforeReset{Known: true}},
			"it had stopped it":     {pastruns.Run{ID: "a", First: "a", Before: before, Stops: true}, contract.BeforeReset{Known: true, Before: before, Touched: true}},
			"its answer was lost":   {pastruns.Run{ID: "a", First: "a", Before: before, Submits: true}, contract.BeforeReset{Known: true, Before: before, Touched: true, Submitted: true}},
			"its job is not over":   {pastruns.Run{ID: "a", First: "a", Before: before, Accepted: taken("job-1")}, contract.BeforeReset{Known: true, Before: before, Touched: true, Submitted: true, JobID: "job-1"}},
			"its job has succeeded": {pastruns.Run{ID: "a", First: "a", Before: before, Accepted: taken("job-1"), Job: heard(contract.JobSucceeded, "SUCCESS"), Result: done}, contract.BeforeReset{Known: true, Before: before, Touched: true, Submitted: true, JobID: "job-1", JobOver: true, Result: done}},
		} {
			l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, test.first)
			for activity, err := range l.resetFrom("a") {
				failed := failsWith(l, err, api.ErrReset, true)
				var found contract.BeforeReset
				require.NoError(l, failed.Details(&found))
				assert.Equal(l, test.found, found, "%s: %s", activity, name)
			}
		}
		assert.Zero(l, l.sent())
		assert.Empty(l, l.writes(emulator.OpStop))
	})
}

// TestResetWithoutAHistory: nothing is touched, and nothing is claimed.
func TestResetWithoutAHistory(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, pastruns.Run{ID: "a", Err: serviceerror.NewNotFound("deleted")})
		for _, err := range l.resetFrom("a") {
			var found contract.BeforeReset
			require.NoError(l, failsWith(l, err, api.ErrReset, true).Details(&found))
			assert.False(l, found.Known)
		}
		l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, pastruns.Run{ID: "a", Err: serviceerror.NewUnavailable("down")})
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
		since    []pastruns.Run
		restored bool
	}{
		"taken":                {rollout.StatusShutoff, true, nil, true},
		"given back since":     {rollout.StatusShutoff, true, []pastruns.Run{{ID: "b", First: "a", Before: seenRunning, Result: &rollout.ServerResult{End: rollout.FailedIntact, Left: rollout.StatusActive}}}, false},
		"to be stopped":        {rollout.StatusActive, false, nil, false},
		"it was never running": {rollout.StatusShutoff, true, []pastruns.Run{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: test.status}), func(l *lab) {
				first := pastruns.Run{ID: "a", First: "a", Before: l.was(rollout.StatusActive), Stops: true}
				if name == "it was never running" {
					first.Before.Status = rollout.StatusShutoff
				}
				l.remembers(append([]pastruns.Run{{ID: ownRun, First: "a", Running: true}}, append(test.since, first)...)...)
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

// seenRunning is a server of which only the power matters.
var seenRunning = rollout.Observation{Exists: true, Status: rollout.StatusActive}
