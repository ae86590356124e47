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
)

// SubmitProgress is the heartbeat. It lets the next attempt know how the last one ended; a worker that
// was killed leaves none for its attempt, and then the last attempt counts as in doubt.
type SubmitProgress struct {
	// Clean is the attempt that ended with proof that nothing of its own was accepted. Zero for none.
	Clean int32 `json:"clean,omitempty"`
	// Settled is true when an earlier attempt was in doubt and taken for not accepted after the settle
	// time. No later error then proves that nothing was accepted.
	Settled bool `json:"settled,omitempty"`
	// Doing is what the attempt does, for whoever reads the heartbeat.
	Doing string `json:"doing,omitempty"`
}

// SubmitChangeOS sends the one request that cannot be taken back, at most once for as long as there is
// any doubt. The API has no idempotency key and lists no jobs, so after an attempt whose outcome is
// not known the server itself is the only witness: docs/never-twice.md tells the whole argument.
//
// Errors: Refused, InvalidRequest, CredentialsRefused, SecretUnreadable, ForeignDisk, GivenUp and Recalled are final and
// mean that nothing was accepted; after ServerVanished it no longer matters; a final InDoubt means that the server has to
// tell; WorkflowReset means that this run sends nothing, and the record in its details what the first one sent. Throttled,
// NotSent, NotReady, CloudTrouble, WorkerStopping and any other InDoubt are tried again, and so are credentials that do
// not read.
func (a *Activities) SubmitChangeOS(ctx context.Context, in contract.SubmitChangeOSInput) (contract.SubmitChangeOSResult, error) {
	if wasReset(ctx, in.OriginalRunID) {
		return contract.SubmitChangeOSResult{}, a.resetError(ctx, in.ServerID, in.OriginalRunID)
	}
	s := submission{site: site{Activities: a}, in: in, attempt: activity.GetInfo(ctx).Attempt}
	if activity.HasHeartbeatDetails(ctx) {
		// Unreadable details leave the attempt in doubt, which is the safe side.
		_ = activity.GetHeartbeatDetails(ctx, &s.progress)
	}
	clean := s.progress.Clean > 0 && s.progress.Clean == s.attempt-1
	s.inDoubt = !isFirst(ctx) && !clean
	s.progress.Clean = 0
	s.heart = startHeart(ctx, s.progress)
	defer s.heart.stop()
	result, err := s.run(ctx)
	if s.inDoubt || s.progress.Settled {
		err = s.noProofOfAnOldDisk(err)
	}
	return result, err
}

// run settles an earlier request if it is in doubt, and sends unless that one was accepted.
func (s *submission) run(ctx context.Context) (contract.SubmitChangeOSResult, error) {
	none := contract.SubmitChangeOSResult{}
	var err error
	if s.site, err = s.at(ctx, s.in.Project, s.in.Change); err != nil {
		return none, s.clean(ctx, err)
	}
	if s.inDoubt {
		s.doing(ctx, "an earlier request is in doubt: watching the server before sending again")
		seen, err := s.settle(ctx)
		if err != nil {
			return none, s.clean(ctx, err)
		}
		if seen != "" {
			return contract.SubmitChangeOSResult{Seen: seen}, nil
		}
		s.inDoubt, s.progress.Settled = false, true
	}
	return s.send(ctx)
}

// noProofOfAnOldDisk keeps a final error from being read as "nothing was accepted" when an earlier
// request may have been: that one may be the very reason for it. Only a server that is gone is gone.
func (s *submission) noProofOfAnOldDisk(err error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || !app.NonRetryable() || app.Type() == api.ErrVanished {
		return err
	}
	if app.Type() == api.ErrRecalled && !s.inDoubt {
		return err // the earlier request is settled as not accepted, and was no reason for the recall
	}
	return final(api.ErrInDoubt, fmt.Errorf("an earlier request for server %s is in doubt, and then: %s", s.in.ServerID, app.Message()))
}

// diskInBackup is the refusal of a system disk that is being backed up (ECS error table: wait).
const diskInBackup = "Ecs.0073"

// submission is one attempt.
type submission struct {
	site
	in       contract.SubmitChangeOSInput
	attempt  int32
	progress SubmitProgress
	heart    *heart
	// inDoubt is true while an earlier attempt may have been accepted.
	inDoubt bool
}

// settle finds out what became of a request whose answer nobody saw. It returns what the server shows
// as a sign that the change was accepted, or nothing when the server has looked untouched for so long
// that the request can neither still be on its way nor be hidden by a server view that lags.
func (s *submission) settle(ctx context.Context) (seen string, err error) {
	steady := s.steadiness()
	for {
		server, at, err := s.look(ctx)
		if err != nil {
			return "", err
		}
		settled := steady.see(server, at) >= s.Timing.Settle
		switch {
		case !server.Exists && settled:
			// Whether the request was accepted no longer matters; the verdict is made from the server.
			return "the server is gone", nil
		case !server.Exists: // not found once, it may be found again
		case server.VolumeID != s.in.Before.VolumeID:
			return s.noLonger(), nil
		case server.Rebuilding():
			return fmt.Sprintf("the cloud is rebuilding it (status %s, task %s)", server.Status, server.TaskState), nil
		case s.touched(server):
			return s.trace(server), nil
		case !s.mayBeSentTo(server.Status) && (settled || server.Status == rollout.StatusError):
			// Nothing can be sent to it in this state, and it may be the change that brought it there. A change ends in
			// ERROR, and never leads to ACTIVE with the old disk: that may be a view from before the stop.
			return "its status is " + server.Status, nil
		case settled && server.Idle() && s.in.MayAwaitPayment:
			return "it shows nothing, but the change may wait for a payment", nil
		case settled && server.Idle():
			return "", nil
		}
		if err := pause(ctx, s.Timing.Poll); err != nil {
			return "", err
		}
	}
}

// look is one on which sending depends: it goes first among the calls that wait for their turn.
func (s *submission) look(ctx context.Context) (rollout.Observation, time.Time, error) {
	first := s.site
	first.Cloud = s.Cloud.Urgent()
	return first.observeAt(ctx, s.in.ServerID)
}

// touched is true when the cloud worked on the server since it had come to rest, before anything was sent. An earlier
// time is that of a view which goes back.
func (s *submission) touched(server rollout.Observation) bool {
	if s.in.Updated == "" || server.Updated == "" {
		return false
	}
	rest, errRest := time.Parse(time.RFC3339, s.in.Updated)
	now, errNow := time.Parse(time.RFC3339, server.Updated)
	if errRest != nil || errNow != nil {
		return server.Updated != s.in.Updated
	}
	return now.After(rest)
}

// noLonger names what a change leaves that came.
func (s *submission) noLonger() string {
	return fmt.Sprintf("the system disk is no longer %s of image %s", s.in.Before.VolumeID, s.in.Before.ImageID)
}

// trace names what a change leaves that failed early: nothing else.
func (s *submission) trace(server rollout.Observation) string {
	return fmt.Sprintf("the cloud worked on it at %s, after it had come to rest at %s", server.Updated, s.in.Updated)
}

// mayBeSentTo tells whether a change may be asked of a server with this status. A server in ERROR may
// be changed, but one that might already have been asked is never asked again: ERROR is also how a
// change fails.
func (s *submission) mayBeSentTo(status string) bool {
	return status == rollout.StatusShutoff ||
		s.in.Change.WithStopServer && status == rollout.StatusActive
}

// send looks at the server once more and sends the request. Everything before the request is clean:
// nothing has left this worker.
func (s *submission) send(ctx context.Context) (contract.SubmitChangeOSResult, error) {
	none := contract.SubmitChangeOSResult{}
	request, err := s.request(s.Cloud.ProjectID(), s.in.Change)
	if isUnreadable(err) && s.progress.Settled { // to give up would leave the doubt
		return none, s.clean(ctx, again(api.ErrSecret, err, time.Minute))
	}
	if isUnreadable(err) {
		return none, s.clean(ctx, handBack(ctx, err))
	}
	if err != nil {
		return none, final(api.ErrInvalid, fmt.Errorf("server %s: %w", s.in.ServerID, err))
	}
	recall := &recallCheck{rollout: s.in.Rollout, serverID: s.in.ServerID}
	if !s.progress.Settled { // the look may show that an earlier request was accepted after all
		if err := recall.early(ctx, s.site, s.in.Touched); err != nil {
			return none, err
		}
	}
	server, lookedAt, err := s.lookUntil(ctx, s.isAsDecided)
	if err != nil {
		return none, s.clean(ctx, err)
	}
	if s.progress.Settled && s.touched(server) {
		return contract.SubmitChangeOSResult{Seen: s.trace(server)}, nil
	}
	if err := s.sendable(ctx, server); err != nil {
		return none, err
	}
	s.doing(ctx, "sending the change")
	// The request may not leave later than the look that justified it allows. A worker that is frozen
	// here and thawed later cannot send: the connection compares the clock at the moment of writing.
	sendCtx, cancel := context.WithDeadline(ctx, lookedAt.Add(s.Cloud.RequestTimeout()))
	defer cancel()
	if err := s.confirm(sendCtx, s.heart); err != nil {
		return none, s.clean(ctx, again(api.ErrNotSent, fmt.Errorf("server %s: %w", s.in.ServerID, err), 0))
	}
	out := s.Cloud.ChangeOS(recall.context(sendCtx, s.site, s.in.Touched), s.in.ServerID, request)

	switch out.Kind {
	case ecs.Accepted:
		return contract.SubmitChangeOSResult{JobID: out.JobID}, nil
	case ecs.Unknown:
		return none, again(api.ErrInDoubt, fmt.Errorf("nobody knows whether the cloud accepted the change of server %s: %w; it will be watched before anything is sent again", s.in.ServerID, out.Err), 0)
	case ecs.Throttled:
		return none, s.clean(ctx, throttled(out.Err))
	case ecs.NotSent:
		if recalled := recall.outcome(); recalled != nil {
			return none, recalled
		}
		return none, s.clean(ctx, again(api.ErrNotSent, out.Err, 0))
	default:
		if out.Renewed {
			return none, s.clean(ctx, again(api.ErrCredentials, s.credentialsRefused(out.Err), 0))
		}
		return none, s.refused(ctx, out.Err)
	}
}

// isAsDecided is true for a server that can be changed, or is only busy. A single look that shows anything else is no
// evidence: the cloud may have answered with a view from before the stop, or with a false 404.
func (s *submission) isAsDecided(server rollout.Observation) bool {
	return server.Fingerprint == s.in.Before && (!server.Idle() || s.mayBeSentTo(server.Status) || s.isFailed(server))
}

// isFailed is true for a server in ERROR that may still be changed: no change in doubt can have brought it there.
func (s *submission) isFailed(server rollout.Observation) bool {
	return server.Status == rollout.StatusError && !s.progress.Settled
}

// lookUntil looks at the server until it shows what is enough, or has shown the same for the settle time.
func (s *submission) lookUntil(ctx context.Context, enough func(rollout.Observation) bool) (rollout.Observation, time.Time, error) {
	steady := s.steadiness()
	for {
		server, lookedAt, err := s.look(ctx)
		if err != nil || enough(server) || steady.see(server, lookedAt) >= s.Timing.Settle {
			return server, lookedAt, err
		}
		if err := pause(ctx, s.Timing.Poll); err != nil {
			return server, lookedAt, err
		}
	}
}

// sendable refuses to touch a server that is not as it was when the change was decided.
func (s *submission) sendable(ctx context.Context, server rollout.Observation) error {
	switch {
	case server.Exists && !server.Idle() && server.Fingerprint == s.in.Before:
		return s.clean(ctx, again(api.ErrNotReady, fmt.Errorf("somebody else works on server %s (status %s, task %s); nothing was sent", s.in.ServerID, server.Status, server.TaskState), s.Timing.Poll))
	case !server.Exists:
		return final(api.ErrVanished, gone(s.in.ServerID))
	case server.Fingerprint != s.in.Before:
		return final(api.ErrForeignDisk, fmt.Errorf("server %s was changed by somebody else: its system disk was %s of image %s and is %s of image %s; nothing was sent",
			s.in.ServerID, s.in.Before.VolumeID, s.in.Before.ImageID, server.VolumeID, server.ImageID))
	case !s.mayBeSentTo(server.Status) && !s.isFailed(server):
		return final(api.ErrRefused, fmt.Errorf("server %s is %s although it was stopped for the change: somebody else started it; nothing was sent", s.in.ServerID, server.Status))
	}
	return nil
}

// refused sorts the cloud's refusals. "Busy" is no proof that nothing was accepted: the server was at rest when it was
// looked at, so a gateway may have delivered the request twice and shown the second answer. It is settled like a lost one.
func (s *submission) refused(ctx context.Context, refusal *ecs.Error) error {
	switch {
	case refusal.Busy():
		return again(api.ErrInDoubt, fmt.Errorf("server %s was at rest and its change was refused as busy: the request may have been delivered twice, and the first one accepted: %w; the server will be watched before anything is sent again", s.in.ServerID, refusal), 0)
	case refusal.Code == diskInBackup:
		return s.clean(ctx, again(api.ErrNotReady, refusal, time.Minute))
	case !refusal.Listed() && s.progress.Settled: // the doubt stays whatever the server shows
		return final(api.ErrInDoubt, refusal)
	case !refusal.Listed():
		return s.unproven(ctx, refusal)
	case refusal.Class() == ecs.ClassTransient || refusal.Class() == ecs.ClassUnclear || isNotFound(refusal):
		return s.clean(ctx, again(api.ErrCloud, refusal, 0)) // whether the server is gone, the next look decides
	}
	return s.cloudError(ctx, refusal)
}

// unproven has the server tell what a refusal for a reason that is in no table is worth.
func (s *submission) unproven(ctx context.Context, refusal *ecs.Error) error {
	s.doing(ctx, "the change was refused for a reason that is in no table: watching the server")
	seen, err := s.settle(ctx)
	switch told := fmt.Errorf("the cloud refused the change of server %s for a reason that is in no table: %w", s.in.ServerID, refusal); {
	case err != nil:
		return err
	case seen != "":
		return final(api.ErrInDoubt, fmt.Errorf("%w; but %s", told, seen))
	default:
		return final(api.ErrRefused, fmt.Errorf("%w; and the server has stayed as it was for %s since", told, s.Timing.Settle))
	}
}

// clean notes that this attempt ended with proof that nothing of it was accepted, so that the next one
// need not wait for the settle time, unless one before is in doubt. When the next one would be too late, and none was
// ever in doubt, it gives up.
func (s *submission) clean(ctx context.Context, err error) error {
	if s.inDoubt {
		return err
	}
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if ok && !s.progress.Settled && time.Since(activity.GetInfo(ctx).ScheduledTime)+app.NextRetryDelay() > SubmitPatience {
		kind := api.ErrGivenUp
		if api.IsOfWorker(app.Type()) {
			kind = app.Type() // which says as much, and what to mend
		}
		return final(kind, fmt.Errorf("nothing was accepted for server %s within %s, given up: %s", s.in.ServerID, SubmitPatience, app.Message()))
	}
	s.progress.Clean = s.attempt
	s.heart.say(ctx, s.progress)
	return err
}

func (s *submission) doing(ctx context.Context, what string) {
	s.progress.Doing = what
	s.heart.say(ctx, s.progress)
}
