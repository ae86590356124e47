package faults

import (
	"context"
	"net/http/httptrace"
	"path"
	"slices"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
)

// throttle is for how long the SDK holds a heartbeat back, as the worker sets it.
const throttle = 4 * time.Second

// onItsWay is how long an attempt takes to a worker, at most. As each takes another time, which of two comes first
// is in the hands of the seed.
const onItsWay = 100 * time.Millisecond

// attempt is one attempt of an activity between Temporal and a worker process. The test environment runs an
// activity and retries it; what it lacks is a worker that dies. So the attempt plays Temporal's side: it keeps the
// heartbeats that were delivered, gives up on an attempt that has gone silent or takes too long, and lets the
// environment start the next one while the process may still be at it. The environment itself is told of no limits
// (unlimited), because it would count all attempts as one.
type attempt struct {
	interceptor.ActivityInboundInterceptorBase
	world    *world
	process  *process
	activity string
	server   string // the name of the one that it is about, empty for none
	key      string // of the activity, the same for all its attempts
	life     *lifetime

	mu      sync.Mutex
	heard   time.Time          // when the last heartbeat was delivered, or the attempt began
	pending *commonpb.Payloads // a heartbeat that the SDK holds back
	// reported is true once a heartbeat was delivered, gone once Temporal has given up on the attempt.
	reported, gone bool
}

type attemptKey struct{}

type returned struct {
	result any
	err    error
	alive  bool
}

// ExecuteActivity runs the attempt on some process and waits for it no longer than Temporal would.
func (a *attempt) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.ActivityType.Name == clockName {
		return a.Next.ExecuteActivity(ctx, in)
	}
	a.activity, a.key = info.ActivityType.Name, info.WorkflowExecution.RunID+"/"+info.ActivityID
	a.server = a.world.names[path.Base(info.WorkflowExecution.ID)]
	limits := a.world.limits(info.WorkflowExecution.RunID, a.activity)
	var last time.Time
	if limits.ScheduleToCloseTimeout > 0 {
		last = a.world.scheduled(a.key).Add(limits.ScheduleToCloseTimeout)
	}
	lot := a.world.lot(info)
	time.Sleep(time.Duration(lot.Int64N(int64(onItsWay))))
	if a.process = a.world.assign(lot, last); a.process == nil {
		return nil, temporal.NewNonRetryableApplicationError("no worker took it in time", "ScheduleToClose", nil)
	}
	begun := time.Now()
	deadline := begun.Add(limits.StartToCloseTimeout)
	if !last.IsZero() && last.Before(deadline) {
		deadline = last
	}
	a.heard = begun
	a.life = newLifetime(a.trace(context.WithValue(context.WithoutCancel(ctx), attemptKey{}, a)), a.process, deadline)
	a.process.begin(a)
	done := make(chan returned, 1)
	a.world.running.Go(func() {
		defer a.life.end(context.Canceled)
		defer a.process.end(a)
		a.world.lendBefore(a.activity, a.server)
		a.at(attemptBegins)
		result, err := a.Next.ExecuteActivity(a.life, in)
		done <- returned{result, err, a.at(attemptReturned) && a.process.online()}
	})
	for {
		wait := time.Until(deadline)
		if limits.HeartbeatTimeout > 0 {
			wait = min(wait, time.Until(a.lastHeard().Add(limits.HeartbeatTimeout)))
		}
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case r := <-done:
			timer.Stop()
			if r.alive {
				a.flush()
				a.world.scan(a.activity, r.result, r.err)
				return r.result, r.err
			}
			done = nil // it died with the process
		case <-timer.C:
		}
		switch now := time.Now(); {
		case !now.Before(deadline) && !last.IsZero() && !now.Before(last):
			a.giveUp()
			return nil, temporal.NewNonRetryableApplicationError("it took too long", "ScheduleToClose", nil)
		case !now.Before(deadline):
			a.giveUp()
			return nil, temporal.NewApplicationError("it took too long", "StartToClose")
		case limits.HeartbeatTimeout > 0 && !now.Before(a.lastHeard().Add(limits.HeartbeatTimeout)):
			a.giveUp()
			return nil, temporal.NewApplicationError("its heart has stopped", "HeartbeatTimeout")
		}
	}
}

func (a *attempt) at(moment string) (alive bool) {
	return a.process.at(Point{moment, a.activity}, a.server)
}

// trace follows the requests that the attempt makes. Those with a body are writes; when the length of the body is put
// into the buffer, nothing of it has gone to the connection, which first compares the clock.
func (a *attempt) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c, ok := info.Conn.LocalAddr().(*conn); ok {
				c.serve(a)
			}
		},
		WroteHeaderField: func(key string, value []string) {
			if key == "Content-Length" && !slices.Equal(value, []string{"0"}) {
				a.process.reach(Point{requestDecided, a.activity}, a.server)
			}
		},
	})
}

// lifetime is the context of an attempt. What ends it reaches a frozen process when that has thawed, and then after the
// instructions that it was about to carry out.
type lifetime struct {
	context.Context
	deadline time.Time
	timer    *time.Timer
	done     chan struct{}
	mu       sync.Mutex
	err      error
}

func newLifetime(ctx context.Context, p *process, deadline time.Time) *lifetime {
	l := &lifetime{Context: ctx, deadline: deadline, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(time.Until(deadline), func() { l.reach(p, context.DeadlineExceeded) })
	return l
}

// reach ends the context once the process is not frozen.
func (l *lifetime) reach(p *process, err error) {
	for d := p.belated(); d > 0; d = p.belated() {
		time.Sleep(d)
	}
	l.end(err)
}

func (l *lifetime) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	if l.err == nil {
		l.err = err
		close(l.done)
	}
}

func (l *lifetime) Deadline() (time.Time, bool) { return l.deadline, true }
func (l *lifetime) Done() <-chan struct{}       { return l.done }

func (l *lifetime) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (a *attempt) lastHeard() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard
}

// giveUp starts nothing: whoever is still at it goes on until its next heartbeat is refused.
func (a *attempt) giveUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
}

// flush delivers the heartbeat that was held back, as the SDK does at the end of an attempt.
func (a *attempt) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending != nil && !a.gone {
		a.world.beat(a.key, a.pending)
	}
}

// Init puts the attempt between the activity and the SDK.
func (a *attempt) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	return a.Next.Init(&surroundings{ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: outbound}, attempt: a})
}

// surroundings are what an activity sees of Temporal.
type surroundings struct {
	interceptor.ActivityOutboundInterceptorBase
	*attempt
}

// GetInfo says what the environment does not keep: when the activity was scheduled, and how long it may be silent.
func (s *surroundings) GetInfo(ctx context.Context) activity.Info {
	info := s.Next.GetInfo(ctx)
	info.HeartbeatTimeout = s.world.limits(info.WorkflowExecution.RunID, info.ActivityType.Name).HeartbeatTimeout
	info.ScheduledTime = s.world.scheduled(info.WorkflowExecution.RunID + "/" + info.ActivityID)
	return info
}

// RecordHeartbeat delivers a heartbeat, or holds it back for a while. One of an attempt that was given up is
// answered by a cancel.
func (s *surroundings) RecordHeartbeat(_ context.Context, details ...any) {
	if s.process == nil || !s.at(attemptBeats) {
		return
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(details...)
	if err != nil {
		panic(err) // a defect of the activity
	}
	if s.deliver(payloads) {
		s.at(attemptBeaten)
	}
}

func (s *surroundings) deliver(payloads *commonpb.Payloads) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.process.cut() > 0:
		s.pending = payloads
	case s.gone && !s.reported: // the first one is sent at once, and waited for
		s.life.end(context.Canceled)
	case s.gone:
		s.world.later(s.world.refusalDelay, func() { s.life.reach(s.process, context.Canceled) })
	case s.reported && now.Sub(s.heard) < throttle:
		s.pending = payloads
	default:
		s.heard, s.pending, s.reported = now, nil, true
		s.world.beat(s.key, payloads)
		return true
	}
	return false
}

// asked is Temporal, which answers an attempt that asks whether it is still the one that counts, or what was sent to a
// server before.
type asked struct{ world *world }

func (t asked) RecordActivityHeartbeat(ctx context.Context, _ []byte, details ...any) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		panic("whoever asks Temporal is no attempt")
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(details...)
	if err != nil {
		panic(err) // a defect of the activity
	}
	if !a.at(attemptAsks) {
		return errDead
	}
	if err := t.reach(ctx); err != nil {
		return err
	}
	if !a.confirm(payloads) {
		return serviceerror.NewNotFound("no activity with this token")
	}
	if !a.at(attemptAnswered) {
		return errDead
	}
	return nil
}

// confirm takes a heartbeat, unless the attempt was given up.
func (a *attempt) confirm(payloads *commonpb.Payloads) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return false
	}
	a.heard, a.pending, a.reported = time.Now(), nil, true
	a.world.beat(a.key, payloads)
	return true
}

// HasHeartbeatDetails tells whether an earlier attempt left a heartbeat.
func (s *surroundings) HasHeartbeatDetails(context.Context) bool { return s.world.beaten(s.key) != nil }

// GetHeartbeatDetails reads the heartbeat that an earlier attempt left.
func (s *surroundings) GetHeartbeatDetails(_ context.Context, into ...any) error {
	return converter.GetDefaultDataConverter().FromPayloads(s.world.beaten(s.key), into...)
}

// GetWorkerStopChannel is closed when the process is told to stop.
func (s *surroundings) GetWorkerStopChannel(context.Context) <-chan struct{} { return s.process.stop }
