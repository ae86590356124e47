package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/change"
)

const otherProject = "6af1c92eaf7e471fb35c82eecd4b7b5d"

// TestWorkForAnotherProjectIsHandedBack: to this worker its servers would look as if they were gone.
func TestWorkForAnotherProjectIsHandedBack(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		id := l.server.ID
		submission := l.submission()
		submission.Project = otherProject
		for name, err := range map[string]error{
			"stop":    run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{Project: otherProject, ServerID: id}, attempt{}).err,
			"submit":  run(l, l.acts.SubmitChangeOS, submission, attempt{}).err,
			"poll":    run(l, l.acts.PollJob, contract.PollJobInput{Project: otherProject, JobID: "1"}, attempt{}).err,
			"verify":  run(l, l.acts.VerifyServer, contract.VerifyServerInput{Project: otherProject, ServerID: id}, attempt{}).err,
			"restore": run(l, l.acts.RestorePower, contract.RestorePowerInput{Project: otherProject, ServerID: id, On: true}, attempt{}).err,
		} {
			assert.Equal(l, api.ErrNotReady, kindOf(err), name)
			assert.ErrorContains(l, err, "serves project "+emulator.DefaultProjectID+", not project "+otherProject, name)
			assert.ErrorContains(l, err, "retryable: true", name)
		}
		assert.Empty(l, l.cloud.Ledger().Requests)
	})
}

// TestSubmitHopsBetweenProjects: a worker of another project neither makes a doubt nor takes one away.
func TestSubmitHopsBetweenProjects(t *testing.T) {
	for name, test := range map[string]struct {
		from    attempt
		settles bool
	}{
		"nothing was sent":           {attempt{}, false},
		"an earlier worker died":     {attempt{number: 2}, true},
		"a clean attempt before":     {attempt{number: 2, details: progress(t, change.SubmitMemory{LastCleanAttempt: 1})}, false},
		"a doubtful attempt before":  {attempt{number: 2, details: progress(t, change.SubmitMemory{})}, true},
		"an activity that was reset": {attempt{details: progress(t, change.SubmitMemory{LastCleanAttempt: 4})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				here := l.acts.Profiles[0].Cloud
				there := l.config
				there.ProjectID = otherProject
				elsewhere := l.client(there)

				in := l.submission()
				in.Project = emulator.DefaultProjectID
				l.remembers(past{ID: ownRun, IsRunning: true})
				a := test.from
				a.number = max(1, a.number)
				for range 2 {
					l.acts.Profiles[0].Cloud = elsewhere
					end := run(l, l.acts.SubmitChangeOS, in, a)
					failsWith(l, end.err, api.ErrNotReady, false)
					a = attempt{number: a.number + 1, details: end.last()}
				}
				l.acts.Profiles[0].Cloud = here
				end := run(l, l.acts.SubmitChangeOS, in, a)
				require.NoError(l, end.err)
				assert.Equal(l, test.settles, end.took >= testTiming().Settle, "took %s", end.took)
				assert.Equal(l, 1, l.changes())
			})
		})
	}
}

// TestSubmitOfAWorkflowThatWasReset: the run that is no more may have sent the request.
func TestSubmitOfAWorkflowThatWasReset(t *testing.T) {
	inLab(t, hidden(""), func(l *lab) {
		require.NoError(l, l.submit(attempt{}).err) // the run that is no more
		l.remembers(past{ID: ownRun, IsRunning: true})
		c := persist(l, l.acts.SubmitChangeOS, l.submission(), attempt{})
		require.NoError(l, c.err)
		assert.Contains(l, c.result.Seen, "the system disk is no longer")
		assert.Equal(l, 1, l.changes())
		for _, kind := range c.kinds()[:len(c.kinds())-1] {
			assert.Equal(l, api.ErrInDoubt, kind, "busy is a sign")
		}
		time.Sleep(time.Hour)
		assert.Equal(l, 1, l.changes())
	})
}
