package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestVerifyOfAServerThatShowsNothing: without the word of a job, a server that equals what it was before is
// not at rest, whatever its status. The view shows nothing of the change for seven minutes.
func TestVerifyOfAServerThatShowsNothing(t *testing.T) {
	for _, status := range []string{rollout.StatusShutoff, rollout.StatusError, rollout.StatusActive} {
		t.Run(status, func(t *testing.T) {
			hidden := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.LagStart, Delay: 7 * time.Minute}
			inLab(t, withFaults(fleetOf(emulator.Server{Name: "one", Status: status}), hidden), func(l *lab) {
				in := l.submission()
				in.Change.WithStopServer = status == rollout.StatusActive
				require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
				c := l.verify(9 * time.Minute)
				require.NoError(l, c.err)
				assert.Equal(l, rollout.Done, l.judged(c.result, false))
				assert.Equal(l, 7*time.Minute, c.took)
			})
		})
	}
}

// TestVerifyOfABrokenServerWithoutTheWordOfAJob: what is no longer as before, and does not move, is an end.
func TestVerifyOfABrokenServerWithoutTheWordOfAJob(t *testing.T) {
	for variant, end := range map[string]rollout.ServerEnd{emulator.VariantChanged: rollout.FailedChanged, emulator.VariantLost: rollout.FailedLost} {
		fail := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: variant}
		inLab(t, withFaults(stopped(), fail), func(l *lab) {
			l.changing()
			time.Sleep(5 * time.Minute)
			c := l.verify(time.Hour)
			require.NoError(l, c.err)
			assert.Equal(l, end, l.judged(c.result, false))
			assert.Equal(l, testTiming().Settle, c.took, "not until the deadline")
		})
	}
}

// TestVerifyAfterTheDeadline: however late it is, one look is no verdict. The view trails behind.
func TestVerifyAfterTheDeadline(t *testing.T) {
	for name, ago := range map[string]time.Duration{"just now": 0, "a day ago": -24 * time.Hour} {
		for _, ended := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				lag := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Lag, Delay: 90 * time.Second}
				options := withFaults(stopped(), lag)
				options.Edition.RebuildView = "shutoff"
				inLab(t, options, func(l *lab) {
					require.Equal(l, change.JobEndSucceeded, l.poll(l.changing(), 8*time.Minute).result.End)
					in := l.verification(ago)
					in.Ended = ended
					c := persist(l, l.acts.VerifyServer, in, attempt{})
					require.NoError(l, c.err)
					assert.Equal(l, rollout.Done, l.judged(c.result, ended))
				})
			})
		}
	}
	t.Run("untouched", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			c := l.verify(-24 * time.Hour)
			require.NoError(l, c.err)
			assert.Equal(l, testTiming().Settle, c.took)
		})
	})
}

// TestVerifyOfARestlessServer: a server that never shows the same for the settle time is not watched for ever.
func TestVerifyOfARestlessServer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.acts.Timing.Settle = 2 * time.Minute
		for i := range 20 {
			task := []string{"powering-on", ""}[i%2]
			l.after(time.Duration(i)*time.Minute, func() { l.update(func(s *emulator.Server) { s.TaskState = task }) })
		}
		c := l.verifyEnded(0)
		require.NoError(l, c.err)
		assert.Equal(l, 8*time.Minute+testTiming().Poll, c.took, "four settle times, and a poll")
	})
}

// TestReadsThatAreRefusedPass: a server that was touched is not given up because nobody may ask about it.
func TestReadsThatAreRefusedPass(t *testing.T) {
	for code, status := range map[string]int{"APIGW.0301": 401, "Pdp.0001": 403, "Ecs.0023": 400, "APIGW.0101": 404, "Ecs.0100": 400} {
		refused := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Refuse, Code: code, Status: status}
		once := func(err error) {
			assert.ErrorContains(t, err, "retryable: true", code)
		}
		inLab(t, withFaults(stopped(), refused), func(l *lab) {
			once(run(l, l.acts.VerifyServer, l.verification(time.Minute), attempt{}).err)
		})
		inLab(t, withFaults(stopped(), refused), func(l *lab) { once(l.restore(attempt{}, true).err) })
		inLab(t, withFaults(running(), refused), func(l *lab) { once(l.stop(attempt{}, false).err) })
		refused.Op = emulator.OpJob // it is asked about when the server itself shows nothing
		hidden := emulator.Fault{Op: emulator.OpStop, Kind: emulator.LagStart, Delay: time.Minute}
		inLab(t, withFaults(running(), refused, hidden), func(l *lab) { once(l.stop(attempt{}, false).err) })
	}
}
