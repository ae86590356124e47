package activities_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
)

// TestSubmitAfterAResetWithAnOpenJob: the job that the run which is no more has left open is followed, and nothing is sent.
// Beside that of somebody else nothing is sent either, but it tells nothing of this workflow.
func TestSubmitAfterAResetWithAnOpenJob(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		own := pastruns.Run{ID: ownRun, First: "a", Running: true}
		sent := pastruns.Run{ID: "a", Accepted: taken(job), Before: l.was(rollout.StatusShutoff), Result: endedAs(rollout.FailedChanged)}
		refused := pastruns.Run{ID: "b", Failed: endedWith(activities.ErrRefused, true), Result: endedAs(rollout.FailedIntact)}
		lost := pastruns.Run{ID: "c", First: "a", Submits: true, Before: l.was(rollout.StatusShutoff)}
		followed := activities.SubmitChangeOSResult{JobID: job, Seen: "the job of a run before the workflow was reset is not over"}
		pending := activities.SubmitChangeOSResult{Seen: "its job " + job + " is PENDING_PAYMENT"}
		others := sent
		others.First = "somebody else's"
		unreadable := lost
		unreadable.Broken = true
		othersLost := lost
		othersLost.First = "somebody else's"
		again := sent
		again.ID, again.First = "d", "a"
		for name, test := range map[string]struct {
			runs   []pastruns.Run
			from   attempt
			answer activities.SubmitChangeOSResult
		}{
			"of the first run":           {[]pastruns.Run{own, sent}, attempt{}, followed},
			"after one that was refused": {[]pastruns.Run{own, refused, sent}, attempt{}, followed},
			"of a reset one":             {[]pastruns.Run{own, again, refused}, attempt{}, followed},
			"by a later attempt":         {[]pastruns.Run{own, sent}, attempt{number: 2}, followed}, // none before it can have sent
			"a newer one may have sent":  {[]pastruns.Run{own, lost, sent}, attempt{}, pending},
			"its result cannot be read":  {[]pastruns.Run{own, unreadable}, attempt{}, activities.SubmitChangeOSResult{Seen: "it may have been sent, and what became of it cannot be read (run c, event 40 cannot be decoded: payload item 0: unable to decode: json: cannot unmarshal string into Go value of type rollout.ServerResult)"}},
			"somebody's answer is lost":  {[]pastruns.Run{own, othersLost}, attempt{}, activities.SubmitChangeOSResult{Seen: "it may have been sent, its job is not known, and it was not seen to come"}},
			"of somebody else":           {[]pastruns.Run{own, others}, attempt{}, pending},
		} {
			l.remembers(test.runs...)
			end := run(l, l.acts.SubmitChangeOS, l.submission(), test.from)
			require.NoError(l, end.err, name)
			assert.Equal(l, test.answer, end.result, name)
			assert.Equal(l, 1, l.sent(), name)
		}

		l.remembers(pastruns.Run{ID: "z", Running: true}, own, sent)
		failsWith(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err, activities.ErrNotSent, false)
		l.remembers(own, pastruns.Run{ID: "a", Err: serviceerror.NewUnavailable("down")})
		down := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{})
		assert.ErrorContains(l, down.err, "Temporal does not tell of earlier changes")
		assert.EqualValues(l, 1, read[activities.SubmitProgress](l, down.last()).Clean, "this attempt has sent nothing")
		assert.Equal(l, 1, l.sent())

		l.remembers(own, others)
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/jobs/") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information"}`))
			}
			return strings.Contains(r.URL.Path, "/jobs/")
		}
		failsWith(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err, activities.ErrCredentials, false)
		l.answer = nil

		l.remembers(own, lost)
		require.NoError(l, l.cloud.CancelOrder(job))
		end := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{})
		require.NoError(l, end.err)
		assert.NotEmpty(l, end.result.JobID, "its answer was lost, and the server tells")
		assert.NotEqual(l, job, end.result.JobID)
	})
}

// TestSubmitIsNotToldOfResets: nothing is sent unless Temporal tells whether the workflow was reset.
func TestSubmitIsNotToldOfResets(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.remembers(pastruns.Run{ID: ownRun, Running: true})
		l.cannotTell(ownRun)
		for _, scheduled := range []time.Duration{0, activities.SubmitPatience + time.Minute} { // what a run before has sent is not given up
			end := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{scheduled: time.Now().Add(-scheduled)})
			failsWith(l, end.err, activities.ErrNotSent, false)
			assert.ErrorContains(l, end.err, "Temporal does not tell whether its workflow was reset: down")
		}
		assert.Zero(l, l.sent())
	})
}

// TestSubmitAfterAResetThatLeavesNoDoubt: the histories tell that nothing comes of what was sent before, so its trace on the
// server is no sign of anything. As long as all of them are there.
func TestSubmitAfterAResetThatLeavesNoDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		ended   time.Duration // since the end of the first run
		first   func(before rollout.Observation) pastruns.Run
		attempt int32
		change  func(*emulator.Server)
		since   []pastruns.Run
		between string // another run from which it was reset
		untold  bool   // whether the first run is there
		seen    string // in place of a request
		fails   string
	}{
		"its job failed": {},
		"its job failed long ago, and Temporal may have deleted another": {ended: 13 * time.Hour, seen: "the cloud worked on it at "},
		"it was refused": {first: func(rollout.Observation) pastruns.Run {
			return pastruns.Run{ID: "a", Failed: endedWith(activities.ErrRefused, true), Result: endedAs(rollout.FailedIntact)}
		}},
		"somebody else's has come before, and the cloud has forgotten it": {first: func(before rollout.Observation) pastruns.Run {
			return pastruns.Run{ID: "a", Result: endedAs(rollout.FailedIntact)}
		}, since: []pastruns.Run{{ID: "b", Accepted: taken("job-2"), Job: heard(activities.JobForgotten, ""), Result: endedAs(rollout.Done)}}},
		"one between is no more": {between: "m", seen: "the cloud worked on it at "},
		"it is no more":          {first: func(rollout.Observation) pastruns.Run { return pastruns.Run{ID: "z"} }, seen: "the cloud worked on it at "},
		"it was lost": {first: func(before rollout.Observation) pastruns.Run {
			return pastruns.Run{ID: "a", Submits: true, Before: before}
		}, seen: "the cloud worked on it at "},
		"an attempt was made since":                   {attempt: 2, seen: "the cloud worked on it at "},
		"Temporal does not tell":                      {untold: true, fails: "Temporal does not tell of earlier changes"},
		"it has come":                                 {change: func(s *emulator.Server) { s.SystemVolumeID = "11111111-2222-4333-8444-555555555555" }, seen: "the system disk is no longer "},
		"its failure left another image in the books": {change: func(s *emulator.Server) { s.ImageID = "99999999-2222-4333-8444-555555555555" }, seen: "the system disk is no longer "},
		"its failure left it running":                 {change: func(s *emulator.Server) { s.Status = "ACTIVE" }, fails: "somebody else started it; nothing was sent"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				in := l.submission()
				in.Updated = "2026-01-01T00:00:00Z"
				l.update(func(s *emulator.Server) {}) // the trace
				if test.change != nil {
					l.update(test.change)
				}
				first := pastruns.Run{ID: "a", Accepted: taken("job-1"), Before: l.was(rollout.StatusShutoff), Job: heard(activities.JobFailed, "FAIL"), Result: endedAs(rollout.FailedIntact)}
				if test.first != nil {
					first = test.first(l.was(rollout.StatusShutoff))
				}
				first.Closed = time.Now().Add(-max(test.ended, time.Minute))
				l.remembers(append([]pastruns.Run{{ID: ownRun, First: "a", Base: test.between, Running: true}}, append(test.since, first)...)...)
				if test.untold {
					l.cannotTell("a")
				}
				end := run(l, l.acts.SubmitChangeOS, in, attempt{number: max(1, test.attempt)})
				switch {
				case test.fails != "":
					assert.ErrorContains(l, end.err, test.fails)
					assert.Zero(l, l.sent())
				case test.seen != "":
					require.NoError(l, end.err)
					assert.Contains(l, end.result.Seen, test.seen)
					assert.Zero(l, l.sent())
				default:
					require.NoError(l, end.err)
					assert.NotEmpty(l, end.result.JobID)
					assert.Empty(l, end.result.Seen)
					assert.GreaterOrEqual(l, end.took, testTiming().Settle, "the view may trail behind")
				}
			})
		})
	}
}

// TestSubmitAfterAResetThatCannotSendSaysWhatItHasSeen: a disk that was replaced is never called untouched.
func TestSubmitAfterAResetThatCannotSendSaysWhatItHasSeen(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.submission()
		in.Change.Login = rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ABSENT"}
		failsWith(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, activities.ErrSecret, false)
		first := pastruns.Run{ID: "a", Accepted: taken("job-1"), Before: l.was(rollout.StatusShutoff), Job: heard(activities.JobSucceeded, "SUCCESS"), Result: endedAs(rollout.Done), Closed: time.Now()}
		l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, first)
		l.update(func(s *emulator.Server) { s.SystemVolumeID = "11111111-2222-4333-8444-555555555555" })
		end := run(l, l.acts.SubmitChangeOS, in, attempt{})
		require.NoError(l, end.err)
		assert.Contains(l, end.result.Seen, "the system disk is no longer ")
	})
}

// TestSubmitAfterAResetDoesNotBelieveAListThatLacksARun, of which it knows.
func TestSubmitAfterAResetDoesNotBelieveAListThatLacksARun(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, pastruns.Run{ID: "a", Accepted: taken(job), Before: l.was(rollout.StatusShutoff), Closed: time.Now()})
		temporal := l.acts.Temporal.(past)
		temporal.unlisted = "a"
		l.acts.Temporal = temporal
		end := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{})
		assert.ErrorContains(l, end.err, "its list trails behind and does not have run a")
		assert.Equal(l, 1, l.sent())
	})
}

// TestStopAfterAResetLeavesAnotherDiskToTheSubmission: it may be the own change that has come.
func TestStopAfterAResetLeavesAnotherDiskToTheSubmission(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		in := activities.StopIfNeededInput{ServerID: l.server.ID, Disk: "another"}
		failsWith(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err, activities.ErrForeignDisk, true)
		l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, pastruns.Run{ID: "a"})
		require.NoError(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err)
		l.cannotTell(ownRun)
		require.NoError(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err, "nobody knows")
		assert.Empty(l, l.writes("stop"))
	})
}

// TestSubmitAfterAResetDoesNotBelieveAStaleView: the job of the run before is over, and the server does not show it yet.
func TestSubmitAfterAResetDoesNotBelieveAStaleView(t *testing.T) {
	for name, test := range map[string]struct {
		fault    emulator.Fault
		platform bool // stops it
	}{
		"its job succeeded":                        {emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.LagStart, Delay: 90 * time.Second}, false},
		"its job succeeded, and it may be running": {emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.LagStart, Delay: 90 * time.Second}, true},
	} {
		t.Run(name, func(t *testing.T) {
			options := withFaults(stopped(), test.fault)
			options.Timing.ChangeOS = emulator.Span{Median: time.Minute}
			inLab(t, options, func(l *lab) {
				in := l.submission()
				in.Change.WithStopServer = test.platform
				sent := run(l, l.acts.SubmitChangeOS, in, attempt{})
				require.NoError(l, sent.err)
				time.Sleep(70 * time.Second)
				l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, pastruns.Run{ID: "a", Accepted: taken(sent.result.JobID), Before: l.was(rollout.StatusShutoff), Closed: time.Now()})
				c := persist(l, l.acts.SubmitChangeOS, in, attempt{})
				require.NoError(l, c.err)
				assert.Contains(l, c.result.Seen, "the system disk is no longer ")
				assert.Equal(l, 1, l.sent())
			})
		})
	}
}

// TestSubmitAfterAResetRemembersWhatItWasTold, so that a request which the cloud turns away does not cost another settle time.
func TestSubmitAfterAResetRemembersWhatItWasTold(t *testing.T) {
	throttled := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Throttle, Times: 1}
	for name, first := range map[string]pastruns.Run{
		"nothing comes": {ID: "a", Failed: endedWith(activities.ErrRefused, true)},
		"it settled":    {ID: "a", Submits: true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), throttled), func(l *lab) {
				first.Before, first.Closed = l.was(rollout.StatusShutoff), time.Now()
				l.remembers(pastruns.Run{ID: ownRun, First: "a", Running: true}, first)
				turned := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{})
				failsWith(l, turned.err, activities.ErrThrottled, false)
				time.Sleep(time.Minute)
				end := run(l, l.acts.SubmitChangeOS, l.submission(), attempt{number: 2, details: turned.last()})
				require.NoError(l, end.err)
				assert.NotEmpty(l, end.result.JobID)
				assert.Less(l, end.took, testTiming().Settle)
			})
		})
	}
}

// cannotTell has Temporal fail when it is asked about a run.
func (l *lab) cannotTell(runID string) {
	temporal := l.acts.Temporal.(past)
	temporal.untold = map[string]error{runID: serviceerror.NewUnavailable("down")}
	l.acts.Temporal = temporal
}
