package activities

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// rememberedFor is for how long an image or a key pair counts as read. It decides only what is refused early: the cloud
// looks at it again when it accepts the change.
const rememberedFor = 5 * time.Minute

// remembered are answers that are read once for many servers: every server of a rollout asks for the same.
type remembered[T any] struct {
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]rememberedAnswer[T]
}

type rememberedAnswer[T any] struct {
	value T
	at    time.Time
}

// get asks, or takes the answer that others got a moment ago. An error is not kept.
func (r *remembered[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	if value, ok := r.fresh(key); ok {
		return value, nil
	}
	// Others wait for this answer too, so it does not end with the one who happened to ask first.
	answer := r.asking.DoChan(key, func() (any, error) {
		value, err := ask(context.WithoutCancel(ctx))
		if err == nil {
			r.keep(key, value)
		}
		return value, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case got := <-answer:
		value, _ := got.Val.(T)
		return value, got.Err
	}
}

func (r *remembered[T]) fresh(key string) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, ok := r.known[key]
	return answer.value, ok && time.Since(answer.at) < rememberedFor
}

func (r *remembered[T]) keep(key string, value T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]rememberedAnswer[T]{}
	}
	r.known[key] = rememberedAnswer[T]{value, time.Now()}
}
