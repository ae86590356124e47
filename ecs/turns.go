package ecs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// DefaultCallsPerSecond stays well below the 71 calls a second at which one report saw the gateway begin to
	// throttle (nothing is published), so that there is room for a few workers and a console beside this client.
	DefaultCallsPerSecond = 20
	// MinCallsPerSecond is the least that can be asked for.
	MinCallsPerSecond = 2

	// recovery is how long it takes from a standstill back to the full pace: a limit that nobody names is then
	// tried again every few minutes and not every few seconds.
	recovery = 10 * time.Minute
	// slowest is the least pace, in calls per second.
	slowest rate.Limit = 0.2
	// breather is for a cloud that throttles without saying for how long.
	breather = time.Second
	// remembered is how long a limit that the cloud named is kept to.
	remembered = time.Hour
	// seldomest is the least pace that a limit leads to: after that, a call finds out.
	seldomest = rate.Limit(1 / float64(longestPause/time.Second))
)

// ErrNoTurn is why a call was not sent: it waited for others of the same client until its context ended, or would
// have. Nothing was asked of the cloud.
var ErrNoTurn = errors.New("it did not get its turn in time: the client makes no more calls per second than it may, and fewer when the cloud throttles")

func noTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoTurn, err)
	}
	return ErrNoTurn // there is no use in waiting: the context will end first
}

// hurry is which calls let which others pass.
type hurry int

const (
	hurried   hurry = iota // about what is under way
	unhurried              // about what has not begun
	urgent                 // a write, and the look that justifies one
)

// turns are what the calls of a client wait for, so that it never makes more per second than it may. It slows down
// by half when the cloud throttles, and recovers by and by.
//
// Urgent calls go first: each waits for one other at most, besides its like, because of all others only the one in
// the gate has a turn coming. Unhurried ones go last: of them only one at a time waits at the gate.
type turns struct {
	full    rate.Limit
	limiter *rate.Limiter
	// gate and antechamber hold a value while somebody is inside.
	gate, antechamber chan struct{}

	mu sync.Mutex
	// slowed is when the client slowed down last, and slow its pace then. Zero for never.
	slowed time.Time
	slow   rate.Limit
	// shut is until when the cloud asked for silence.
	shut time.Time
	// limited are those of single APIs, of which the cloud named the limit. Their calls wait there first.
	limited map[string]*limit
}

// limit is what the gateway allows one API: its limits are by method and path.
type limit struct {
	*turns
	forgotten time.Time
}

// newTurns allows that many calls in any one second: a quarter of them at once, the others evenly.
func newTurns(callsPerSecond int) *turns {
	burst := max(1, callsPerSecond/4)
	return turnsAt(rate.Limit(callsPerSecond-burst), burst)
}

func turnsAt(full rate.Limit, burst int) *turns {
	return &turns{
		full: full, limiter: rate.NewLimiter(full, burst),
		gate: make(chan struct{}, 1), antechamber: make(chan struct{}, 1), limited: map[string]*limit{},
	}
}

func checkCallsPerSecond(calls int) error {
	if calls < MinCallsPerSecond {
		return fmt.Errorf("%d calls per second are too few: at least %d", calls, MinCallsPerSecond)
	}
	return nil
}

// wait returns when a call of the API may be sent, or an error when the context ends first. It never outlasts the
// context: whoever sends then would send on an old view.
func (t *turns) wait(ctx context.Context, api string, how hurry) error {
	if own := t.limitOf(api, time.Now()); own != nil {
		if err := own.pass(ctx, how); err != nil {
			return err
		}
	}
	return t.pass(ctx, how)
}

func (t *turns) pass(ctx context.Context, how hurry) error {
	if how == unhurried {
		if !enter(ctx, t.antechamber) {
			return noTurn(ctx)
		}
		defer leave(t.antechamber)
	}
	if how != urgent {
		if !enter(ctx, t.gate) {
			return noTurn(ctx)
		}
		defer leave(t.gate)
	}
	for {
		t.adjust(time.Now())
		if t.limiter.Wait(ctx) != nil {
			return noTurn(ctx)
		}
		silence := t.silence(time.Now())
		if silence <= 0 {
			return nil
		}
		timer := time.NewTimer(silence)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return noTurn(ctx)
		}
	}
}

func enter(ctx context.Context, room chan struct{}) bool {
	select {
	case room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func leave(room chan struct{}) { <-room }

// throttled heeds an answer to a call of the API that was sent at that time. Silence is what the cloud asked for, 0
// for nothing. When it named a limit, that is the API's alone, and so are the silence and the pace: a limit of a few
// changes of OS a minute does not keep anybody from looking at servers.
func (t *turns) throttled(api string, sent time.Time, silence time.Duration, named quota) {
	now := time.Now()
	if named.calls <= 0 || named.window <= 0 {
		t.slowDown(sent, now, silence)
		return
	}
	// Three quarters: others use the account too, and the windows of the cloud are not ours.
	t.learn(api, now, max(seldomest, rate.Limit(0.75*float64(named.calls)/named.window.Seconds()))).slowDown(sent, now, silence)
}

// slowDown halves the pace, once for all the calls that were under way together.
func (t *turns) slowDown(sent, now time.Time, silence time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sent.After(t.slowed) {
		t.slow, t.slowed = max(slowest, t.pace(now)/2), now
	}
	if silence == 0 {
		silence = breather
	}
	// Nobody is kept waiting for longer than one limit of the gateway lasts: after that, a call finds out.
	if until := now.Add(min(silence, longestPause)); until.After(t.shut) {
		t.shut = until
	}
}

// learn gives the turns of an API whose limit allows that pace. New ones begin no faster than half of what was too
// fast.
func (t *turns) learn(api string, now time.Time, pace rate.Limit) *turns {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.limited[api]
	if own == nil || now.After(own.forgotten) {
		own = &limit{turns: turnsAt(pace, 1)}
		own.slow, own.slowed = t.pace(now)/2, now
		t.limited[api] = own
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	own.full, own.forgotten = min(own.full, pace), now.Add(remembered) // an API may have two limits
	return own.turns
}

// limitOf gives the turns of an API whose limit is known, otherwise nil.
func (t *turns) limitOf(api string, now time.Time) *turns {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.limited[api]
	if own == nil || now.After(own.forgotten) {
		return nil
	}
	return own.turns
}

// pace is the one of this moment, in calls per second.
func (t *turns) pace(now time.Time) rate.Limit {
	pace := t.full
	if !t.slowed.IsZero() {
		pace = min(pace, t.slow+t.full*rate.Limit(now.Sub(t.slowed).Seconds()/recovery.Seconds()))
	}
	return pace
}

func (t *turns) adjust(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pace := t.pace(now)
	if pace == t.limiter.Limit() {
		return
	}
	t.limiter.SetLimitAt(now, pace)
	t.limiter.SetBurstAt(now, max(1, int(pace/3))) // at the full pace a quarter of all calls, as in newTurns
}

func (t *turns) silence(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shut.Sub(now)
}
