package activities_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// submission asks for the change of the lab's server, with a secret in it.
func (l *lab) submission() contract.SubmitChangeOSInput {
	return contract.SubmitChangeOSInput{
		ServerID: l.server.ID,
		Change:   rollout.Change{ImageID: l.target.ID, UserDataFrom: "env:REIMAGE_SECRET_CLOUD_CONFIG"},
		Before:   l.before(),
	}
}

// submit makes one attempt.
func (l *lab) submit(a attempt) ended[contract.SubmitChangeOSResult] {
	l.Helper()
	return run(l, l.acts.SubmitChangeOS, l.submission(), a)
}

// persistSubmit makes attempts until the end.
func (l *lab) persistSubmit(from attempt) course[contract.SubmitChangeOSResult] {
	l.Helper()
	return persist(l, l.acts.SubmitChangeOS, l.submission(), from)
}

func TestSubmitIsAccepted(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		end := l.submit(attempt{})
		require.NoError(l, end.err)
		accepted := l.writes(emulator.OpChangeOS)
		require.Len(l, accepted, 1)
		assert.Equal(l, contract.SubmitChangeOSResult{JobID: accepted[0].JobID}, end.result)
		assert.Equal(l, l.target.ID, accepted[0].ImageID)
		assert.Zero(l, end.took, "a first attempt has nothing to wait for")

		time.Sleep(5 * time.Minute)
		after, _ := l.cloud.Server(l.server.ID)
		sum := sha256.Sum256([]byte(plantedUserData))
		assert.Equal(l, hex.EncodeToString(sum[:]), after.UserDataSHA256, "the secret reaches the cloud as it is")
		assert.Equal(l, 1, l.changes())
	})
}

func TestSubmitSendsThePassword(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.submission()
		in.Change.UserDataFrom, in.Change.Login.PasswordFrom = "", "env:REIMAGE_SECRET_ROOT_PASSWORD"
		require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
		time.Sleep(5 * time.Minute)
		after, _ := l.cloud.Server(l.server.ID)
		sum := sha256.Sum256([]byte(plantedPassword))
		assert.Equal(l, hex.EncodeToString(sum[:]), after.PasswordSHA256)
	})
}

// TestSubmitLetsThePlatformStop: with withStopServer the server is changed while it runs.
func TestSubmitLetsThePlatformStop(t *testing.T) {
	inLab(t, running(), func(l *lab) {
		in := l.submission()
		in.Change.WithStopServer = true
		end := run(l, l.acts.SubmitChangeOS, in, attempt{})
		require.NoError(l, end.err)
		assert.NotEmpty(l, end.result.JobID)
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitTouchesNoOtherDisk: what is not as it was when the change was decided is not sent to.
func TestSubmitTouchesNoOtherDisk(t *testing.T) {
	tests := []struct {
		name   string
		change func(*emulator.Server)
		kind   string
		says   string
	}{
		{"another disk", func(s *emulator.Server) { s.SystemVolumeID = "11111111-2222-4333-8444-555555555555" }, api.ErrForeignDisk, "was changed from outside"},
		{"another image", func(s *emulator.Server) { s.ImageID = "11111111-2222-4333-8444-555555555555" }, api.ErrForeignDisk, "was changed from outside"},
		{"no disk", func(s *emulator.Server) { s.SystemVolumeID = "" }, api.ErrForeignDisk, "was changed from outside"},
		{"started", func(s *emulator.Server) { s.Status = "ACTIVE" }, api.ErrRefused, "it was started from outside"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, stopped(), func(l *lab) {
				l.update(test.change)
				end := l.submit(attempt{})
				failed := failsWith(l, end.err, test.kind, true)
				assert.Contains(l, failed.Message(), test.says)
				assert.Contains(l, failed.Message(), l.server.ID)
				assert.Zero(l, l.sent())
			})
		})
	}
}

func TestSubmitToAServerThatIsGone(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		require.NoError(l, l.cloud.Delete(l.server.ID))
		failsWith(l, l.submit(attempt{}).err, api.ErrVanished, true)
		assert.Zero(l, l.sent())
	})
}

// TestSubmitToAFailedServer: a server in ERROR may be asked once, and never again when that is in doubt.
func TestSubmitToAFailedServer(t *testing.T) {
	failed := func() emulator.Options { return fleetOf(emulator.Server{Name: "one", Status: "ERROR"}) }
	t.Run("asked once", func(t *testing.T) {
		inLab(t, failed(), func(l *lab) {
			end := l.submit(attempt{})
			require.NoError(l, end.err)
			assert.NotEmpty(l, end.result.JobID)
			assert.Equal(l, 1, l.changes())
		})
	})
	t.Run("never when in doubt", func(t *testing.T) {
		inLab(t, failed(), func(l *lab) {
			end := l.submit(attempt{number: 2})
			require.NoError(l, end.err)
			assert.Equal(l, "its status is ERROR", end.result.Seen)
			assert.Zero(l, l.sent())
		})
	})
}

// TestSubmitWaitsForSomebodyElse: an operation under way is waited for without settling.
func TestSubmitWaitsForSomebodyElse(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.TaskState = "powering-on" })
		begun := time.Now()
		l.after(35*time.Second, func() { l.update(func(s *emulator.Server) { s.TaskState = "" }) })
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrNotReady, api.ErrNotReady, api.ErrNotReady, api.ErrNotReady, ""}, c.kinds())
		assert.Equal(l, 40*time.Second, time.Since(begun), "four polls")
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitWithoutItsSecretSendsNothing: the attempt is handed back while another worker may have the secret. When none has, the
// rollout gets the name of the worker and of what it lacks.
func TestSubmitWithoutItsSecretSendsNothing(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		in := l.submission()
		in.Change.UserDataFrom = "env:REIMAGE_SECRET_NOT_THERE"
		l.acts.Secrets.Worker = "4711@build-07"
		c := persist(l, l.acts.SubmitChangeOS, in, attempt{})
		assert.Len(l, c.kinds(), 6)
		failed := failsWith(l, c.err, api.ErrSecret, true)
		assert.Equal(l, "user data from env:REIMAGE_SECRET_NOT_THERE: the worker's environment does not hold it (worker 4711@build-07)", failed.Message())
		assert.Zero(l, l.sent())
	})
}

// TestAnotherWorkerReadsTheSecret: a worker without the secret costs its server a second and nothing else.
func TestAnotherWorkerReadsTheSecret(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		good, asked := l.acts.Secrets.LookupEnv, 0
		l.acts.Secrets.LookupEnv = func(name string) (string, bool) {
			if asked++; asked <= 2 {
				return "", false
			}
			return good(name)
		}
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrSecret, api.ErrSecret, ""}, c.kinds())
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitRefused: a refusal of the cloud is final. What it means reaches the operator without the cloud's text, which repeats
// the secrets.
func TestSubmitRefused(t *testing.T) {
	echo := emulator.Fault{
		Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Ecs.0005", Status: 400,
		Message: "the parameter user_data is wrong: " + plantedUserData,
	}
	inLab(t, withFaults(stopped(), echo), func(l *lab) {
		failed := failsWith(l, l.submit(attempt{}).err, api.ErrRefused, true)
		assert.Contains(l, failed.Message(), "Ecs.0005: a parameter of the request is invalid")
		assert.Equal(l, 1, l.sent())
		assert.Zero(l, l.changes())
	})
	weak := echo
	weak.Code, weak.Message = "Ecs.0011", "the password "+plantedPassword+" is weak"
	inLab(t, withFaults(stopped(), weak), func(l *lab) {
		in := l.submission()
		in.Change.UserDataFrom, in.Change.Login.PasswordFrom = "", "env:REIMAGE_SECRET_ROOT_PASSWORD"
		failed := failsWith(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err, api.ErrRefused, true)
		assert.Contains(l, failed.Message(), "Ecs.0011: the password is too weak")
	})
}

// TestSubmitLookFails: before the request there is no doubt, so the next attempt need not settle.
func TestSubmitLookFails(t *testing.T) {
	inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpServer, Kind: emulator.ServerError}), func(l *lab) {
		begun := time.Now()
		c := l.persistSubmit(attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrCloud, ""}, c.kinds())
		assert.Equal(l, firstRetry, time.Since(begun))
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitCountsFromTheLook: the settle time holds only if a request cannot be on its way for longer than
// its timeout after the look that justified it.
func TestSubmitCountsFromTheLook(t *testing.T) {
	inLab(t, withFaults(stopped(),
		emulator.Fault{Op: emulator.OpServer, Kind: emulator.Latency, Delay: 25 * time.Second},
		emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.HangBefore},
	), func(l *lab) {
		end := l.submit(attempt{})
		failsWith(l, end.err, api.ErrInDoubt, false)
		assert.Equal(l, l.acts.Profiles[0].Cloud.RequestTimeout(), end.took)
	})
}

// TestSubmitHandsBackToAnotherWorker: a worker that is told to stop while it settles gives the attempt
// back at once, and the next one has to settle again.
func TestSubmitHandsBackToAnotherWorker(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		stop := make(chan struct{})
		l.after(35*time.Second, func() { close(stop) })
		end := l.submit(attempt{number: 2, stop: stop})
		failed := failsWith(l, end.err, api.ErrWorkerStopping, false)
		assert.Equal(l, time.Second, failed.NextRetryDelay())
		assert.Equal(l, 35*time.Second, end.took)
		assert.Zero(l, read[change.SubmitMemory](l, end.last()).LastCleanAttempt, "nothing is proven by a wait that was cut short")
		assert.Zero(l, l.sent())

		next := l.submit(attempt{number: 3, details: end.last()})
		require.NoError(l, next.err)
		assert.GreaterOrEqual(l, next.took, testTiming().Settle)
		assert.Equal(l, 1, l.changes())
	})
}

// TestSubmitCancelled: a cancel while it settles ends the attempt with nothing sent.
func TestSubmitCancelled(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(35*time.Second, cancel)
		end := l.submit(attempt{number: 2, ctx: ctx})
		require.Error(l, end.err)
		assert.ErrorContains(l, end.err, "canceled")
		assert.Equal(l, 35*time.Second, end.took)
		assert.Zero(l, l.sent())
	})
}

// TestSubmitCancelledInFlight: the answer is given up, the request is not taken for unsent.
func TestSubmitCancelledInFlight(t *testing.T) {
	hang := emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.HangAfter}
	inLab(t, withFaults(stopped(), hang), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(5*time.Second, cancel)
		end := l.submit(attempt{ctx: ctx})
		failsWith(l, end.err, api.ErrInDoubt, false)
		assert.Zero(l, read[change.SubmitMemory](l, end.last()).LastCleanAttempt)

		next := l.submit(attempt{number: 2, details: end.last()})
		require.NoError(l, next.err)
		assert.NotEmpty(l, next.result.Seen)
		assert.Equal(l, 1, l.changes())
	})
}
