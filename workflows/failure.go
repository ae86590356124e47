package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// kind is the type of the activity error behind err, one of the list in package api, or empty.
func kind(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// isFinal is true for trouble that trying again cannot mend.
func isFinal(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.NonRetryable()
}

// diskOf is the disk that an activity has found in place of the one that was meant, as far as it tells.
func diskOf(err error) (found rollout.Observation) {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.Type() == api.ErrForeignDisk && app.HasDetails() {
		_ = app.Details(&found.Fingerprint) // what does not tell is nobody's
	}
	return found
}

// failureKind is the kind of failure behind a refusal, as far as it tells.
func failureKind(err error) (found rollout.FailureKind) {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case !ok:
		return ""
	case app.Type() == api.ErrInvalid:
		return rollout.FailureOfServer
	case app.Type() == api.ErrRefused && app.HasDetails():
		_ = app.Details(&found) // what does not tell is of no kind
	}
	return found
}

// tookTooLong is true for an activity that was given up, whatever its last trouble was.
func tookTooLong(err error) bool {
	_, ok := errors.AsType[*temporal.TimeoutError](err)
	return ok
}

// said is what went wrong in the activity's own words, without Temporal's wrapping.
func said(err error) string {
	// First: a timeout carries the last failure, which would be taken for the whole story.
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		if cause := errors.Unwrap(timeout); cause != nil {
			return "it took too long; last trouble: " + said(cause)
		}
		return "it took too long (" + timeout.TimeoutType().String() + ")"
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	return err.Error()
}
