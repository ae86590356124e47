package activities

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// heart beats for an activity while it waits on the cloud. One call may take as long as a request's
// timeout, so the beat cannot hang on the loop that makes the calls. A frozen or killed process stops
// beating, and Temporal gives the activity to another worker.
type heart struct {
	details atomic.Value
	// turn holds a value while details are handed over, so that none are after newer ones. It is no mutex: a process that
	// is frozen in the middle holds it, and simulated time would stand still.
	turn    chan struct{}
	done    chan struct{}
	stopped chan struct{}
}

// beatEvery is well below the heartbeat timeouts; the SDK batches beats that come faster than needed.
const beatEvery = 2 * time.Second

// startHeart beats with the details until stop is called. The details reach the next attempt.
func startHeart(ctx context.Context, details any) *heart {
	h := &heart{turn: make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{})}
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
				h.beat(ctx)
			}
		}
	}()
	return h
}

// say changes the details and beats once. The details keep one type for the life of a heart.
func (h *heart) say(ctx context.Context, details any) {
	h.details.Store(details)
	h.beat(ctx)
}

func (h *heart) beat(ctx context.Context) {
	h.turn <- struct{}{}
	activity.RecordHeartbeat(ctx, h.details.Load())
	<-h.turn
}

func (h *heart) stop() {
	close(h.done)
	<-h.stopped
}
