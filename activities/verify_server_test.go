package activities_test

import (
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

// verify makes attempts until the end, with a deadline from now, and without the word of a job.
func (l *lab) verify(deadline time.Duration) course[rollout.Observation] {
	l.Helper()
	return persist(l, l.acts.VerifyServer, l.verification(deadline), attempt{})
}

// verifyEnded does the same after the job said how it ended.
func (l *lab) verifyEnded(deadline time.Duration) course[rollout.Observation] {
	l.Helper()
	in := l.verification(deadline)
	in.Ended = true
	return persist(l, l.acts.VerifyServer, in, attempt{})
}

func (l *lab) verification(deadline time.Duration) contract.VerifyServerInput {
	return contract.VerifyServerInput{
		ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID}, Before: l.before(), Deadline: time.Now().Add(deadline),
	}
}

// judged is how the server would be said to have ended.
func (l *lab) judged(seen rollout.Observation, ended bool) rollout.ServerEnd {
	end, _ := change.Judge(seen, l.before(), l.target.ID, ended)
	return end
}

func TestVerifyFindsProofAtOnce(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.changing()
		time.Sleep(5 * time.Minute)
		c := l.verify(time.Minute)
		require.NoError(l, c.err)
		assert.True(l, change.Proven(c.result, l.before(), l.target.ID))
		assert.Equal(l, rollout.Done, l.judged(c.result, false))
		assert.Zero(l, c.took)
	})
}

// TestVerifyWaitsForTheServerView: the view may trail 90 s behind the job's SUCCESS.
func TestVerifyWaitsForTheServerView(t *testing.T) {
	for _, view := range []string{"rebuild", "shutoff"} {
		t.Run(view, func(t *testing.T) {
			options := withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Lag, Delay: 90 * time.Second})
			options.Edition.RebuildView = view
			inLab(t, options, func(l *lab) {
				polled := l.poll(l.changing(), 8*time.Minute)
				require.Equal(l, change.JobEndSucceeded, polled.result.End)
				c := l.verifyEnded(8 * time.Minute)
				require.NoError(l, c.err)
				assert.Equal(l, rollout.Done, l.judged(c.result, true))
				assert.GreaterOrEqual(l, c.took, 80*time.Second, "the view trails, less one poll")
			})
		})
	}
}

// TestVerifyGivesEvidence: what shows no proof is returned once it has stayed so for the settle time.
func TestVerifyGivesEvidence(t *testing.T) {
	tests := []struct {
		name    string
		variant string
		end     rollout.ServerEnd
	}{
		{"old disk", emulator.VariantIntact, rollout.FailedIntact},
		{"new disk", emulator.VariantChanged, rollout.FailedChanged},
		{"no disk", emulator.VariantLost, rollout.FailedLost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fail := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: test.variant}
			inLab(t, withFaults(stopped(), fail), func(l *lab) {
				require.Equal(l, change.JobEndFailed, l.poll(l.changing(), 8*time.Minute).result.End)
				c := l.verifyEnded(8 * time.Minute)
				require.NoError(l, c.err)
				assert.Equal(l, test.end, l.judged(c.result, true))
				assert.GreaterOrEqual(l, c.took, testTiming().Settle)
				assert.Less(l, c.took, testTiming().Settle+testTiming().Poll)
			})
		})
	}
}

// TestVerifyWaitsForARebuild: a server that the cloud still works on is waited for, and never past the deadline.
func TestVerifyWaitsForARebuild(t *testing.T) {
	t.Run("until it is done", func(t *testing.T) {
		options := stopped()
		options.Timing.ChangeOS = emulator.Span{Median: 7 * time.Minute}
		inLab(t, options, func(l *lab) {
			l.changing()
			c := l.verify(9 * time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, rollout.Done, l.judged(c.result, false))
			assert.Equal(l, 7*time.Minute, c.took)
		})
	})
	t.Run("until the deadline", func(t *testing.T) {
		stuck := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck}
		inLab(t, withFaults(stopped(), stuck), func(l *lab) {
			l.changing()
			c := l.verify(8 * time.Minute)
			require.NoError(l, c.err)
			assert.True(l, c.result.Rebuilding())
			assert.Equal(l, rollout.FailedChanged, l.judged(c.result, false))
			assert.Equal(l, 8*time.Minute, c.took)
		})
	})
}

// TestVerifyOfAStoppedServerWithoutTheWordOfAJob: a server that stays SHUTOFF while its disk is replaced
// looks at rest for longer than the settle time, with the old disk and then with the new one.
func TestVerifyOfAStoppedServerWithoutTheWordOfAJob(t *testing.T) {
	t.Run("changed in the end", func(t *testing.T) {
		options := stopped()
		options.Edition.RebuildView = "shutoff"
		options.Timing.ChangeOS = emulator.Span{Median: 7 * time.Minute}
		inLab(t, options, func(l *lab) {
			l.changing()
			c := l.verify(9 * time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, rollout.Done, l.judged(c.result, false))
			assert.Equal(l, 7*time.Minute, c.took)
		})
	})
	t.Run("never changed", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			c := l.verify(9 * time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, rollout.FailedChanged, l.judged(c.result, false), "nobody said that it is over")
			assert.Equal(l, 9*time.Minute, c.took)
		})
	})
}

// TestVerifyThroughAVolumeGap: neither of two disks, nor none, is taken for the end of a swap.
func TestVerifyThroughAVolumeGap(t *testing.T) {
	for _, variant := range []string{emulator.VariantNone, emulator.VariantTwo} {
		for _, view := range []string{"rebuild", "shutoff"} {
			t.Run(variant+"/"+view, func(t *testing.T) {
				options := withFaults(stopped(), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.VolumeGap, Variant: variant})
				options.Edition.RebuildView = view
				inLab(t, options, func(l *lab) {
					l.changing()
					c := l.verify(8 * time.Minute)
					assert.Equal(l, []string{""}, c.kinds(), "and it is no trouble")
					assert.Equal(l, rollout.Done, l.judged(c.result, false))
				})
			})
		}
	}
}

// TestVerifyOfAVanishedServer: a server that is not found once may be found again.
func TestVerifyOfAVanishedServer(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			require.NoError(l, l.cloud.Delete(l.server.ID))
			c := l.verify(8 * time.Minute)
			require.NoError(l, c.err)
			assert.False(l, c.result.Exists)
			assert.Equal(l, rollout.Vanished, l.judged(c.result, false))
			assert.GreaterOrEqual(l, c.took, testTiming().Settle)
			assert.Less(l, c.took, testTiming().Settle+testTiming().Poll, "not until the deadline")
		})
	})
	t.Run("not found once", func(t *testing.T) {
		missing := missing(1)
		missing.After = 1
		inLab(t, withFaults(stopped(), missing), func(l *lab) {
			l.changing()
			c := l.verify(8 * time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, rollout.Done, l.judged(c.result, false))
		})
	})
}

func TestVerifyThroughTrouble(t *testing.T) {
	trouble := emulator.Fault{Op: emulator.OpServer, Kind: emulator.ServerError, After: 4}
	inLab(t, withFaults(stopped(), trouble), func(l *lab) {
		l.changing()
		c := l.verify(8 * time.Minute)
		assert.Equal(l, []string{api.ErrCloud, ""}, c.kinds())
		assert.Equal(l, rollout.Done, l.judged(c.result, false))
	})
}

func TestVerifyHandsBackToAnotherWorker(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		stop := make(chan struct{})
		l.after(5*time.Second, func() { close(stop) })
		in := l.verification(time.Minute)
		failsWith(l, run(l, l.acts.VerifyServer, in, attempt{stop: stop}).err, api.ErrWorkerStopping, false)
	})
}
