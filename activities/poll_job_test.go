package activities_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/change"
)

// changing starts a change of the lab's server and gives its job.
func (l *lab) changing() (jobID string) {
	l.Helper()
	end := l.submit(attempt{})
	require.NoError(l, end.err)
	require.NotEmpty(l, end.result.JobID)
	return end.result.JobID
}

// poll makes attempts until the end, with a deadline from now.
func (l *lab) poll(jobID string, deadline time.Duration) course[contract.PollJobResult] {
	l.Helper()
	in := contract.PollJobInput{JobID: jobID, Deadline: time.Now().Add(deadline)}
	return persist(l, l.acts.PollJob, in, attempt{})
}

func TestPollJobUntilItEnds(t *testing.T) {
	changeFault := func(kind emulator.FaultKind) emulator.Fault {
		return emulator.Fault{Op: emulator.OpChangeOS, Kind: kind}
	}
	failing := changeFault(emulator.JobFail)
	failing.Variant, failing.Code, failing.Message = emulator.VariantLost, "Ecs.0219", "no disk could be attached"
	tests := []struct {
		name   string
		faults []emulator.Fault
		end    change.JobEnd
		reason string
	}{
		{"success", nil, change.JobEndSucceeded, ""},
		{"failure, with the cloud's words", []emulator.Fault{failing}, change.JobEndFailed, "Ecs.0219: no disk could be attached"},
		{"the server vanishes", []emulator.Fault{changeFault(emulator.Vanish)}, change.JobEndFailed, "Ecs.0614: The server does not exist."},
		{"forgotten", []emulator.Fault{changeFault(emulator.JobForgotten)}, change.JobEndForgotten, "the cloud no longer knows its job"},
		{"overdue", []emulator.Fault{changeFault(emulator.JobStuck)}, change.JobEndOverdue, "the job is still RUNNING"},
	}
	for _, shape := range []string{"flat", "sub_jobs"} {
		for _, status := range []string{"400", "404"} {
			for _, test := range tests {
				t.Run(shape+"/"+status+"/"+test.name, func(t *testing.T) {
					options := withFaults(stopped(), test.faults...)
					options.Edition.JobShape, options.Edition.UnknownJob = shape, status
					inLab(t, options, func(l *lab) {
						const deadline = 8 * time.Minute
						c := l.poll(l.changing(), deadline)
						require.NoError(l, c.err)
						assert.Equal(l, test.end, c.result.End)
						assert.Contains(l, c.result.Reason, test.reason)
						if test.reason == "" {
							assert.Empty(l, c.result.Reason)
						}
						if test.end == change.JobEndOverdue {
							assert.Equal(l, deadline, c.took)
						}
						if test.end == change.JobEndSucceeded {
							assert.Equal(l, "RUNNING", read[api.PollProgress](l, c.last()).Status)
						}
					})
				})
			}
		}
	}
}

// TestAutoPayPays what an image costs extra. Without it the job waits for somebody who does.
func TestAutoPayPays(t *testing.T) {
	for autoPay, end := range map[bool]change.JobEnd{true: change.JobEndSucceeded, false: change.JobEndOverdue} {
		options := emulator.Options{
			Images: []emulator.Image{{Name: emulator.CurrentImageName}, {Name: emulator.TargetImageName, Fee: true}},
			Fleet:  []emulator.Server{{Name: "one", Status: "SHUTOFF", ChargingMode: "1"}},
		}
		inLab(t, options, func(l *lab) {
			in := l.submission()
			in.Change.AutoPay = new(autoPay)
			sent := run(l, l.acts.SubmitChangeOS, in, attempt{})
			require.NoError(l, sent.err)
			c := l.poll(sent.result.JobID, 5*time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, end, c.result.End)
			if !autoPay {
				assert.Contains(l, c.result.Reason, "PENDING_PAYMENT")
			}
		})
	}
}

// TestPollJobAfterADay: finished jobs are deleted after a day.
func TestPollJobAfterADay(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		job := l.changing()
		time.Sleep(26 * time.Hour)
		c := l.poll(job, time.Hour)
		require.NoError(l, c.err)
		assert.Equal(l, change.JobEndForgotten, c.result.End)
	})
}

// TestPollJobPastItsDeadline: one look is taken in any case, so a job that is over counts.
func TestPollJobPastItsDeadline(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		job := l.changing()
		c := l.poll(job, -time.Minute)
		require.NoError(l, c.err)
		assert.Equal(l, change.JobEndOverdue, c.result.End)
		time.Sleep(5 * time.Minute)
		c = l.poll(job, -time.Minute)
		require.NoError(l, c.err)
		assert.Equal(l, change.JobEndSucceeded, c.result.End)
		assert.Zero(l, c.took)
	})
}

// TestPollJobUnknownStatusIsNotFinal: neither a status nobody knows nor an order that waits for payment
// ends the wait; only SUCCESS, FAIL and the deadline do.
func TestPollJobUnknownStatusIsNotFinal(t *testing.T) {
	for status, says := range map[string]string{
		"PENDING_PAYMENT":   "PENDING_PAYMENT: pay its order in the cloud's console, or cancel it there and say so with reimage server forget ID, before the server is tried again",
		"FROZEN_FOR_REVIEW": "FROZEN_FOR_REVIEW", "CANCELLED": "CANCELLED",
	} {
		for name, until := range map[string]time.Duration{"for a while": 5 * time.Minute, "for ever": time.Hour} {
			t.Run(status+" "+name, func(t *testing.T) {
				inLab(t, stopped(), func(l *lab) {
					begun := time.Now()
					l.answer = func(w http.ResponseWriter, r *http.Request) bool {
						at := strings.LastIndex(r.URL.Path, "/jobs/")
						if at < 0 || time.Since(begun) >= until {
							return false
						}
						_, _ = fmt.Fprintf(w, `{"job_id":%q,"status":%q}`, r.URL.Path[at+len("/jobs/"):], status)
						return true
					}
					c := l.poll(l.changing(), 8*time.Minute)
					require.NoError(l, c.err)
					if until > 8*time.Minute {
						assert.Equal(l, contract.PollJobResult{End: change.JobEndOverdue, Status: status, Reason: "the job is still " + says}, c.result)
						return
					}
					assert.Equal(l, change.JobEndSucceeded, c.result.End)
					assert.GreaterOrEqual(l, c.took, until)
				})
			})
		}
	}
}

// TestPollJobThroughTrouble: a question that fails is asked again by the next attempt, whatever the reason. A
// server that has given up its disk is not given up because nobody may ask.
func TestPollJobThroughTrouble(t *testing.T) {
	tests := []struct {
		fault emulator.Fault
		kind  string
	}{
		{emulator.Fault{Kind: emulator.ServerError}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.BadGatewayHTML}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.HangBefore}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.CutBody}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.Refuse, Code: "Common.0025", Status: 400}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.Throttle, RetryAfter: 7 * time.Second}, api.ErrThrottled},
		{emulator.Fault{Kind: emulator.Throttle1503, Status: 503}, api.ErrThrottled},
		{emulator.Fault{Kind: emulator.Refuse, Code: "APIGW.0301", Status: 401}, api.ErrCredentials},
		{emulator.Fault{Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403}, api.ErrCredentials},
		{emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.9999", Status: 403}, api.ErrCloud},
		{emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0023", Status: 400}, api.ErrCloud},
		// The gateway's 404 is about the address and does not mean a forgotten job.
		{emulator.Fault{Kind: emulator.Refuse, Code: "APIGW.0101", Status: 404}, api.ErrCloud},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.fault.Kind, test.fault.Code), func(t *testing.T) {
			test.fault.Op, test.fault.After = emulator.OpJob, 2
			inLab(t, withFaults(stopped(), test.fault), func(l *lab) {
				c := l.poll(l.changing(), 8*time.Minute)
				assert.Equal(l, []string{test.kind, ""}, c.kinds())
				assert.Equal(l, change.JobEndSucceeded, c.result.End)
			})
		})
	}
}

// TestPollJobOfWhichTheCloudDoesNotTell: nobody has published how the cloud speaks of a job that it has deleted. What it
// says about the job may be all that it will ever say, so the server has to tell; what it says about whoever asks may
// be mended.
func TestPollJobOfWhichTheCloudDoesNotTell(t *testing.T) {
	for code, says := range map[string]string{"Common.0021": "the cloud does not tell of its job: ", "Pdp.0001": ""} {
		t.Run(code, func(t *testing.T) {
			status, kind := 400, api.ErrCloud
			if says == "" {
				status, kind = 403, api.ErrCredentials
			}
			inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpJob, Kind: emulator.Refuse, Code: code, Status: status, Times: -1}), func(l *lab) {
				job := l.changing()
				before := l.poll(job, time.Minute)
				assert.Equal(l, kind, before.kinds()[0], "the change may not be over")
				if says == "" {
					assert.Error(l, before.err, "it is asked for again and again")
					return
				}
				require.NoError(l, before.err)
				assert.Equal(l, change.JobEndOverdue, before.result.End)
				assert.Contains(l, before.result.Reason, says)
				assert.Contains(l, before.result.Reason, code)
			})
		})
	}
}

func TestPollJobHandsBackToAnotherWorker(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		job := l.changing()
		stop := make(chan struct{})
		l.after(5*time.Second, func() { close(stop) })
		in := contract.PollJobInput{JobID: job, Deadline: time.Now().Add(time.Hour)}
		failsWith(l, run(l, l.acts.PollJob, in, attempt{stop: stop}).err, api.ErrWorkerStopping, false)
	})
}

// TestPollJobOnceTakesNoPageForAWord: a proxy's 404 says nothing about the job.
func TestPollJobOnceTakesNoPageForAWord(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := contract.PollJobInput{JobID: l.changing(), Deadline: time.Now()}
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/jobs/") {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte("<html>not here</html>"))
				return true
			}
			return false
		}
		assert.Error(l, run(l, l.acts.PollJob, in, attempt{}).err)
		in.Deadline = time.Now().Add(time.Hour)
		end := run(l, l.acts.PollJob, in, attempt{})
		require.NoError(l, end.err)
		assert.Equal(l, change.JobEndForgotten, end.result.End, "the server is watched")
	})
}

// TestPollJobOnceLearnsNothing: who asks once for a job that ended long ago does not know how long it took, and the next
// change is not asked for as if it took no time.
func TestPollJobOnceLearnsNothing(t *testing.T) {
	asks := func(t *testing.T, first bool) (asked int) {
		inLab(t, stopped(), func(l *lab) {
			job := l.changing()
			if first {
				time.Sleep(time.Hour)
				c := l.poll(job, 0)
				require.NoError(l, c.err)
				require.Equal(l, change.JobEndSucceeded, c.result.End)
				l.update(func(s *emulator.Server) { s.Status = "SHUTOFF" })
				l.server, _ = l.cloud.Server(l.server.ID)
				job = l.changing()
			}
			l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/jobs/") {
					asked++
				}
				return false
			}
			require.NoError(l, l.poll(job, time.Hour).err)
		})
		return asked
	}
	assert.Equal(t, asks(t, false), asks(t, true))
}

// TestPollJobAsksAgain: one answer that the job is not known does not end the wait.
func TestPollJobAsksAgain(t *testing.T) {
	unknown := emulator.Fault{Op: emulator.OpJob, Kind: emulator.JobForgotten, Times: 2}
	inLab(t, withFaults(stopped(), unknown), func(l *lab) {
		c := l.poll(l.changing(), 8*time.Minute)
		require.NoError(l, c.err)
		assert.Equal(l, change.JobEndSucceeded, c.result.End)
	})
}
