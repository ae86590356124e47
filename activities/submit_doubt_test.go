package activities_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// The tests of this file are the table "Looking before sending" of docs/never-twice.md.

// TestSubmitInDoubtSendsNothing: a server that shows any sign of an accepted change is not sent to.
func TestSubmitInDoubtSendsNothing(t *testing.T) {
	tests := []struct {
		name   string
		change func(*emulator.Server)
		seen   string
		took   time.Duration
	}{
		{"rebuilding", func(s *emulator.Server) { s.TaskState = "rebuilding" }, "the cloud is rebuilding it (status REBUILD, task rebuilding)", 0},
		{"a later task of a rebuild", func(s *emulator.Server) { s.TaskState = "rebuild_spawning" }, "the cloud is rebuilding it (status REBUILD, task rebuild_spawning)", 0},
		{"new disk", func(s *emulator.Server) { s.SystemVolumeID = "11111111-2222-4333-8444-555555555555" }, "the system disk is no longer ", 0},
		{"new disk and running", func(s *emulator.Server) {
			s.SystemVolumeID, s.Status = "11111111-2222-4333-8444-555555555555", "ACTIVE"
		}, "the system disk is no longer ", 0},
		{"no disk", func(s *emulator.Server) { s.SystemVolumeID = "" }, "the system disk is no longer ", 0},
		{"failed", func(s *emulator.Server) { s.Status = "ERROR" }, "its status is ERROR", 0},
		{"running", func(s *emulator.Server) { s.Status = "ACTIVE" }, "its status is ACTIVE", testTiming().Settle},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.update(test.change)
				end := l.submit(attempt{number: 2})
				require.NoError(l, end.err)
				assert.Contains(l, end.result.Seen, test.seen)
				assert.Empty(l, end.result.JobID)
				assert.Equal(l, test.took, end.took)
				assert.Zero(l, l.sent())
			})
		})
		t.Run(test.name+" while it settles", func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.after(testTiming().Settle-time.Second, func() { l.update(test.change) })
				end := l.submit(attempt{number: 2})
				require.NoError(l, end.err)
				assert.Contains(l, end.result.Seen, test.seen)
				assert.Zero(l, l.sent())
			})
		})
	}
	t.Run("gone", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			require.NoError(l, l.cloud.Delete(l.server.ID))
			end := l.submit(attempt{number: 2})
			require.NoError(l, end.err)
			assert.Equal(l, "the server is gone", end.result.Seen)
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
			assert.Zero(l, l.sent())
		})
	})
	t.Run("not found for a while", func(t *testing.T) {
		inLab(t, withFaults(stopped(), missing(3)), func(l *lab) {
			end := l.submit(attempt{number: 2})
			require.NoError(l, end.err)
			assert.NotEmpty(l, end.result.JobID, "it is no sign")
			assert.GreaterOrEqual(l, end.took, 3*testTiming().Poll+testTiming().Settle)
			assert.Equal(l, 1, l.changes())
		})
	})
}

// TestSubmitSettlesUnlessTheLastAttemptWasClean: the note of a clean end names its attempt.
func TestSubmitSettlesUnlessTheLastAttemptWasClean(t *testing.T) {
	tests := []struct {
		name    string
		attempt int32
		details *change.SubmitMemory
		settles bool
	}{
		{"first attempt", 1, nil, false},
		{"a killed worker leaves no heartbeat", 2, nil, true},
		{"an unclean end", 2, &change.SubmitMemory{Phase: "sending the change"}, true},
		{"a clean end", 2, &change.SubmitMemory{LastCleanAttempt: 1}, false},
		{"a clean end of an older attempt", 3, &change.SubmitMemory{LastCleanAttempt: 1}, true},
		{"a clean end of a later one", 3, &change.SubmitMemory{LastCleanAttempt: 2}, false},
		{"a mark from the future", 3, &change.SubmitMemory{LastCleanAttempt: 3}, true},
		{"reset by hand", 1, &change.SubmitMemory{Phase: "sending the change"}, true},
		{"reset by hand after a clean end", 1, &change.SubmitMemory{LastCleanAttempt: 2}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				a := attempt{number: test.attempt}
				if test.details != nil {
					a.details = progress(l, *test.details)
				}
				end := l.submit(a)
				require.NoError(l, end.err)
				assert.NotEmpty(l, end.result.JobID)
				assert.Equal(l, 1, l.changes())
				if !test.settles {
					assert.Zero(l, end.took)
					return
				}
				assert.GreaterOrEqual(l, end.took, testTiming().Settle)
				assert.Less(l, end.took, testTiming().Settle+testTiming().Poll)
			})
		})
	}
	t.Run("a heartbeat that cannot be read", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			end := l.submit(attempt{number: 2, details: progress(l, "not of this version")})
			require.NoError(l, end.err)
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
		})
	})
}

// TestSubmitSettlesFromTheLastSign: what the server shows has to stay the same, at rest, for the whole time.
func TestSubmitSettlesFromTheLastSign(t *testing.T) {
	for name, busy := range map[string]struct{ from, to time.Duration }{
		"busy for a while":                   {95 * time.Second, 125 * time.Second},
		"busy for longer than a settle time": {5 * time.Second, 305 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				// Somebody starts the server in vain: a busy server is no sign, and no rest either.
				l.after(busy.from, func() { l.update(func(s *emulator.Server) { s.TaskState = "powering-on" }) })
				l.after(busy.to, func() { l.update(func(s *emulator.Server) { s.TaskState = "" }) })
				end := l.submit(attempt{number: 2})
				require.NoError(l, end.err)
				assert.GreaterOrEqual(l, end.took, busy.to+testTiming().Settle)
				assert.Equal(l, 1, l.changes())
			})
		})
	}
}

// TestSubmitSettlesAgainAfterEachDoubt: three lost requests cost three settle times and one change.
func TestSubmitSettlesAgainAfterEachDoubt(t *testing.T) {
	lost := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropBefore, Times: 3}
	inLab(t, withFaults(stopped(), lost), func(l *lab) {
		begun := time.Now()
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrInDoubt, api.ErrInDoubt, api.ErrInDoubt, ""}, c.kinds())
		assert.Equal(l, 4, l.sent())
		require.Len(l, l.writes(emulator.OpChangeOS), 1)
		assert.GreaterOrEqual(l, l.writes(emulator.OpChangeOS)[0].Time.Sub(begun), 3*testTiming().Settle)
	})
}

// TestSubmitTroubleWhileSettling: a question that fails leaves the doubt.
func TestSubmitTroubleWhileSettling(t *testing.T) {
	trouble := emulator.Fault{Op: emulator.OpServer, Kind: emulator.ServerError, After: 5}
	inLab(t, withFaults(stopped(), trouble), func(l *lab) {
		c := l.persistSubmit(attempt{number: 2})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrCloud, ""}, c.kinds())
		assert.GreaterOrEqual(l, c.took, testTiming().Settle, "the second attempt settles from the beginning")
		assert.Equal(l, 1, l.changes())
	})
}

// hidden is a cloud that shows nothing of a change until the disk is swapped, after nine minutes.
func hidden(busyCode string, faults ...emulator.Fault) emulator.Options {
	options := withFaults(stopped(), faults...)
	options.Edition = emulator.Edition{RebuildView: "shutoff", BusyCode: busyCode}
	options.Timing.ChangeOS = emulator.Span{Median: 20 * time.Minute}
	return options
}

// TestSubmitBusyAfterDoubt: a server that shows nothing and is yet busy has accepted the first request.
func TestSubmitBusyAfterDoubt(t *testing.T) {
	for _, code := range []string{"Ecs.0603", "Ecs.0100"} {
		t.Run(code, func(t *testing.T) {
			inLab(t, hidden(code, emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropAfter}), func(l *lab) {
				c := l.persistSubmit(attempt{})
				require.NoError(l, c.err)
				kinds := c.kinds()
				require.Greater(l, len(kinds), 2)
				for _, kind := range kinds[:len(kinds)-1] {
					assert.Equal(l, api.ErrInDoubt, kind)
				}
				assert.Contains(l, c.attempts[1].Error(), "was refused as busy: the request may have been delivered twice")
				assert.Contains(l, c.result.Seen, "the system disk is no longer")
				assert.Equal(l, 1, l.changes())
			})
		})
	}
}

// TestSubmitRefusedAfterDoubt: after a doubt no refusal proves that the disk was not touched.
func TestSubmitRefusedAfterDoubt(t *testing.T) {
	inLab(t, withFaults(stopped(),
		emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropBefore},
		emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0005"},
	), func(l *lab) {
		c := l.persistSubmit(attempt{})
		assert.Equal(l, []string{api.ErrInDoubt, api.ErrInDoubt}, c.kinds())
		failsWith(l, c.err, api.ErrInDoubt, true)
	})
}

// TestSubmitLateSignAfterDoubt: the settled request shows itself after all, between two clean attempts.
// The server was not changed by somebody else then, and its disk may not be called untouched.
func TestSubmitLateSignAfterDoubt(t *testing.T) {
	inLab(t, hidden("", emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.DropAfter},
		emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Throttle, RetryAfter: 15 * time.Minute},
	), func(l *lab) {
		c := l.persistSubmit(attempt{})
		assert.Equal(l, []string{api.ErrInDoubt, api.ErrThrottled, api.ErrInDoubt}, c.kinds())
		failsWith(l, c.err, api.ErrInDoubt, true)
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitAfterASettledDoubt: a settled request may be why the server is no longer as it was, so nothing
// is sent, and nothing is proven about the old disk.
func TestSubmitAfterASettledDoubt(t *testing.T) {
	settled := change.SubmitMemory{LastCleanAttempt: 2, Settled: true}
	for name, change := range map[string]func(*emulator.Server){
		"failed":  func(s *emulator.Server) { s.Status = "ERROR" },
		"running": func(s *emulator.Server) { s.Status = "ACTIVE" },
		"no disk": func(s *emulator.Server) { s.SystemVolumeID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.update(change)
				failsWith(l, l.submit(attempt{number: 3, details: progress(l, settled)}).err, api.ErrInDoubt, true)
				assert.Zero(l, l.sent())
			})
		})
	}
}

// TestSubmitInDoubtWithPlatformStop: with withStopServer a running server is one that may be sent to,
// and it settles like a stopped one.
func TestSubmitInDoubtWithPlatformStop(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		in := l.submission()
		in.Change.WithStopServer = true
		end := run(l, l.acts.SubmitChangeOS, in, attempt{number: 2})
		require.NoError(l, end.err)
		assert.NotEmpty(l, end.result.JobID)
		assert.GreaterOrEqual(l, end.took, testTiming().Settle)
		assert.Equal(l, 1, l.changes())

		time.Sleep(10 * time.Minute)
		after, _ := l.cloud.Server(l.server.ID)
		assert.Equal(l, rollout.StatusActive, after.Status)
	})
}

// TestSubmitCredentialsRevokedAfterDoubt: the cloud's refusal to answer says nothing about the disk, and
// credentials get renewed.
func TestSubmitCredentialsRevokedAfterDoubt(t *testing.T) {
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0301", Times: 2}), func(l *lab) {
		c := l.persistSubmit(attempt{number: 2})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrCredentials, api.ErrCredentials, ""}, c.kinds())
		assert.GreaterOrEqual(l, c.took, testTiming().Settle, "the doubt is left")
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitLooksOnceMore: what has come to nothing between the last look of the settling and that before the request
// is known, too.
func TestSubmitLooksOnceMore(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		server, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
		require.NoError(l, err)
		in := l.submission()
		in.Updated = server.Updated
		begun, late := time.Now(), 0
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || time.Since(begun) < testTiming().Settle {
				return false
			}
			if late++; late == 1 {
				return false
			}
			seen := httptest.NewRecorder()
			l.cloud.ServeHTTP(seen, r)
			maps.Copy(w.Header(), seen.Header())
			w.Header().Del("Content-Length")
			_, _ = w.Write(bytes.ReplaceAll(seen.Body.Bytes(), []byte(server.Updated), []byte("2040-01-01T00:00:00Z")))
			return true
		}
		end := run(l, l.acts.SubmitChangeOS, in, attempt{number: 2})
		require.NoError(l, end.err)
		assert.Contains(l, end.result.Seen, "the cloud worked on it at 2040-01-01T00:00:00Z")
		assert.Zero(l, l.changes())
		assert.GreaterOrEqual(l, late, 2)
	})
}

// TestSubmitKnowsAChangeThatCameToNothing: it was accepted, its answer lost, and it failed before anybody looked
// again. The server looks as if nothing had been, but for the time at which the cloud last worked on it.
func TestSubmitKnowsAChangeThatCameToNothing(t *testing.T) {
	for _, view := range []string{"rebuild", "shutoff"} {
		t.Run(view, func(t *testing.T) {
			options := withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: emulator.VariantIntact})
			options.Edition.RebuildView = view
			inLab(t, options, func(l *lab) {
				server, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
				require.NoError(l, err)
				in := l.submission()
				in.Updated = server.Updated
				time.Sleep(time.Minute) // the cloud's clock shows whole seconds
				require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, "its worker was killed before anybody was told")
				time.Sleep(10 * time.Minute)

				end := run(l, l.acts.SubmitChangeOS, in, attempt{number: 2})
				require.NoError(l, end.err)
				assert.Contains(l, end.result.Seen, "the cloud worked on it at ")
				assert.Equal(l, 1, l.changes())

				in.Updated = ""
				end = run(l, l.acts.SubmitChangeOS, in, attempt{number: 2})
				assert.NoError(l, end.err)
				assert.Equal(l, 2, l.changes(), "without that time nobody can know")
			})
		})
	}
}

// TestSubmitSendsNoSecondOrder: an order that waits for its payment does not show on the server at all.
func TestSubmitSendsNoSecondOrder(t *testing.T) {
	for _, mayWait := range []bool{true, false} {
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck, Variant: emulator.VariantPendingPayment}), func(l *lab) {
			in := l.submission()
			in.MayAwaitPayment = mayWait
			require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
			end := run(l, l.acts.SubmitChangeOS, in, attempt{number: 2})
			require.NoError(l, end.err)
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
			assert.Equal(l, mayWait, l.changes() == 1)
		})
	}
}

// TestSubmitRepeated: a gateway delivers the request twice and shows the second answer, "busy". Whatever becomes of the
// first job, no second change is accepted, and what the server shows is taken for the own change.
func TestSubmitRepeated(t *testing.T) {
	repeat := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Repeat}
	for name, test := range map[string]struct {
		busyCode string
		faults   []emulator.Fault
		seen     string
	}{
		"its job succeeds":                {"Ecs.0603", nil, "the cloud is rebuilding it"},
		"its job succeeds, Ecs.0100":      {"Ecs.0100", nil, "the cloud is rebuilding it"},
		"its job fails and leaves a mark": {"Ecs.0603", []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail}}, "the cloud worked on it at "},
	} {
		t.Run(name, func(t *testing.T) {
			options := withFaults(stopped(), append(test.faults, repeat)...)
			options.Edition.BusyCode = test.busyCode
			if test.faults != nil {
				options.Timing.ChangeOS = emulator.Span{Median: 10 * time.Second} // over before the next look
			}
			inLab(t, options, func(l *lab) {
				time.Sleep(time.Minute) // the cloud's clock shows whole seconds
				in := l.submission()
				in.Updated = l.server.Updated.UTC().Format(time.RFC3339)
				c := persist(l, l.acts.SubmitChangeOS, in, attempt{})
				require.NoError(l, c.err)
				assert.Equal(l, []string{api.ErrInDoubt, ""}, c.kinds())
				assert.Contains(l, c.result.Seen, test.seen)
				assert.Empty(l, c.result.JobID)
				assert.Equal(l, 1, l.changes())
				assert.Equal(l, 1, l.sent())
			})
		})
	}
}

// TestSubmitBelievesNoOldView: a view that goes back within the lag is no evidence, neither against sending nor that an
// earlier request was accepted.
func TestSubmitBelievesNoOldView(t *testing.T) {
	old := emulator.Fault{Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 3}
	for name, from := range map[string]attempt{"before the first request": {}, "after a lost one": {number: 2}} {
		t.Run(name, func(t *testing.T) {
			inLab(t, withFaults(running(), old), func(l *lab) {
				require.NoError(l, l.cloud.Update(l.server.ID, func(s *emulator.Server) { s.Status = "SHUTOFF" }))
				time.Sleep(time.Minute)
				now, _ := l.cloud.Server(l.server.ID)
				in := l.submission()
				in.Updated = now.Updated.UTC().Format(time.RFC3339)
				end := run(l, l.acts.SubmitChangeOS, in, from)
				require.NoError(l, end.err)
				assert.NotEmpty(l, end.result.JobID, end.result.Seen)
				assert.Equal(l, 1, l.changes())
			})
		})
	}
	t.Run("one that stays is true", func(t *testing.T) {
		inLab(t, running(), func(l *lab) {
			end := l.submit(attempt{})
			assert.Contains(l, failsWith(l, end.err, api.ErrRefused, true).Message(), "is ACTIVE although it was stopped for the change")
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
			assert.Zero(l, l.sent())
		})
	})
}
