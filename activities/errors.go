package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// throttlePause is how long to wait when the cloud throttles without saying for how long. One public
// edition advises up to a minute; retries that are refused count against the quota again.
const throttlePause = 20 * time.Second

// cloudError is the one mapper from the client's errors to Temporal's. A cancelled context wins: then
// the error is only the echo of the cancellation, or of a worker that stops.
func (s site) cloudError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	cloud, ok := errors.AsType[*ecs.Error](err)
	if !ok {
		return err
	}
	if barred(cloud) {
		return final(api.ErrCredentials, s.credentialsRefused(cloud))
	}
	switch cloud.Class() {
	case ecs.ClassInvalid:
		return final(api.ErrInvalid, cloud)
	case ecs.ClassNotFound:
		return final(api.ErrVanished, cloud)
	case ecs.ClassPermanent, ecs.ClassState:
		return refusedByCloud(cloud)
	case ecs.ClassThrottled:
		return throttled(cloud)
	default:
		return again(api.ErrCloud, cloud, 0)
	}
}

// readError is the mapper for questions about a server that was touched already: apart from a question
// that cannot be asked, everything may pass. Credentials get renewed, and no answer is no reason to leave a
// server without its power or its disk unwatched.
func (s site) readError(ctx context.Context, err error) error {
	cloud, ok := errors.AsType[*ecs.Error](err)
	if !ok || ctx.Err() != nil {
		return s.cloudError(ctx, err)
	}
	if barred(cloud) {
		return again(api.ErrCredentials, s.credentialsRefused(cloud), 0)
	}
	switch cloud.Class() {
	case ecs.ClassInvalid, ecs.ClassThrottled:
		return s.cloudError(ctx, err)
	}
	return again(api.ErrCloud, cloud, 0)
}

// barred is true when the cloud does not accept the credentials, or lets them not make such a call: it would refuse
// every other server, too, until somebody mends that.
func barred(err *ecs.Error) bool { return err.Class() == ecs.ClassAuth || err.Unpermitted() }

// credentialsRefused names what whoever mends it has to look for.
func (s site) credentialsRefused(err *ecs.Error) error {
	if err.Cause() == ecs.CauseProject { // nothing is wrong with them
		if s.Cloud.ProjectID() == "" {
			return err // Profile.resolveProject has named the profile
		}
		return fmt.Errorf("profile %s: %w", s.Name, err)
	}
	if err.Class() != ecs.ClassAuth {
		return fmt.Errorf("the credentials of profile %s lack a permission: %w", s.Name, err)
	}
	return fmt.Errorf("the cloud refuses the credentials of profile %s: %w", s.Name, err)
}

// throttled is retried after the pause that the cloud asked for.
func throttled(err *ecs.Error) error {
	delay := err.RetryAfter
	if delay == 0 {
		delay = throttlePause
	}
	return again(api.ErrThrottled, err, delay)
}

// final is an error that trying again cannot mend.
func final(kind string, err error) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind, temporal.ApplicationErrorOptions{NonRetryable: true})
}

// refusedByCloud is the error for what the cloud refused. Its detail is the kind of failure.
func refusedByCloud(err error) error {
	kind := rollout.FailureOfServer
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && cloud.OfRequest() {
		kind = rollout.FailureOfChange
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), api.ErrRefused, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{kind}})
}

// again is an error that is expected to pass. Zero leaves the delay to the retry policy. What belongs to
// a normal day is benign, so that logs and failure metrics show only real trouble.
func again(kind string, err error, delay time.Duration) error {
	options := temporal.ApplicationErrorOptions{NextRetryDelay: delay}
	switch kind {
	case api.ErrThrottled, api.ErrNotReady, api.ErrWorkerStopping:
		options.Category = temporal.ApplicationErrorCategoryBenign
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind, options)
}

func workerStopping() error {
	return again(api.ErrWorkerStopping, errors.New("the worker was told to stop; another one carries on"), time.Second)
}

func isNotFound(err error) bool { return hasClass(err, ecs.ClassNotFound) }

// isAnswer is true when the cloud took the question, and says that it has no answer.
func isAnswer(err error) bool {
	cloud, ok := errors.AsType[*ecs.Error](err)
	return ok && cloud.Admitted()
}

func hasClass(err error, class ecs.Class) bool {
	cloud, ok := errors.AsType[*ecs.Error](err)
	return ok && cloud.Class() == class
}
