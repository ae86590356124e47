package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// SubmitChangeOS sends the one request that cannot be taken back, at most once for as long as there is any doubt:
// change.Submission decides when, and docs/never-twice.md has the whole argument.
//
// Errors: Refused, InvalidRequest, CredentialsRefused, SecretUnreadable, ForeignDisk, GivenUp and Recalled are final and
// mean that nothing was accepted; after ServerVanished it no longer matters; a final InDoubt means that the server has to
// show it; WorkflowReset means that this run sends nothing, and the record in its details what the first one sent. Throttled,
// NotSent, NotReady, CloudTrouble, WorkerStopping and any other InDoubt are tried again, and so are credentials that do
// not read.
func (a *Activities) SubmitChangeOS(ctx context.Context, in contract.SubmitChangeOSInput) (contract.SubmitChangeOSResult, error) {
	if wasReset(ctx, in.OriginalRunID) {
		return contract.SubmitChangeOSResult{}, a.resetError(ctx, in.ServerID, in.OriginalRunID)
	}
	var memory change.SubmitMemory
	if activity.HasHeartbeatDetails(ctx) {
		// Unreadable details leave the attempt in doubt, which is the safe side.
		_ = activity.GetHeartbeatDetails(ctx, &memory)
	}
	s := submission{site: site{Activities: a}, in: in, recall: &recallCheck{rollout: in.Rollout, serverID: in.ServerID}}
	info := activity.GetInfo(ctx)
	s.decide = change.NewSubmission(change.SubmitInput{
		ServerID: in.ServerID, Before: in.Before, Updated: in.Updated, MayAwaitPayment: in.MayAwaitPayment, WithStopServer: in.Change.WithStopServer,
	}, a.Timing, info.Attempt, isFirst(ctx), memory, info.ScheduledTime)
	s.heart = startHeart(ctx, s.decide.Memory())
	defer s.heart.stop()
	return s.run(ctx)
}

// diskInBackup is the refusal of a system disk that is being backed up (ECS error table: wait).
const diskInBackup = "Ecs.0073"

// submission is one attempt.
type submission struct {
	site
	in      contract.SubmitChangeOSInput
	decide  change.Submission
	heart   *heart
	recall  *recallCheck
	request ecs.ChangeOSRequest
	// cause is the error behind the last event that was a failure.
	cause error
}

// run carries out what is decided.
func (s *submission) run(ctx context.Context) (contract.SubmitChangeOSResult, error) {
	var next change.Decision
	if s.site, s.cause = s.at(ctx, s.in.Project, s.in.Change); s.cause != nil {
		next = s.decide.Failed(troubleOf(s.cause), time.Now())
	} else {
		next = s.decide.Begin(s.Cloud.RequestTimeout())
	}
	for next.Action != change.Finish {
		s.heart.say(ctx, s.decide.Memory())
		next = s.carryOut(ctx, next)
	}
	s.heart.say(ctx, s.decide.Memory())
	if next.End.Failed {
		return contract.SubmitChangeOSResult{}, errorOf(next.End, s.cause)
	}
	return contract.SubmitChangeOSResult{JobID: next.End.JobID, Seen: next.End.Evidence}, nil
}

// carryOut does what was decided, and returns what is decided next.
func (s *submission) carryOut(ctx context.Context, d change.Decision) change.Decision {
	switch d.Action {
	case change.Look:
		server, at, err := s.lookIn(ctx, d.Wait)
		if err != nil {
			return s.failed(err)
		}
		return s.decide.Observe(server, at, time.Now())
	case change.Prepare:
		return s.prepare(ctx)
	case change.Confirm:
		within, cancel := context.WithDeadline(ctx, d.Deadline)
		defer cancel()
		if err := s.confirm(within, s.heart); err != nil {
			return s.failed(again(api.ErrNotSent, fmt.Errorf("server %s: %w", s.in.ServerID, err), 0))
		}
		return s.decide.Confirmed()
	case change.Submit:
		return s.send(ctx, d)
	}
	return s.failed(fmt.Errorf("server %s: action %d is not one of a submission; nothing was sent", s.in.ServerID, d.Action))
}

// send sends the change. The request may not leave later than the look that justified it allows. A worker that is frozen here
// and thawed later cannot send: the connection compares the clock at the moment of writing.
func (s *submission) send(ctx context.Context, d change.Decision) change.Decision {
	within, cancel := context.WithDeadline(ctx, d.Deadline)
	defer cancel()
	out := s.Cloud.ChangeOS(s.recall.context(within, s.site, s.in.Touched), s.in.ServerID, s.request)
	var response change.Response
	response, s.cause = s.response(ctx, out, s.recall.outcome())
	return s.decide.Respond(response, time.Now())
}

func (s *submission) failed(err error) change.Decision {
	s.cause = err
	return s.decide.Failed(troubleOf(err), time.Now())
}

// lookIn reads the server after a while. Sending depends on it, so it goes first among the calls that wait for their turn.
func (s *submission) lookIn(ctx context.Context, wait time.Duration) (server rollout.Observation, asOf time.Time, err error) {
	if err := pause(ctx, wait); err != nil {
		return server, asOf, err
	}
	first := s.site
	first.Cloud = s.Cloud.Urgent()
	return first.observeAt(ctx, s.in.ServerID)
}

// prepare reads the secrets, builds the request, and asks the rollout.
func (s *submission) prepare(ctx context.Context) change.Decision {
	var err error
	s.request, err = s.site.request(s.Cloud.ProjectID(), s.in.Change)
	switch {
	case isUnreadable(err) && s.decide.IsDoubted(): // to give up would leave the doubt
		return s.failed(again(api.ErrSecret, err, time.Minute))
	case isUnreadable(err):
		return s.failed(handBack(ctx, err))
	case err != nil:
		return s.failed(final(api.ErrInvalid, fmt.Errorf("server %s: %w", s.in.ServerID, err)))
	}
	if !s.decide.IsDoubted() { // otherwise the look may show that an earlier request was accepted after all
		if s.cause = s.recall.early(ctx, s.site, s.in.Touched); s.cause != nil {
			return s.decide.RecalledByRollout(messageOf(s.cause))
		}
	}
	return s.decide.Prepared()
}

// troubleOf is an error as an event.
func troubleOf(err error) change.Trouble {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return change.Trouble{Message: err.Error(), Interrupted: true}
	}
	return change.Trouble{Message: app.Message(), RetryAfter: app.NextRetryDelay(), OfWorker: api.IsOfWorker(app.Type()), Final: app.NonRetryable()}
}

// errorOf is the error with which an attempt ends. The cause is the one behind the last event.
func errorOf(end change.End, cause error) error {
	switch {
	case cause == nil && end.Type == "": // an attempt that has failed never ends as if it had not
		return again(api.ErrCloud, errors.New("the attempt has failed for an unknown reason: "+end.Message), 0)
	case end.Type == "" && end.Message == "", end.Type == change.Recalled:
		return cause
	case end.Type == "":
		if app, ok := errors.AsType[*temporal.ApplicationError](cause); ok {
			end.Type = change.ErrorType(app.Type())
		}
	}
	if end.Final {
		return final(string(end.Type), errors.New(end.Message))
	}
	return again(string(end.Type), errors.New(end.Message), end.RetryAfter)
}

// response is the end of a write as an event, and the error for an attempt that ends with it.
func (s site) response(ctx context.Context, out ecs.Outcome, recalled error) (change.Response, error) {
	switch out.Kind {
	case ecs.Accepted:
		return change.Response{Kind: change.AcceptedResponse, JobID: out.JobID}, nil
	case ecs.Unknown:
		return change.Response{Kind: change.UnknownResponse, Message: out.Err.Error()}, nil
	case ecs.NotSent:
		if recalled != nil {
			return change.Response{Kind: change.RecalledResponse, Message: messageOf(recalled)}, recalled
		}
		return failedResponse(change.NotSentResponse, again(api.ErrNotSent, out.Err, 0))
	case ecs.Throttled:
		return failedResponse(change.ThrottledResponse, throttled(out.Err))
	}
	refusal := out.Err
	switch {
	case out.Renewed:
		return failedResponse(change.CredentialsResponse, again(api.ErrCredentials, s.credentialsRefused(refusal), 0))
	case refusal.Busy():
		return change.Response{Kind: change.BusyResponse, Message: refusal.Error()}, nil
	case refusal.Code == diskInBackup:
		return failedResponse(change.BackupResponse, again(api.ErrNotReady, refusal, time.Minute))
	case !refusal.Listed():
		return change.Response{Kind: change.UndocumentedResponse, Message: refusal.Error()}, s.cloudError(ctx, refusal)
	case refusal.Class() == ecs.ClassTransient || refusal.Class() == ecs.ClassUnclear || isNotFound(refusal): // the next look decides
		return failedResponse(change.UnclearResponse, again(api.ErrCloud, refusal, 0))
	}
	return failedResponse(change.RefusedResponse, s.cloudError(ctx, refusal))
}

func failedResponse(kind change.ResponseKind, err error) (change.Response, error) {
	t := troubleOf(err)
	return change.Response{Kind: kind, Message: t.Message, RetryAfter: t.RetryAfter, Final: t.Final}, err
}
