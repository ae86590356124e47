package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pending/pendingtest"
	"github.com/reimage/reimage/rollout/change"
)

// forgetful is a Temporal without any workflow but those of pendingtest.
type forgetful struct{ pendingtest.Temporal }

// ownRun is the id of the run that has the SDK's test environment run an activity.
const ownRun = "default-test-run-id"

func (forgetful) RecordActivityHeartbeat(context.Context, []byte, ...any) error { return nil }

func (forgetful) SignalWorkflow(context.Context, string, string, string, any) error { return nil }

// waiting is a Temporal that still waits for the attempt, unless the function says otherwise.
type waiting struct {
	forgetful
	answer func(ctx context.Context) error
}

func (w waiting) RecordActivityHeartbeat(ctx context.Context, _ []byte, _ ...any) error {
	return w.answer(ctx)
}

// TestNothingIsWrittenThatTemporalDoesNotConfirm: an attempt that was frozen, or is cut off, has a successor that it
// cannot know of.
func TestNothingIsWrittenThatTemporalDoesNotConfirm(t *testing.T) {
	answers := map[string]struct {
		answer func(context.Context) error
		took   time.Duration
		says   string
	}{
		"another attempt carries on": {
			func(context.Context) error { return serviceerror.NewNotFound("activity not found") }, 0, "nothing was sent: Temporal has given up this attempt, and another one carries on",
		},
		"paused by hand":    {func(context.Context) error { return activity.ErrActivityPaused }, 0, "somebody has stopped this attempt by hand"},
		"reset by hand":     {func(context.Context) error { return activity.ErrActivityReset }, 0, "somebody has stopped this attempt by hand"},
		"cancelled by hand": {func(context.Context) error { return temporal.NewCanceledError() }, 0, "somebody has stopped this attempt by hand"},
		"not reached":       {func(context.Context) error { return serviceerror.NewUnavailable("down") }, 0, "Temporal does not say whether it still waits for this attempt: down"},
		"cut off": {
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 10 * time.Second, "Temporal does not say whether it still waits for this attempt: context deadline exceeded",
		},
	}
	writes := map[string]struct {
		from func() emulator.Options
		make func(l *lab) error
	}{
		emulator.OpChangeOS: {stopped, func(l *lab) error { return l.submit(attempt{}).err }},
		emulator.OpStop:     {running, func(l *lab) error { return l.stop(attempt{}, false).err }},
		emulator.OpStart:    {stopped, func(l *lab) error { return l.restore(attempt{}, true).err }},
	}
	for what, test := range answers {
		for op, write := range writes {
			t.Run(what+", "+op, func(t *testing.T) {
				inLab(t, write.from(), func(l *lab) {
					l.acts.Temporal = waiting{answer: test.answer}
					began := time.Now()
					err := write.make(l)
					assert.Equal(l, test.took, time.Since(began))
					failed := failsWith(l, err, api.ErrNotSent, false)
					assert.Contains(l, failed.Message(), "server "+l.server.ID)
					assert.Contains(l, failed.Message(), test.says)
					assert.Empty(l, l.cloud.Ledger().Servers[l.server.ID].Writes)
				})
			})
		}
	}
}

// TestTheLookIsTooOldToConfirm: it is the cloud that was slow, not Temporal.
func TestTheLookIsTooOldToConfirm(t *testing.T) {
	slow := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Latency, Delay: requestTimeout - time.Second}
	inLab(t, withFaults(stopped(), slow), func(l *lab) {
		l.acts.Temporal = waiting{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		failed := failsWith(l, l.submit(attempt{}).err, api.ErrNotSent, false)
		assert.Contains(l, failed.Message(), "the look at the server is too old by now")
		assert.Zero(l, l.sent())
	})
}

// TestUnconfirmedIsNoDoubt: nothing was sent, so the next attempt need not settle.
func TestUnconfirmedIsNoDoubt(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.acts.Temporal = waiting{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		end := l.submit(attempt{})
		failsWith(l, end.err, api.ErrNotSent, false)
		l.acts.Temporal = forgetful{}
		next := l.submit(attempt{number: 2, details: end.last()})
		require.NoError(l, next.err)
		assert.Less(l, next.took, testTiming().Settle)
		assert.Equal(l, 1, l.changes())
	})
}

// TestConfirmedByTheAttemptAndItsWords: Temporal is asked by the attempt's own token, with what the attempt says.
func TestConfirmedByTheAttemptAndItsWords(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		var asked heartbeats
		l.acts.Temporal = &asked
		require.NoError(l, l.submit(attempt{}).err)
		require.Len(l, asked.all, 1, "one question for each write")
		assert.NotEmpty(l, asked.all[0].token)
		assert.Equal(l, []any{change.SubmitMemory{Phase: "sending the change"}}, asked.all[0].details)
	})
}

type heartbeats struct {
	forgetful
	all []heartbeat
}

type heartbeat struct {
	token   []byte
	details []any
}

func (h *heartbeats) RecordActivityHeartbeat(_ context.Context, token []byte, details ...any) error {
	h.all = append(h.all, heartbeat{token, details})
	return nil
}
