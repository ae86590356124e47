package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// kind is the type of the activity error behind err, one of the list in package api, or empty.
func kind(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// failureOf is the error of an activity as an event. The zero value is none.
func failureOf(err error) change.Failure {
	if err == nil {
		return change.Failure{}
	}
	f := change.Failure{Type: change.ErrorType(kind(err)), Message: said(err)}
	_, f.TimedOut = errors.AsType[*temporal.TimeoutError](err)
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return f
	}
	f.Final = app.NonRetryable()
	// Details that cannot be read are as good as none: a refusal has no kind then, and a disk is unknown.
	switch f.Type {
	case change.Invalid:
		f.Kind = rollout.FailureOfServer
	case change.Refused:
		if app.HasDetails() {
			_ = app.Details(&f.Kind)
		}
	case change.DiskReplaced:
		if app.HasDetails() {
			_ = app.Details(&f.Disk)
		}
	case change.Recalled:
		f.Touched = true // the safe side
		if app.HasDetails() {
			_ = app.Details(&f.Touched)
		}
	}
	return f
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
