package activities

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// heart beats for an activity while it waits on the cloud. One call may take as long as a request's
// timeout, so the beat cannot hang on the loop that makes the calls. A frozen or killed process stops
// beating, and Temporal gives the activity to another worker.
type heart struct {
	details atomic.Value
	done    chan struct{}
	stopped chan struct{}

	// trusted is how long Temporal trusts a silent attempt.
	trusted time.Duration
	mu      sync.Mutex
	last    time.Time // of the beats
	stalled bool
}

// beatEvery is well below the heartbeat timeouts; the SDK batches beats that come faster than needed.
const beatEvery = 2 * time.Second

// startHeart beats with the details until stop is called. The details reach the next attempt.
func startHeart(ctx context.Context, details any) *heart {
	h := &heart{done: make(chan struct{}), stopped: make(chan struct{}), trusted: activity.GetInfo(ctx).HeartbeatTimeout}
	h.say(ctx, details)
	go func() {
		defer close(h.stopped)
		ticker := time.NewTicker(beatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-h.done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				h.beats()
				activity.RecordHeartbeat(ctx, h.details.Load())
			}
		}
	}()
	return h
}

// say changes the details and beats once. The details keep one type for the life of a heart.
func (h *heart) say(ctx context.Context, details any) {
	h.beats()
	h.details.Store(details)
	activity.RecordHeartbeat(ctx, details)
}

// beats tells whether the attempt can still be the one that Temporal waits for. One that stood still for too long,
// because its process was frozen, has a successor by now that it knows nothing of: its next heartbeat will be
// refused, but it must not act until then. The monotonic clock stands still while a machine is suspended, so the
// wall clock counts too.
func (h *heart) beats() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	silent := max(now.Sub(h.last), now.Round(0).Sub(h.last.Round(0)))
	if !h.last.IsZero() && h.trusted > 0 && silent > h.trusted {
		h.stalled = true
	}
	h.last = now
	return !h.stalled
}

// errStalled is why an attempt does not act any more.
var errStalled = errors.New("this worker stood still for longer than Temporal trusts a silent one: whatever it was about to do is another attempt's by now")

func (h *heart) stop() {
	close(h.done)
	<-h.stopped
}
