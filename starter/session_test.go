package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/serviceerror"
)

// TestDeclined: only Temporal's own word is proof that nothing was started.
func TestDeclined(t *testing.T) {
	for _, err := range []error{
		serviceerror.NewInvalidArgument("the id is too long"), serviceerror.NewPermissionDenied("no", ""),
		serviceerror.NewNamespaceNotFound("fleet"), serviceerror.NewResourceExhausted(0, "slow down"),
	} {
		assert.True(t, declined(err), "%T", err)
	}
	for _, err := range []error{
		serviceerror.NewUnavailable("connection refused"), serviceerror.NewDeadlineExceeded("late"), serviceerror.NewCanceled("gone"),
		serviceerror.NewInternal("stream terminated by RST_STREAM"), context.DeadlineExceeded, context.Canceled, errors.New("EOF"),
	} {
		assert.False(t, declined(err), "%T", err)
	}
}
