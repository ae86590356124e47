package ecs

import (
	"context"
	"time"
)

// WriteCheck decides whether a write may be sent. It runs when the write has its turn, before the connection is made. The
// first byte is written before the returned time or not at all; the zero time sets no limit. After an error nothing is
// sent.
type WriteCheck func(ctx context.Context) (beginBy time.Time, err error)

type writeCheckKey struct{}

// WithWriteCheck returns a context whose writes depend on the check. Reads, and requests for a token, do not.
func WithWriteCheck(ctx context.Context, check WriteCheck) context.Context {
	return context.WithValue(ctx, writeCheckKey{}, check)
}

func writeCheckOf(ctx context.Context) WriteCheck {
	check, _ := ctx.Value(writeCheckKey{}).(WriteCheck)
	return check
}

// allowed asks the check of the request, if it has one.
func (r request) allowed(ctx context.Context) (beginBy time.Time, err error) {
	if r.check == nil {
		return time.Time{}, nil
	}
	return r.check(ctx)
}
