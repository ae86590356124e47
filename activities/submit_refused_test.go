package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestSubmitRefusedWithoutProof: the tables hold the common codes only, and the same codes are used for jobs. What is in
// none of them is sent once, and the server has to tell.
func TestSubmitRefusedWithoutProof(t *testing.T) {
	slowly := stopped() // it shows nothing of the change for longer than a settle time
	slowly.Edition.RebuildView, slowly.Timing.ChangeOS = "shutoff", emulator.Span{Median: 10 * time.Minute}
	for name, test := range map[string]struct {
		cloud   emulator.Options
		faults  []emulator.Fault
		prepaid bool
		kind    string
		says    string
	}{
		"a code in no table": {
			stopped(), []emulator.Fault{{Kind: emulator.Refuse, Code: "Ecs.0205", Status: 400, Message: "something on the way"}}, false,
			api.ErrRefused, "the cloud's text is not kept: it may repeat a secret; its support finds it by the request (request",
		},
		"a page of somebody else": {
			stopped(), []emulator.Fault{{Kind: emulator.BadGatewayHTML, Status: 404}}, false,
			api.ErrRefused, "; and the server has stayed as it was for ",
		},
		"carried out": {
			stopped(), []emulator.Fault{{Kind: emulator.RefuseAfter, Code: "Ecs.0205", Status: 400}}, false,
			api.ErrInDoubt, "; but the cloud is rebuilding it",
		},
		"carried out where nobody sees it": {
			slowly, []emulator.Fault{{Kind: emulator.RefuseAfter, Code: "Ecs.0205", Status: 400}}, false,
			api.ErrInDoubt, "; but the cloud worked on it at ",
		},
		"carried out after a payment": {
			stopped(), []emulator.Fault{
				{Kind: emulator.RefuseAfter, Code: "Ecs.0205", Status: 400}, {Kind: emulator.JobStuck, Variant: emulator.VariantPendingPayment},
			}, true,
			api.ErrInDoubt, "; but it shows nothing, but the change may wait for a payment",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range test.faults {
				test.faults[i].Op = emulator.OpChangeOS
			}
			inLab(t, withFaults(test.cloud, test.faults...), func(l *lab) {
				server, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
				require.NoError(l, err)
				time.Sleep(time.Minute) // the cloud's clock shows whole seconds
				in := l.submission()
				in.Updated, in.MayAwaitPayment = server.Updated, test.prepaid
				end := run(l, l.acts.SubmitChangeOS, in, attempt{})
				failed := failsWith(l, end.err, test.kind, true)
				assert.Contains(l, failed.Message(), "the cloud refused the change of server "+l.server.ID+" for a reason that is in no table")
				assert.Contains(l, failed.Message(), test.says)
				assert.Equal(l, 1, l.sent())
			})
		})
	}
	for code, status := range map[string]int{"Ecs.0205": 400, "Pdp.0001": 403} {
		t.Run("after a doubt "+code, func(t *testing.T) {
			inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: code, Status: status}), func(l *lab) {
				end := l.submit(attempt{number: 2})
				assert.Contains(l, failsWith(l, end.err, api.ErrInDoubt, true).Message(), code)
				assert.Less(l, end.took, testTiming().Settle+testTiming().Poll, "the doubt stays: a second settle time may be more than an attempt has")
			})
		})
	}
}

// TestSubmitGivesUp: what never gets through is said to be so while that is still known. The end of the
// activity's time would be a doubt, and the server left off.
func TestSubmitGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		fault emulator.Fault
		kind  string
	}{
		"throttled":              {emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Throttle, RetryAfter: 2 * time.Minute}, api.ErrGivenUp},
		"no credentials to look": {emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Code: "APIGW.0301", Status: 401}, api.ErrCredentials},
		"no permission to look":  {emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403}, api.ErrCredentials},
		"somebody else works":    {emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0073"}, api.ErrGivenUp},
	} {
		t.Run(name, func(t *testing.T) {
			fault := test.fault
			fault.Times = -1
			inLab(t, withFaults(stopped(), fault), func(l *lab) {
				begun := time.Now()
				a := attempt{number: 1, scheduled: begun}
				var err error
				for {
					end := l.submit(a)
					if err = end.err; strings.Contains(err.Error(), "given up") {
						break
					}
					require.LessOrEqual(l, time.Since(begun), change.SubmitPatience)
					time.Sleep(2 * time.Minute)
					a = attempt{number: a.number + 1, scheduled: begun, details: end.last()}
				}
				failed := failsWith(l, err, test.kind, true)
				assert.Contains(l, failed.Message(), "nothing was accepted for server "+l.server.ID+" within 20m0s")
				assert.Zero(l, l.changes())
			})
		})
	}
	t.Run("when the next attempt would be too late", func(t *testing.T) {
		throttled := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Throttle, RetryAfter: change.SubmitPatience}
		inLab(t, withFaults(stopped(), throttled), func(l *lab) {
			failsWith(l, l.submit(attempt{scheduled: time.Now().Add(-time.Second)}).err, api.ErrGivenUp, true)
		})
	})
	t.Run("when Temporal does not confirm", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.acts.Temporal = waiting{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
			failsWith(l, l.submit(attempt{scheduled: time.Now().Add(-change.SubmitPatience)}).err, api.ErrGivenUp, true)
		})
	})
	t.Run("never after a doubt", func(t *testing.T) {
		throttled := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Throttle, Times: -1}
		inLab(t, withFaults(stopped(), throttled), func(l *lab) {
			time.Sleep(time.Hour)
			end := l.submit(attempt{number: 9, scheduled: time.Now().Add(-time.Hour), details: progress(l, change.SubmitMemory{LastCleanAttempt: 8, Settled: true})})
			failsWith(l, end.err, api.ErrThrottled, false)
			end = l.submit(attempt{number: 9, scheduled: time.Now().Add(-time.Hour)})
			failsWith(l, end.err, api.ErrThrottled, false)
		})
	})
}

// TestSubmitThroughTroubleWithLooking: nothing was sent, so it is asked again, whatever the reason.
func TestSubmitThroughTroubleWithLooking(t *testing.T) {
	for code, status := range map[string]int{"APIGW.0301": 401, "Pdp.0001": 403, "Ecs.0023": 400, "APIGW.0101": 404, "Ecs.0100": 400} {
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Code: code, Status: status}), func(l *lab) {
			c := l.persistSubmit(attempt{})
			require.NoError(l, c.err, code)
			assert.Len(l, c.attempts, 2, code)
			assert.Zero(l, c.took, "%s: a look leaves no doubt", code)
			assert.Equal(l, 1, l.changes(), code)
		})
	}
}

func TestSubmitToAServerThatIsNotFoundOnce(t *testing.T) {
	inLab(t, withFaults(stopped(), missing(3)), func(l *lab) {
		end := l.submit(attempt{})
		require.NoError(l, end.err)
		assert.Equal(l, 3*testTiming().Poll, end.took)
		assert.Equal(l, 1, l.changes())
	})
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0114", Status: 404}), func(l *lab) {
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrCloud, ""}, c.kinds())
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitOfASleepingWorker: a worker that slept has not seen what the server showed meanwhile, so its sleep
// is no part of the settle time.
func TestSubmitOfASleepingWorker(t *testing.T) {
	const sleep = 29 * time.Second
	asleep := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Latency, Delay: sleep, After: 1}
	inLab(t, withFaults(stopped(), asleep), func(l *lab) {
		end := l.submit(attempt{number: 2})
		require.NoError(l, end.err)
		counted := 2 * testTiming().Poll
		assert.Equal(l, testTiming().Settle-counted+testTiming().Poll+sleep, end.took)
	})
}

// TestTroubleWithReadingDisksIsNoLostDisk: only the cloud's own word for it is.
func TestTroubleWithReadingDisksIsNoLostDisk(t *testing.T) {
	for code, status := range map[string]int{"Ecs.0100": 400, "Ecs.0114": 404, "conflictingRequest": 409, "Pdp.0001": 403, "APIGW.0301": 401} {
		t.Run(code, func(t *testing.T) {
			inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.Refuse, Code: code, Status: status, Times: 2}), func(l *lab) {
				l.hideDisk()
				c := l.persistSubmit(attempt{})
				require.NoError(l, c.err)
				assert.Len(l, c.attempts, 3)
				assert.Equal(l, 1, l.changes())
			})
		})
	}
	t.Run("Ecs.0105", func(t *testing.T) {
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.Refuse, Code: "Ecs.0105", Status: 400, Times: -1}), func(l *lab) {
			l.hideDisk()
			failsWith(l, l.submit(attempt{}).err, api.ErrForeignDisk, true)
		})
	})
	t.Run("Ecs.0105 once", func(t *testing.T) {
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpBlockDevice, Kind: emulator.Refuse, Code: "Ecs.0105", Status: 400}), func(l *lab) {
			l.hideDisk()
			require.NoError(l, l.submit(attempt{}).err, "what the cloud says once is no evidence")
			assert.Equal(l, 1, l.changes())
		})
	})
}

// hideDisk makes a cloud whose detail of a server does not tell which disk it boots from.
func (l *lab) hideDisk() {
	l.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !l.detail(r) {
			return false
		}
		full := httptest.NewRecorder()
		l.cloud.ServeHTTP(full, r)
		without := strings.NewReplacer(`"bootIndex":"0"`, `"bootIndex":null`, `"OS-EXT-SRV-ATTR:root_device_name"`, `"x"`)
		_, _ = fmt.Fprint(w, without.Replace(full.Body.String()))
		return true
	}
}

// TestKindOfARefusal: the error holds it, and what is wrong with what was asked for is wrong for every server.
func TestKindOfARefusal(t *testing.T) {
	for code, want := range map[string]rollout.FailureKind{
		"Ecs.0314": rollout.FailureOfChange, "Ecs.0031": rollout.FailureOfChange, "Ecs.0605": rollout.FailureOfServer, "Ecs.0021": rollout.FailureOfServer,
	} {
		t.Run(code, func(t *testing.T) {
			inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: code, Status: 400}), func(l *lab) {
				failed := failsWith(l, l.submit(attempt{}).err, api.ErrRefused, true)
				var kind rollout.FailureKind
				require.NoError(l, failed.Details(&kind))
				assert.Equal(l, want, kind)
			})
		})
	}
}
