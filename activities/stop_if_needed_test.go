package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// stop makes one attempt.
func (l *lab) stop(a attempt, allowHard bool) ended[contract.StopIfNeededResult] {
	l.Helper()
	return run(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID, AllowHard: allowHard}, a)
}

// isStopped checks the truth behind the cloud's view: stopped, with nothing under way.
func (l *lab) isStopped() {
	l.Helper()
	now, ok := l.cloud.Server(l.server.ID)
	require.True(l, ok)
	assert.Equal(l, rollout.StatusShutoff, now.Status)
	assert.Empty(l, now.TaskState)
}

func TestStopLeavesAStoppedServerAlone(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		end := l.stop(attempt{}, true)
		require.NoError(l, end.err)
		assert.Equal(l, rollout.StatusShutoff, end.result.Status)
		assert.Zero(l, end.took)
		assert.Empty(l, l.writes(emulator.OpStop))
	})
}

// TestStopLeavesAFailedServerAlone: a server in ERROR may be changed as it is, and cannot be stopped.
func TestStopLeavesAFailedServerAlone(t *testing.T) {
	inLab(t, fleetOf(emulator.Server{Name: "one", Status: "ERROR"}), func(l *lab) {
		end := l.stop(attempt{}, true)
		require.NoError(l, end.err)
		assert.Equal(l, rollout.StatusError, end.result.Status)
		assert.Empty(l, l.writes(emulator.OpStop))
	})
}

// TestStopWaitsForTheServer: not the job's SUCCESS but SHUTOFF with nothing under way ends the wait, also
// when the server view trails behind the job.
func TestStopWaitsForTheServer(t *testing.T) {
	lag := emulator.Fault{Op: emulator.OpStop, Kind: emulator.Lag, Delay: 80 * time.Second}
	atRest := emulator.Fault{Op: emulator.OpStop, Kind: emulator.LagStart, Delay: 80 * time.Second} // shows nothing of the stop
	for name, options := range map[string]emulator.Options{
		"in time": running(), "lag": withFaults(running(), lag), "lag that shows a server at rest": withFaults(running(), atRest),
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, options, func(l *lab) {
				end := l.stop(attempt{}, false)
				require.NoError(l, end.err)
				assert.Equal(l, rollout.StatusShutoff, end.result.Status)
				assert.Len(l, l.writes(emulator.OpStop), 1)
				assert.Equal(l, 1, l.cloud.Ledger().Requests["POST /v1/{project_id}/cloudservers/action"], "asked once")
				l.isStopped()
				if name == "lag" {
					assert.Greater(l, end.took, 80*time.Second)
				}
			})
		})
	}
}

// TestStopAdoptsTheJobOfTheLastAttempt: a worker is killed while the guest shuts down.
func TestStopAdoptsTheJobOfTheLastAttempt(t *testing.T) {
	options := running()
	options.Timing.Stop = emulator.Span{Median: 2 * time.Minute}
	inLab(t, options, func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(45*time.Second, cancel)
		killed := l.stop(attempt{ctx: ctx}, false)
		require.Error(l, killed.err)
		job := l.writes(emulator.OpStop)[0].JobID
		assert.Equal(l, job, read[change.PowerMemory](l, killed.last()).JobID)

		next := l.stop(attempt{number: 2, details: killed.last()}, false)
		require.NoError(l, next.err)
		assert.Equal(l, job, read[change.PowerMemory](l, next.first()).JobID, "adopted, not asked again")
		assert.Len(l, l.writes(emulator.OpStop), 1)
		l.isStopped()
	})
}

// TestStopAdoptsTheDeadlineOfTheLastAttempt: the time for the guest counts from the first request, not
// from the last attempt.
func TestStopAdoptsTheDeadlineOfTheLastAttempt(t *testing.T) {
	inLab(t, deaf(), func(l *lab) {
		begun := time.Now()
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(4*time.Minute, cancel)
		killed := l.stop(attempt{ctx: ctx}, false)
		end := l.stop(attempt{number: 2, details: killed.last()}, false)
		failsWith(l, end.err, api.ErrOverdue, true)
		assert.Less(l, time.Since(begun), testTiming().SoftStop+time.Minute)
	})
}

// deaf is a running server whose guest ignores the shutdown, and a platform that is slow to force it.
func deaf() emulator.Options {
	options := fleetOf(emulator.Server{Name: "one", IgnoresACPI: true})
	options.Timing.GuestTimeout = time.Hour
	return options
}

func TestStopOfADeafGuest(t *testing.T) {
	t.Run("soft only", func(t *testing.T) {
		inLab(t, deaf(), func(l *lab) {
			end := l.stop(attempt{}, false)
			failed := failsWith(l, end.err, api.ErrOverdue, true)
			assert.Contains(l, failed.Message(), l.server.ID)
			assert.Contains(l, failed.Message(), "status ACTIVE")
			assert.Contains(l, failed.Message(), "allow a hard stop")
			assert.Greater(l, end.took, testTiming().SoftStop)
			assert.Len(l, l.writes(emulator.OpStop), 1)
		})
	})
	t.Run("hard allowed", func(t *testing.T) {
		inLab(t, deaf(), func(l *lab) {
			begun := time.Now()
			end := l.stop(attempt{}, true)
			require.NoError(l, end.err)
			stops := l.writes(emulator.OpStop)
			require.Len(l, stops, 2)
			assert.Greater(l, stops[1].Time.Sub(begun), testTiming().SoftStop, "the guest gets its time first")
			l.isStopped()
		})
	})
	t.Run("hard refused while the soft one runs", func(t *testing.T) {
		options := deaf()
		options.Timing.GuestTimeout = 8 * time.Minute
		options.Edition.NoHardOverSoft = true
		inLab(t, options, func(l *lab) {
			require.NoError(l, l.stop(attempt{}, true).err)
			assert.Len(l, l.writes(emulator.OpStop), 1, "the platform forced the soft one in the end")
			l.isStopped()
		})
	})
}

// TestStopOfADeafGuestWhoseAnswerWasLost: without a job id the guest's time runs from the first sight of
// the power-off.
func TestStopOfADeafGuestWhoseAnswerWasLost(t *testing.T) {
	lost := emulator.Fault{Op: emulator.OpStop, Kind: emulator.DropAfter, Times: 1}
	t.Run("soft only", func(t *testing.T) {
		inLab(t, withFaults(deaf(), lost), func(l *lab) {
			end := l.stop(attempt{}, false)
			failsWith(l, end.err, api.ErrOverdue, true)
			assert.Greater(l, end.took, testTiming().SoftStop)
			assert.Len(l, l.writes(emulator.OpStop), 1)
		})
	})
	t.Run("hard allowed", func(t *testing.T) {
		inLab(t, withFaults(deaf(), lost), func(l *lab) {
			require.NoError(l, l.stop(attempt{}, true).err)
			assert.Len(l, l.writes(emulator.OpStop), 2)
			l.isStopped()
		})
	})
}

func TestStopWhoseJobFails(t *testing.T) {
	fail := emulator.Fault{Op: emulator.OpStop, Kind: emulator.JobFail, Code: "Ecs.0219", Message: "the host does not answer"}
	t.Run("soft only", func(t *testing.T) {
		inLab(t, withFaults(running(), fail), func(l *lab) {
			failed := failsWith(l, l.stop(attempt{}, false).err, api.ErrRefused, true)
			assert.Contains(l, failed.Message(), "the host does not answer")
			assert.Contains(l, failed.Message(), l.server.ID)
			assert.Len(l, l.writes(emulator.OpStop), 1)
		})
	})
	t.Run("hard allowed", func(t *testing.T) {
		inLab(t, withFaults(running(), fail), func(l *lab) {
			require.NoError(l, l.stop(attempt{}, true).err)
			assert.Len(l, l.writes(emulator.OpStop), 2)
			l.isStopped()
		})
	})
	t.Run("hard fails too", func(t *testing.T) {
		fail := fail
		fail.Times = -1
		inLab(t, withFaults(running(), fail), func(l *lab) {
			failsWith(l, l.stop(attempt{}, true).err, api.ErrRefused, true)
			assert.Len(l, l.writes(emulator.OpStop), 2)
		})
	})
}

// TestStopRefusedForAReasonInNoTable: such a refusal is asked for once. What it was worth, the server tells.
func TestStopRefusedForAReasonInNoTable(t *testing.T) {
	refused := emulator.Fault{Op: emulator.OpStop, Kind: emulator.Refuse, Code: "Ecs.9999", Times: -1}
	t.Run("hard", func(t *testing.T) {
		refused := refused
		refused.After = 1
		inLab(t, withFaults(deaf(), refused), func(l *lab) {
			end := l.stop(attempt{}, true)
			assert.Contains(l, failsWith(l, end.err, api.ErrRefused, true).Message(), "Ecs.9999")
			assert.Equal(l, 2, l.cloud.Ledger().Requests["POST /v1/{project_id}/cloudservers/action"], "one soft, one hard")
			assert.Less(l, end.took, testTiming().SoftStop+testTiming().Settle+time.Minute)
		})
	})
	t.Run("soft, and carried out", func(t *testing.T) {
		refused := refused
		refused.Kind, refused.Times = emulator.RefuseAfter, 1
		fails := emulator.Fault{Op: emulator.OpStop, Kind: emulator.JobFail, After: 1, Message: "the host does not answer"}
		inLab(t, withFaults(deaf(), refused, fails), func(l *lab) {
			failed := failsWith(l, l.stop(attempt{}, true).err, api.ErrRefused, true)
			assert.Contains(l, failed.Message(), "the host does not answer", "the refusal is past")
			assert.Len(l, l.writes(emulator.OpStop), 2)
		})
	})
}

// TestStopUnderFaults: stopping twice is harmless, so a lost answer is settled by looking again.
func TestStopUnderFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault emulator.Fault
		stops int
		kinds []string
	}{
		{"reset before", emulator.Fault{Kind: emulator.DropBefore}, 1, []string{""}},
		{"reset after", emulator.Fault{Kind: emulator.DropAfter}, 1, []string{""}},
		{"silence after", emulator.Fault{Kind: emulator.HangAfter}, 1, []string{""}},
		{"cut answer", emulator.Fault{Kind: emulator.CutBody}, 1, []string{""}},
		{"page after", emulator.Fault{Kind: emulator.BadGatewayAfter}, 1, []string{""}},
		{"no job id", emulator.Fault{Kind: emulator.NoJobID}, 1, []string{""}},
		{"error 500", emulator.Fault{Kind: emulator.ServerError}, 1, []string{""}},
		{"throttled", emulator.Fault{Kind: emulator.Throttle, RetryAfter: 7 * time.Second}, 1, []string{api.ErrThrottled, ""}},
		{"busy", emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0603"}, 1, []string{""}},
		{"locked", emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0605"}, 0, []string{api.ErrRefused}},
		{"locked, 403", emulator.Fault{Kind: emulator.Refuse, Code: "Ecs.0605", Status: 403}, 0, []string{api.ErrRefused}},
		{"a permission withdrawn", emulator.Fault{Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403}, 0, []string{api.ErrCredentials}},
		{"job forgotten", emulator.Fault{Kind: emulator.JobForgotten}, 1, []string{""}},
		{"job stuck, done", emulator.Fault{Kind: emulator.JobStuckDone}, 1, []string{""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.fault.Op = emulator.OpStop
			inLab(t, withFaults(running(), test.fault), func(l *lab) {
				c := persist(l, l.acts.StopIfNeeded, contract.StopIfNeededInput{ServerID: l.server.ID}, attempt{})
				assert.Equal(l, test.kinds, c.kinds())
				assert.Len(l, l.writes(emulator.OpStop), test.stops)
				if c.err == nil {
					l.isStopped()
				}
			})
		})
	}
}

// TestStopWaitsForSomebodyElse: another operation on the server is waited for, not added to. While it powers
// on, the server still reads SHUTOFF.
func TestStopWaitsForSomebodyElse(t *testing.T) {
	for task, from := range map[string]emulator.Options{"rebooting": running(), "powering-on": stopped()} {
		t.Run(task, func(t *testing.T) {
			inLab(t, from, func(l *lab) {
				l.update(func(s *emulator.Server) { s.TaskState = task })
				begun := time.Now()
				l.after(65*time.Second, func() {
					l.update(func(s *emulator.Server) { s.Status, s.VMState, s.TaskState = "ACTIVE", "active", "" })
				})
				end := l.stop(attempt{}, false)
				require.NoError(l, end.err)
				stops := l.writes(emulator.OpStop)
				require.Len(l, stops, 1)
				assert.Equal(l, 70*time.Second, stops[0].Time.Sub(begun), "the first look after it is over")
				l.isStopped()
			})
		})
	}
}

func TestStopOfAServerThatVanishes(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		inLab(t, running(), func(l *lab) {
			require.NoError(l, l.cloud.Delete(l.server.ID))
			failsWith(l, l.stop(attempt{}, false).err, api.ErrVanished, true)
		})
	})
	t.Run("while it stops", func(t *testing.T) {
		vanish := emulator.Fault{Op: emulator.OpStop, Kind: emulator.Vanish}
		inLab(t, withFaults(running(), vanish), func(l *lab) {
			failed := failsWith(l, l.stop(attempt{}, false).err, api.ErrVanished, true)
			assert.Contains(l, failed.Message(), l.server.ID)
		})
	})
}

// TestStopHandsBackToAnotherWorker: the next worker carries on with the same job.
func TestStopHandsBackToAnotherWorker(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		stop := make(chan struct{})
		l.after(5*time.Second, func() { close(stop) })
		end := l.stop(attempt{stop: stop}, false)
		failsWith(l, end.err, api.ErrWorkerStopping, false)
		assert.Equal(l, 5*time.Second, end.took)
		require.NoError(l, l.stop(attempt{number: 2, details: end.last()}, false).err)
		assert.Len(l, l.writes(emulator.OpStop), 1)
	})
}
