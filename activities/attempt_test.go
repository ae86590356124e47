package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
)

// attempt is one attempt of an activity, as Temporal would start it.
type attempt struct {
	number int32 // zero means the first
	// scheduled is when the workflow asked for the activity. Zero means now.
	scheduled time.Time
	details   *converter.RawValue
	ctx       context.Context // cancelled from outside; nil for never
	stop      chan struct{}   // closed when the worker is told to stop; nil for never
}

// progress is a heartbeat to start from.
func progress[P any](t require.TestingT, p P) *converter.RawValue {
	payload, err := converter.GetDefaultDataConverter().ToPayload(p)
	require.NoError(t, err)
	raw := converter.NewRawValue(payload)
	return &raw
}

// ended is how an attempt ended.
type ended[O any] struct {
	result O
	err    error
	beats  []converter.RawValue // the heartbeats that reached Temporal
	took   time.Duration
}

// last is the last heartbeat that reached Temporal.
func (e ended[O]) last() *converter.RawValue {
	if len(e.beats) == 0 {
		return nil
	}
	return &e.beats[len(e.beats)-1]
}

// first is the heartbeat that had reached Temporal when the worker was killed soon after.
func (e ended[O]) first() *converter.RawValue {
	if len(e.beats) == 0 {
		return nil
	}
	return &e.beats[0]
}

// read decodes a heartbeat.
func read[P any](t require.TestingT, raw *converter.RawValue) P {
	var p P
	require.NotNil(t, raw, "there was no heartbeat")
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &p))
	return p
}

// run makes one attempt of an activity in Temporal's test environment.
func run[I, O any](l *lab, method func(context.Context, I) (O, error), in I, a attempt) ended[O] {
	l.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(l.logs, nil))))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{
		BackgroundActivityContext: a.ctx,
		Interceptors:              []interceptor.WorkerInterceptor{&numbered{number: max(1, a.number), scheduled: a.scheduled}},
	})
	env.RegisterActivity(method)
	if a.details != nil {
		env.SetHeartbeatDetails(*a.details)
	}
	if a.stop != nil {
		env.SetWorkerStopChannel(a.stop)
	}
	var end ended[O]
	var mu sync.Mutex // the SDK beats from a goroutine of its own
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var raw converter.RawValue
		assert.NoError(l, details.Get(&raw))
		mu.Lock()
		defer mu.Unlock()
		end.beats = append(end.beats, raw)
	})
	begun := time.Now()
	value, err := env.ExecuteActivity(method, in)
	end.took = time.Since(begun)
	synctest.Wait()
	end.err = err
	if err == nil {
		var raw converter.RawValue
		require.NoError(l, value.Get(&raw))
		l.showsNoSecret("the result", string(raw.Payload().GetData()))
		require.NoError(l, value.Get(&end.result))
	} else {
		l.showsNoSecret("the error", temporal.GetDefaultFailureConverter().ErrorToFailure(err).String())
	}
	for _, beat := range end.beats {
		l.showsNoSecret("a heartbeat", string(beat.Payload().GetData()))
	}
	return end
}

// course is an activity with all its attempts.
type course[O any] struct {
	ended[O]         // of the last attempt
	attempts []error // how each attempt ended, nil for the last one that succeeded
}

// patience bounds the attempts of one activity, as the schedule-to-close timeout does.
const patience = 30

// firstRetry is the first pause of the retry policy of SubmitChangeOS.
const firstRetry = 5 * time.Second

// persist runs an activity the way Temporal does: again after each error that may pass, after the pause
// the error asks for, with the heartbeat the last attempt left. It begins with the given attempt.
func persist[I, O any](l *lab, method func(context.Context, I) (O, error), in I, from attempt) course[O] {
	l.Helper()
	a := from
	a.number, a.scheduled = max(1, a.number), time.Now()
	var c course[O]
	for len(c.attempts) < patience {
		c.ended = run(l, method, in, a)
		c.attempts = append(c.attempts, c.err)
		failed, ok := errors.AsType[*temporal.ApplicationError](c.err)
		if !ok || failed.NonRetryable() {
			break
		}
		pause := failed.NextRetryDelay()
		if pause == 0 {
			pause = firstRetry
		}
		time.Sleep(pause)
		a.number++
		a.details = c.last()
	}
	return c
}

// kinds are the types of the errors of all attempts, "" for success.
func (c course[O]) kinds() []string {
	var kinds []string
	for _, err := range c.attempts {
		kinds = append(kinds, kindOf(err))
	}
	return kinds
}

// kindOf is the type of an activity's error, "" when there is none.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return failed.Type()
	}
	return "not typed: " + err.Error()
}

// failsWith checks the error's type and whether it is final.
func failsWith(l *lab, err error, kind string, final bool) *temporal.ApplicationError {
	l.Helper()
	failed, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(l, ok, "%v", err)
	require.Equal(l, kind, failed.Type(), "%v", err)
	assert.Equal(l, final, failed.NonRetryable(), "final: %v", err)
	return failed
}

// numbered gives the attempt its number and its age: the test environment itself only knows the first.
type numbered struct {
	interceptor.WorkerInterceptorBase
	number    int32
	scheduled time.Time
}

func (n *numbered) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &numberedInbound{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, numbered: n}
}

type numberedInbound struct {
	interceptor.ActivityInboundInterceptorBase
	*numbered
}

func (n *numberedInbound) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	return n.Next.Init(&numberedOutbound{
		ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: outbound}, numbered: n.numbered,
	})
}

type numberedOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	*numbered
}

func (n *numberedOutbound) GetInfo(ctx context.Context) activity.Info {
	info := n.Next.GetInfo(ctx)
	info.Attempt = n.number
	if !n.scheduled.IsZero() {
		info.ScheduledTime = n.scheduled
	}
	return info
}
