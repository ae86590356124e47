package activities_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/change"
)

const jobs = "GET /v1/{project_id}/jobs/{job_id}"

// TestImagesAreReadOnce: every server of a rollout asks for the same two.
func TestImagesAreReadOnce(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		const images = "GET /v2/cloudimages"
		for range 10 {
			require.Empty(l, l.preflight(l.question()).result.Refusals)
		}
		assert.Equal(l, 2, l.asked(images))
		time.Sleep(5 * time.Minute)
		l.preflight(l.question())
		assert.Equal(l, 4, l.asked(images), "an old answer is no answer")
	})
}

// TestTroubleWithAnImageIsNotShared with those who ask later.
func TestTroubleWithAnImageIsNotShared(t *testing.T) {
	trouble := emulator.Fault{Op: emulator.OpImage, Kind: emulator.ServerError}
	inLab(t, withFaults(stopped(), trouble), func(l *lab) {
		failsWith(l, l.preflight(l.question()).err, api.ErrCloud, false)
		assert.Empty(l, l.preflight(l.question()).result.Refusals)
	})
}

// TestSecondJobIsAskedForLater: the first one is asked for each poll, the next one when the first was over.
func TestSecondJobIsAskedForLater(t *testing.T) {
	options := stopped()
	options.Timing.ChangeOS = emulator.Span{Median: 90 * time.Second}
	inLab(t, options, func(l *lab) {
		follow := func() (asked int) {
			before := l.asked(jobs)
			c := l.poll(l.changing(), 8*time.Minute)
			require.NoError(l, c.err)
			assert.Equal(l, change.JobEndSucceeded, c.result.End)
			l.update(func(s *emulator.Server) { s.Status, s.VMState = "SHUTOFF", "stopped" })
			l.server, _ = l.cloud.Server(l.server.ID)
			return l.asked(jobs) - before
		}
		assert.Equal(l, 9, follow())
		assert.Equal(l, 3, follow(), "85.5 s after its beginning, and then each third of the poll interval")
	})
}

// TestSubmitWhileManyReadsWait: the write goes before all reads, and so does the look that justifies it.
func TestSubmitWhileManyReadsWait(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.config.CallsPerSecond = 2
		cloud := l.client(l.config)
		l.acts.Profiles[0].Cloud = cloud
		for range 100 {
			go func() { _, _ = cloud.Server(l.Context(), l.server.ID) }()
		}
		synctest.Wait()
		end := l.submit(attempt{})
		require.NoError(l, end.err)
		assert.Less(l, end.took, 5*time.Second)
		assert.Equal(l, 1, l.changes())
		time.Sleep(time.Hour)
	})
}

// TestSubmitWhoseLookComesLate: while the question waits for its turn nothing gets old, and Temporal tells whether
// the attempt may still act.
func TestSubmitWhoseLookComesLate(t *testing.T) {
	silence := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Throttle, RetryAfter: time.Minute}
	inLab(t, withFaults(stopped(), silence), func(l *lab) {
		_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
		require.Error(l, err)
		c := l.persistSubmit(attempt{})
		assert.Equal(l, []string{""}, c.kinds())
		assert.Greater(l, c.took, 50*time.Second)
		assert.Equal(l, 1, l.sent())
	})
}

// TestStopAsksForTheJobOnlyWhenTheServerShowsNothing of it.
func TestStopAsksForTheJobOnlyWhenTheServerShowsNothing(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		require.NoError(l, l.stop(attempt{}, false).err)
		assert.Zero(l, l.asked(jobs))
	})
	hidden := emulator.Fault{Op: emulator.OpStop, Kind: emulator.LagStart, Delay: time.Minute}
	inLab(t, withFaults(running(), hidden), func(l *lab) {
		require.NoError(l, l.stop(attempt{}, false).err)
		assert.NotZero(l, l.asked(jobs))
	})
}

// TestAWorkerStopsWhileItsReadsWait: the turn is a minute away, and the worker gone before that.
func TestAWorkerStopsWhileItsReadsWait(t *testing.T) {
	for name, ends := range map[string]func(l *lab, a attempt) error{
		contract.Preflight:      func(l *lab, a attempt) error { return run(l, l.acts.Preflight, l.question(), a).err },
		contract.StopIfNeeded:   func(l *lab, a attempt) error { return l.stop(a, false).err },
		contract.SubmitChangeOS: func(l *lab, a attempt) error { return l.submit(a).err },
		contract.VerifyServer: func(l *lab, a attempt) error {
			return run(l, l.acts.VerifyServer, contract.VerifyServerInput{ServerID: l.server.ID, Deadline: time.Now().Add(time.Hour)}, a).err
		},
		contract.PollJob: func(l *lab, a attempt) error {
			return run(l, l.acts.PollJob, contract.PollJobInput{JobID: "a-job", Deadline: time.Now().Add(time.Hour)}, a).err
		},
		contract.Diagnose: func(l *lab, a attempt) error { return run(l, l.acts.Diagnose, contract.DiagnoseInput{}, a).err },
	} {
		t.Run(name, func(t *testing.T) {
			silence := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Throttle, RetryAfter: time.Minute, Message: "slow down"}
			inLab(t, withFaults(stopped(), silence), func(l *lab) {
				_, err := l.acts.Profiles[0].Cloud.Server(l.Context(), l.server.ID)
				require.Error(l, err)
				stop, begun := make(chan struct{}), time.Now()
				l.after(15*time.Second, func() { close(stop) })
				failsWith(l, ends(l, attempt{stop: stop}), api.ErrWorkerStopping, false)
				assert.Equal(l, 15*time.Second, time.Since(begun))
			})
		})
	}
}

// TestAWorkerThatStopsCutsOffNoWrite that waits for its turn, or for its answer.
func TestAWorkerThatStopsCutsOffNoWrite(t *testing.T) {
	slow := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Latency, Delay: 20 * time.Second}
	inLab(t, withFaults(stopped(), slow), func(l *lab) {
		stop := make(chan struct{})
		l.after(10*time.Second, func() { close(stop) })
		end := l.submit(attempt{stop: stop})
		require.NoError(l, end.err)
		assert.NotEmpty(l, end.result.JobID)
		assert.Equal(l, 1, l.changes())
	})
}
