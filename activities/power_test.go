package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
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

const powerAction = "POST /v1/{project_id}/cloudservers/action"

// stopCutShort begins to stop the lab's server with a worker that does not live to see the end of it.
func (l *lab) stopCutShort() {
	l.Helper()
	ctx, cancel := context.WithCancel(l.Context())
	defer cancel()
	l.after(time.Second, cancel)
	require.Error(l, l.stop(attempt{ctx: ctx}, false).err)
	require.Equal(l, 1, l.cloud.Ledger().Requests[powerAction])
}

// TestRestorePowerAfterAStopThatNobodySawEnd: the server still looks as if it ran. Only after the settle time
// is that believed, so it is not left off and called running.
func TestRestorePowerAfterAStopThatNobodySawEnd(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"shows that it goes down":      {Kind: emulator.Latency, Delay: time.Nanosecond},
		"shows nothing of it yet":      {Kind: emulator.LagStart, Delay: 85 * time.Second},
		"in the cloud's hands":         {Kind: emulator.AcceptLate, Delay: 29 * time.Second},
		"late, and shows nothing yet":  {Kind: emulator.AcceptLate, Delay: 20 * time.Second},
		"shows the end of it too late": {Kind: emulator.Lag, Delay: 85 * time.Second},
		"never arrived":                {Kind: emulator.DropBefore},
	} {
		t.Run(name, func(t *testing.T) {
			fault.Op = emulator.OpStop
			inLab(t, withFaults(running(), fault), func(l *lab) {
				l.stopCutShort()
				in := contract.RestorePowerInput{ServerID: l.server.ID, On: true, Unsettled: true}
				c := persist(l, l.acts.RestorePower, in, attempt{})
				require.NoError(l, c.err)
				assert.Equal(l, rollout.StatusActive, c.result.Status)
				assert.GreaterOrEqual(l, c.took, testTiming().Settle)
				time.Sleep(time.Hour)
				now, _ := l.cloud.Server(l.server.ID)
				assert.Equal(l, rollout.StatusActive, now.Status, "the truth behind the cloud's view")
			})
		})
	}
}

// TestRestorePowerUnsettledSurvivesItsWorkers: what one attempt has done, the next one need not doubt.
func TestRestorePowerUnsettledSurvivesItsWorkers(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := contract.RestorePowerInput{ServerID: l.server.ID, On: true, Unsettled: true}
		stop := make(chan struct{})
		l.after(testTiming().Settle+5*time.Second, func() { close(stop) })
		handed := run(l, l.acts.RestorePower, in, attempt{stop: stop})
		failsWith(l, handed.err, api.ErrWorkerStopping, false)
		require.Len(l, l.writes(emulator.OpStart), 1)
		assert.True(l, read[change.PowerMemory](l, handed.last()).Acted)

		next := run(l, l.acts.RestorePower, in, attempt{number: 2, details: handed.last()})
		require.NoError(l, next.err)
		assert.Less(l, next.took, testTiming().Settle)
		assert.Len(l, l.writes(emulator.OpStart), 1)
	})
}

// TestRestorePowerUnsettledWhoseJobIsForgotten: it has acted all the same. As no job proves the start, what the server shows
// counts once it has lasted.
func TestRestorePowerUnsettledWhoseJobIsForgotten(t *testing.T) {
	forgotten := emulator.Fault{Op: emulator.OpStart, Kind: emulator.JobForgotten}
	inLab(t, withFaults(stopped(), forgotten), func(l *lab) {
		in := contract.RestorePowerInput{ServerID: l.server.ID, On: true, Unsettled: true}
		end := run(l, l.acts.RestorePower, in, attempt{})
		require.NoError(l, end.err)
		assert.Less(l, end.took, 2*testTiming().Settle+time.Minute)
		assert.Len(l, l.writes(emulator.OpStart), 1)
	})
}

// TestRestorePowerBelievesNoOldView: the server was stopped for the change, and views from before that show it running.
func TestRestorePowerBelievesNoOldView(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"each look at first":   {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 8},
		"now and then":         {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: -1, Probability: 0.5},
		"after its own start":  {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 2, After: 1},
		"and the start fails":  {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 3, After: 1},
		"and no answer to it":  {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 3, After: 1},
		"and its job is gone ": {Op: emulator.OpServer, Kind: emulator.OldView, Delay: 80 * time.Second, Times: 3, After: 1},
	} {
		t.Run(name, func(t *testing.T) {
			options := withFaults(running(), fault)
			switch name {
			case "and the start fails":
				options.Faults = append(options.Faults, emulator.Fault{Op: emulator.OpStart, Kind: emulator.JobFail})
			case "and no answer to it":
				options.Faults = append(options.Faults, emulator.Fault{Op: emulator.OpStart, Kind: emulator.DropBefore})
			case "and its job is gone ":
				options.Faults = append(options.Faults, emulator.Fault{Op: emulator.OpStart, Kind: emulator.JobForgotten})
			}
			inLab(t, options, func(l *lab) {
				l.update(func(s *emulator.Server) { s.Status = rollout.StatusShutoff })
				time.Sleep(20 * time.Second)
				end := run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: true, Disk: l.server.SystemVolumeID}, attempt{})
				now, _ := l.cloud.Server(l.server.ID)
				if name == "and the start fails" {
					failsWith(l, end.err, api.ErrRefused, true)
					assert.Equal(l, rollout.StatusShutoff, now.Status)
					return
				}
				require.NoError(l, end.err)
				assert.Equal(l, rollout.StatusActive, end.result.Status)
				assert.Equal(l, rollout.StatusActive, now.Status, "what is reported is so")
			})
		})
	}
}

// TestRestorePowerOfADiskThatIsSwapped: no power action is sent to a server that shows another disk, or none.
func TestRestorePowerOfADiskThatIsSwapped(t *testing.T) {
	for disk, kind := range map[string]string{"": api.ErrRefused, "11111111-2222-4333-8444-555555555555": api.ErrForeignDisk} {
		inLab(t, stopped(), func(l *lab) {
			l.update(func(s *emulator.Server) { s.SystemVolumeID = disk })
			end := run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: true, Disk: l.server.SystemVolumeID}, attempt{})
			failsWith(l, end.err, kind, true)
			assert.GreaterOrEqual(l, end.took, testTiming().Settle, "a single look is no evidence")
			assert.Empty(l, l.writes(emulator.OpStart))
		})
	}
}

// TestRestorePowerOfARestlessServer: an unsettled server that never shows the same for long is neither
// believed nor touched, and waited for until it comes to rest.
func TestRestorePowerOfARestlessServer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		for i := range 6 {
			status := []string{rollout.StatusActive, rollout.StatusShutoff}[i%2]
			l.after(time.Duration(i)*time.Minute, func() { l.update(func(s *emulator.Server) { s.Status = status }) })
		}
		in := contract.RestorePowerInput{ServerID: l.server.ID, On: true, Unsettled: true}
		end := run(l, l.acts.RestorePower, in, attempt{})
		require.NoError(l, end.err)
		assert.GreaterOrEqual(l, end.took, 5*time.Minute+testTiming().Settle)
		assert.Len(l, l.writes(emulator.OpStart), 1)
	})
}

// TestRestorePowerLetsANewSystemSetItselfUp before it is stopped.
func TestRestorePowerLetsANewSystemSetItselfUp(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		begun := time.Now()
		end := run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, Unsettled: true}, attempt{})
		require.NoError(l, end.err)
		stops := l.writes(emulator.OpStop)
		require.Len(l, stops, 1)
		assert.Equal(l, testTiming().Settle, stops[0].Time.Sub(begun))
		l.isStopped()
	})
}

// TestRestorePowerOfAServerThatPowerActionsCannotReach is said, or waited for, and never asked for again and again.
func TestRestorePowerOfAServerThatPowerActionsCannotReach(t *testing.T) {
	for _, on := range []bool{true, false} {
		inLab(t, fleetOf(emulator.Server{Name: "one", Status: "ERROR", Fault: "no valid host was found"}), func(l *lab) {
			end := l.restore(attempt{}, on)
			failed := failsWith(l, end.err, api.ErrRefused, true)
			assert.Contains(l, failed.Message(), l.server.ID+" is in ERROR")
			assert.NotContains(l, failed.Message(), "no valid host was found", "the cloud's text may repeat a secret")
			assert.Equal(l, testTiming().Settle, end.took, "a single look is no evidence")
			assert.Zero(l, l.cloud.Ledger().Requests[powerAction])
		})
	}
	inLab(t, stopped(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.Status, s.VMState = "SUSPENDED", "suspended" })
		l.after(2*time.Minute, func() { l.update(func(s *emulator.Server) { s.Status, s.VMState = "SHUTOFF", "stopped" }) })
		require.NoError(l, l.restore(attempt{}, true).err)
		assert.Equal(l, 1, l.cloud.Ledger().Requests[powerAction])
	})
}

// TestPowerOfAnotherDisk: a server that somebody else changed meanwhile is left alone.
func TestPowerOfAnotherDisk(t *testing.T) {
	const newDisk = "11111111-2222-4333-8444-555555555555"
	inLab(t, running(), func(l *lab) {
		in := contract.StopIfNeededInput{ServerID: l.server.ID, Disk: l.server.SystemVolumeID}
		l.update(func(s *emulator.Server) { s.SystemVolumeID = newDisk })
		failed := failsWith(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err, api.ErrForeignDisk, true)
		assert.Contains(l, failed.Message(), "it was "+in.Disk+" and is "+newDisk)
		assert.Zero(l, l.cloud.Ledger().Requests[powerAction])

		in.Disk = newDisk
		require.NoError(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err)
	})
	inLab(t, stopped(), func(l *lab) {
		in := contract.RestorePowerInput{ServerID: l.server.ID, Disk: newDisk, On: true}
		failed := failsWith(l, run(l, l.acts.RestorePower, in, attempt{}).err, api.ErrForeignDisk, true)
		var has rollout.Fingerprint
		require.NoError(l, failed.Details(&has))
		assert.Equal(l, l.before(), has)
		assert.Zero(l, l.cloud.Ledger().Requests[powerAction])
	})
	inLab(t, fleetOf(emulator.Server{Name: "one", Status: "ERROR"}), func(l *lab) { // it comes before all else
		in := contract.StopIfNeededInput{ServerID: l.server.ID, Disk: newDisk}
		failsWith(l, run(l, l.acts.StopIfNeeded, in, attempt{}).err, api.ErrForeignDisk, true)
	})
}

// TestPowerOfAServerThatIsNotFoundOnce: it is waited for, and nothing is concluded from it.
func TestPowerOfAServerThatIsNotFoundOnce(t *testing.T) {
	t.Run("stop", func(t *testing.T) {
		inLab(t, withFaults(running(), missing(2)), func(l *lab) {
			require.NoError(l, l.stop(attempt{}, false).err)
			l.isStopped()
		})
	})
	t.Run("start", func(t *testing.T) {
		inLab(t, withFaults(stopped(), missing(2)), func(l *lab) {
			require.NoError(l, l.restore(attempt{}, true).err)
		})
	})
	t.Run("by the action", func(t *testing.T) {
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpStart, Kind: emulator.Refuse, Code: "Ecs.0614", Status: 404}), func(l *lab) {
			require.NoError(l, l.restore(attempt{}, true).err)
		})
	})
	t.Run("by the action, with a code in no table", func(t *testing.T) {
		inLab(t, withFaults(running(), emulator.Fault{Op: emulator.OpStop, Kind: emulator.Refuse, Code: "Ecs.9999", Status: 404}), func(l *lab) {
			end := l.stop(attempt{}, false)
			require.NoError(l, end.err)
			assert.Less(l, end.took, testTiming().Settle)
			l.isStopped()
		})
	})
	t.Run("gone", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			require.NoError(l, l.cloud.Delete(l.server.ID))
			end := l.restore(attempt{}, true)
			failsWith(l, end.err, api.ErrVanished, true)
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
		})
	})
	t.Run("in the middle of settling", func(t *testing.T) {
		missing := missing(1)
		missing.After = 10
		inLab(t, withFaults(stopped(), missing), func(l *lab) {
			begun := time.Now()
			in := contract.RestorePowerInput{ServerID: l.server.ID, On: true, Unsettled: true}
			require.NoError(l, run(l, l.acts.RestorePower, in, attempt{}).err)
			assert.Equal(l, 11*testTiming().Poll+testTiming().Settle, l.writes(emulator.OpStart)[0].Time.Sub(begun), "it begins anew")
		})
	})
}

// TestPowerOfADiskThatIsBackedUp: it passes, and is no success.
func TestPowerOfADiskThatIsBackedUp(t *testing.T) {
	inLab(t, withFaults(running(), emulator.Fault{Op: emulator.OpStop, Kind: emulator.Refuse, Code: "Ecs.0073", Times: -1}), func(l *lab) {
		failsWith(l, l.stop(attempt{}, false).err, api.ErrNotReady, false)
	})
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpStart, Kind: emulator.Refuse, Code: "Ecs.0073", Times: -1}), func(l *lab) {
		failsWith(l, l.restore(attempt{}, true).err, api.ErrNotReady, false)
	})
}

// TestStopTellsOfAStopThatMayArriveYet: whoever starts the server again has to know.
func TestStopTellsOfAStopThatMayArriveYet(t *testing.T) {
	for name, test := range map[string]struct {
		fault emulator.Fault
		from  attempt
		doubt bool
	}{
		"every answer seen":       {emulator.Fault{Kind: emulator.Latency, Delay: time.Second}, attempt{}, false},
		"answer lost":             {emulator.Fault{Kind: emulator.DropAfter}, attempt{}, true},
		"an earlier worker died":  {emulator.Fault{Kind: emulator.Latency, Delay: time.Second}, attempt{number: 2}, true},
		"reset by hand meanwhile": {emulator.Fault{Kind: emulator.Latency, Delay: time.Second}, attempt{details: progress(t, change.PowerMemory{})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			test.fault.Op = emulator.OpStop
			inLab(t, withFaults(running(), test.fault), func(l *lab) {
				end := l.stop(test.from, false)
				require.NoError(l, end.err)
				assert.Equal(l, test.doubt, end.result.Doubt)
			})
		})
	}
}

// TestPowerBeatsBeforeItLooks: a look may take longer than a heartbeat.
func TestPowerBeatsBeforeItLooks(t *testing.T) {
	inLab(t, withFaults(running(), emulator.Fault{Op: emulator.OpServer, Kind: emulator.HangBefore}), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(time.Second, cancel)
		assert.NotEmpty(l, l.stop(attempt{ctx: ctx}, false).beats)
	})
}

// TestPowerOfAServerThatIsStuck: it shows its task for ever, and only the job says that it has failed.
func TestPowerOfAServerThatIsStuck(t *testing.T) {
	for name, test := range map[string]struct {
		options emulator.Options
		in      contract.RestorePowerInput
		takes   time.Duration
	}{
		"start":     {stopped(), contract.RestorePowerInput{On: true}, 2 * time.Minute},
		"stop":      {running(), contract.RestorePowerInput{}, 2 * time.Minute},
		"hard stop": {running(), contract.RestorePowerInput{AllowHard: true}, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			options := withFaults(test.options, emulator.Fault{Op: "*", Kind: emulator.JobStuck, Times: -1})
			inLab(t, options, func(l *lab) {
				l.answer = func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.Path, "/jobs/") {
						return false
					}
					_, err := fmt.Fprintf(w, `{"job_id":%q,"status":"FAIL","error_code":"Ecs.0611"}`, path.Base(r.URL.Path))
					return assert.NoError(l, err)
				}
				test.in.ServerID = l.server.ID
				end := run(l, l.acts.RestorePower, test.in, attempt{})
				failed := failsWith(l, end.err, api.ErrRefused, true)
				assert.Contains(l, failed.Message(), "Ecs.0611")
				assert.Equal(l, test.takes, end.took)
			})
		})
	}
}
