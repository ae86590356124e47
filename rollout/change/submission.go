package change

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
)

// SubmitPatience is how long a change is tried while nothing was accepted. The activity then says so, because the end of its
// time limit says nothing.
const SubmitPatience = 20 * time.Minute

// SubmitInput is what was decided before the change is sent.
type SubmitInput struct {
	ServerID string
	// Before is the system disk that may be destroyed. No other one is.
	Before rollout.Fingerprint
	// Updated is when the cloud had last worked on the server before anything was sent. Empty for not known.
	Updated string
	// MayAwaitPayment is true when the cloud may accept the change and not begin before it is paid.
	MayAwaitPayment bool
	// WithStopServer is true when the platform stops the server itself.
	WithStopServer bool
}

// SubmitMemory is the heartbeat of a submission. It tells the next attempt how the last one ended. A worker that was killed
// leaves none for its attempt, and then the last attempt counts as in doubt.
type SubmitMemory struct {
	// LastCleanAttempt is the attempt that ended with proof that nothing of it was accepted. Zero for none.
	LastCleanAttempt int32 `json:"last_clean_attempt,omitempty"`
	// Settled is true when an earlier attempt was in doubt and counts as not accepted after the settle time. No later
	// error then proves that nothing was accepted.
	Settled bool `json:"settled,omitempty"`
	// Phase is what the attempt does, for the reader of the heartbeat.
	Phase string `json:"phase,omitempty"`
}

type submitPhase int

const (
	submitPreparing       submitPhase = iota
	submitSettling                    // an earlier request is in doubt
	submitChecking                    // the server is compared with what was decided
	submitConfirming                  // Temporal is asked for this attempt
	submitSending                     // the request is under way
	submitSettlingRefusal             // the own request was refused for a reason that is in no table
)

// Submission decides the one request that cannot be taken back. It is sent at most once for as long as there is any doubt:
// the API has no idempotency key and lists no jobs, so after a request whose outcome is not known the server itself is the
// only witness.
type Submission struct {
	in      SubmitInput
	timing  Timing
	memory  SubmitMemory
	attempt int32
	// scheduled is when the first attempt could begin.
	scheduled      time.Time
	requestTimeout time.Duration

	phase submitPhase
	// inDoubt is true while an earlier attempt may have been accepted.
	inDoubt   bool
	stability Stability
	lookedAt  time.Time
	refusal   string
}

// NewSubmission begins an attempt. Memory is the last heartbeat of the attempts before it, the zero value for none. First is
// true when there was none. Scheduled is when the activity was scheduled.
func NewSubmission(in SubmitInput, timing Timing, attempt int32, first bool, memory SubmitMemory, scheduled time.Time) Submission {
	clean := memory.LastCleanAttempt > 0 && memory.LastCleanAttempt == attempt-1
	memory.LastCleanAttempt = 0
	return Submission{
		in: in, timing: timing, memory: memory, attempt: attempt, scheduled: scheduled, inDoubt: !first && !clean,
	}
}

// Memory is what the next attempt has to know.
func (s *Submission) Memory() SubmitMemory { return s.memory }

// IsDoubted is true when an earlier request was in doubt, also one that counts as not accepted since.
func (s *Submission) IsDoubted() bool { return s.inDoubt || s.memory.Settled }

// Begin is the first decision. The request timeout is that of the cloud's client: how long after its look a request may
// still arrive.
func (s *Submission) Begin(requestTimeout time.Duration) Decision {
	s.requestTimeout = requestTimeout
	if s.inDoubt {
		s.phase, s.memory.Phase = submitSettling, "an earlier request is in doubt: watching the server before sending again"
		return look(0)
	}
	return s.prepare()
}

func (s *Submission) prepare() Decision {
	s.phase, s.stability = submitPreparing, Stability{}
	return Decision{Action: Prepare}
}

// Prepared is the event that the request can be sent as far as the worker and the rollout are concerned.
func (s *Submission) Prepared() Decision {
	s.phase = submitChecking
	return look(0)
}

// Failed is the event that a look, the preparation or the confirmation did not succeed.
func (s *Submission) Failed(t Trouble, now time.Time) Decision {
	switch {
	case s.phase == submitSettlingRefusal:
		return reported()
	case s.phase == submitPreparing && t.Final && !t.OfWorker: // what was asked for is wrong, at any time
		return s.finalReported(t.Message)
	case s.phase == submitConfirming:
		return s.clean(retry(NotSent, t.Message, 0).End, t, now)
	}
	return s.clean(End{Failed: true, Final: t.Final}, t, now)
}

// RecalledByRollout is the event that the rollout has taken the server back before anything was sent.
func (s *Submission) RecalledByRollout(message string) Decision { return fail(Recalled, message) }

// Observe is the event of a look. At is as of when the view is.
func (s *Submission) Observe(server rollout.Observation, at, now time.Time) Decision {
	held := s.stability.Observe(server, at, s.timing.Poll)
	settled := held >= s.timing.Settle
	if s.phase == submitChecking {
		return s.check(server, settled, at, now)
	}
	evidence, accepted := s.evidence(server, settled)
	switch {
	case accepted && s.phase == submitSettlingRefusal:
		return s.final(End{Failed: true, Type: InDoubt, Message: s.refusal + "; but " + evidence})
	case accepted:
		return finish(End{Evidence: evidence})
	case !settled || !server.Idle():
		return look(s.timing.Poll)
	case s.phase == submitSettlingRefusal:
		return s.final(End{Failed: true, Type: Refused, Message: fmt.Sprintf("%s; and the server has stayed as it was for %s since", s.refusal, s.timing.Settle)})
	}
	s.inDoubt, s.memory.Settled = false, true
	return s.prepare()
}

// evidence is what the server shows as a sign that a request was accepted whose answer was lost. Without it, a server that
// has looked untouched for the settle time was not changed: the request can neither be on its way any more nor be hidden by
// a view that lags.
func (s *Submission) evidence(server rollout.Observation, settled bool) (evidence string, accepted bool) {
	switch {
	case !server.Exists && settled:
		return "the server is gone", true // whether the request was accepted no longer matters
	case !server.Exists: // not found once, it may be found again
	case server.VolumeID != s.in.Before.VolumeID:
		return fmt.Sprintf("the system disk is no longer %s of image %s", s.in.Before.VolumeID, s.in.Before.ImageID), true
	case server.Rebuilding():
		return fmt.Sprintf("the cloud is rebuilding it (status %s, task %s)", server.Status, server.TaskState), true
	case s.isModified(server):
		return s.modifiedEvidence(server), true
	case !s.canBeSentTo(server.Status) && (settled || server.Status == rollout.StatusError):
		// Nothing can be sent to it in this state, and the change may have led to it. A change ends in ERROR, and never leads
		// to ACTIVE with the old disk: that may be a view from before the stop.
		return "its status is " + server.Status, true
	case settled && server.Idle() && s.in.MayAwaitPayment:
		return "it shows nothing, but the change may wait for a payment", true
	}
	return "", false
}

// isModified is true when the cloud worked on the server since it had come to rest, before anything was sent. An earlier
// time is that of a view which goes back.
func (s *Submission) isModified(server rollout.Observation) bool {
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

func (s *Submission) modifiedEvidence(server rollout.Observation) string {
	return fmt.Sprintf("the cloud worked on it at %s, after it had come to rest at %s", server.Updated, s.in.Updated)
}

// canBeSentTo is true for a status in which the cloud accepts a change. It also accepts one in ERROR, but a server that may
// have been asked already is not asked again in ERROR: that is also how a change fails.
func (s *Submission) canBeSentTo(status string) bool {
	return status == rollout.StatusShutoff || (s.in.WithStopServer && status == rollout.StatusActive)
}

// isFailed is true for a server in ERROR that may still be changed: no change in doubt can have led to it.
func (s *Submission) isFailed(server rollout.Observation) bool {
	return server.Status == rollout.StatusError && !s.memory.Settled
}

// check compares the server with what was decided. A single look that shows anything else is no evidence: the view may be
// from before the stop, or the 404 false.
func (s *Submission) check(server rollout.Observation, settled bool, at, now time.Time) Decision {
	sendable := s.canBeSentTo(server.Status) || s.isFailed(server)
	asDecided := server.Fingerprint == s.in.Before && (!server.Idle() || sendable)
	if !asDecided && !settled {
		return look(s.timing.Poll)
	}
	switch {
	case s.memory.Settled && s.isModified(server):
		return finish(End{Evidence: s.modifiedEvidence(server)})
	case server.Exists && !server.Idle() && server.Fingerprint == s.in.Before:
		message := fmt.Sprintf("another operation runs on server %s (status %s, task %s); nothing was sent", s.in.ServerID, server.Status, server.TaskState)
		return s.clean(retry(NotReady, message, s.timing.Poll).End, Trouble{Message: message, RetryAfter: s.timing.Poll}, now)
	case !server.Exists:
		return s.final(End{Failed: true, Type: Vanished, Message: gone(s.in.ServerID)})
	case server.Fingerprint != s.in.Before:
		return s.final(End{Failed: true, Type: DiskReplaced, Message: fmt.Sprintf(
			"server %s was changed from outside: its system disk was %s of image %s and is %s of image %s; nothing was sent",
			s.in.ServerID, s.in.Before.VolumeID, s.in.Before.ImageID, server.VolumeID, server.ImageID)})
	case !sendable:
		return s.final(End{Failed: true, Type: Refused, Message: fmt.Sprintf(
			"server %s is %s although it was stopped for the change: it was started from outside; nothing was sent", s.in.ServerID, server.Status)})
	}
	s.phase, s.lookedAt, s.memory.Phase = submitConfirming, at, "sending the change"
	return Decision{Action: Confirm, Deadline: s.deadline()}
}

// deadline is when the request must have left. It counts from the look, so that a worker which was frozen since does not
// send by an old view.
func (s *Submission) deadline() time.Time { return s.lookedAt.Add(s.requestTimeout) }

// Confirmed is the event that Temporal still waits for this attempt.
func (s *Submission) Confirmed() Decision {
	s.phase = submitSending
	return Decision{Action: Submit, Deadline: s.deadline()}
}

// Respond is the event of the end of the request.
func (s *Submission) Respond(r Response, now time.Time) Decision {
	t := Trouble{Message: r.Message, RetryAfter: r.RetryAfter}
	switch r.Kind {
	case AcceptedResponse:
		return finish(End{JobID: r.JobID})
	case UnknownResponse:
		return retry(InDoubt, fmt.Sprintf("it is not known whether the cloud accepted the change of server %s: %s; it will be watched before anything is sent again", s.in.ServerID, r.Message), 0)
	case ThrottledResponse:
		return s.clean(retry(Throttled, r.Message, r.RetryAfter).End, t, now)
	case NotSentResponse:
		return s.clean(retry(NotSent, r.Message, 0).End, t, now)
	case RecalledResponse:
		return fail(Recalled, r.Message)
	case BusyResponse:
		// The server was at rest when it was looked at, so a gateway may have delivered the request twice and shown the second
		// answer. It is settled like a lost one.
		return retry(InDoubt, fmt.Sprintf("server %s was at rest and its change was refused as busy: the request may have been delivered twice, and the first one accepted: %s; the server will be watched before anything is sent again", s.in.ServerID, r.Message), 0)
	case BackupResponse:
		t.RetryAfter = time.Minute
		return s.clean(retry(NotReady, r.Message, time.Minute).End, t, now)
	case CredentialsResponse:
		t.OfWorker = true
		return s.clean(retry(Credentials, r.Message, 0).End, t, now)
	case UnclearResponse:
		return s.clean(retry(CloudTrouble, r.Message, 0).End, t, now)
	case RefusedResponse:
		return s.unproven(End{Failed: true, Final: r.Final}, r.Message)
	}
	if s.memory.Settled { // the doubt stays whatever the server shows
		return s.final(End{Failed: true, Type: InDoubt, Message: r.Message})
	}
	s.phase, s.stability = submitSettlingRefusal, Stability{}
	s.memory.Phase = "the change was refused for a reason that is in no table: watching the server"
	s.refusal = fmt.Sprintf("the cloud refused the change of server %s for a reason that is in no table: %s", s.in.ServerID, r.Message)
	return look(0)
}

// final ends without another attempt. It does not count as "nothing was accepted" when an earlier request may have been:
// that one may be the very reason for it. Only a server that is gone is gone.
func (s *Submission) final(end End) Decision {
	end.Final = true
	if s.IsDoubted() && end.Type != Vanished {
		end.Type, end.Message = InDoubt, fmt.Sprintf("an earlier request for server %s is in doubt, and then: %s", s.in.ServerID, end.Message)
	}
	return finish(end)
}

// clean ends the attempt with proof that nothing of it was accepted, so that the next one need not wait for the settle time,
// unless one before is in doubt. When the next one would be too late, and none was ever in doubt, it gives up.
func (s *Submission) clean(end End, t Trouble, now time.Time) Decision {
	end.RetryAfter = t.RetryAfter
	if s.inDoubt {
		return s.unproven(end, t.Message)
	}
	if !s.memory.Settled && !t.Interrupted && now.Sub(s.scheduled)+t.RetryAfter > SubmitPatience {
		end.Final, end.Type = true, GivenUp
		if t.OfWorker {
			end.Type = "" // the activity's own, which says as much, and what to mend
		}
		end.Message = fmt.Sprintf("nothing was accepted for server %s within %s, given up: %s", s.in.ServerID, SubmitPatience, t.Message)
		return finish(end)
	}
	s.memory.LastCleanAttempt = s.attempt
	return s.unproven(end, t.Message)
}

// unproven passes on an error that the activity reported. A final one is no proof of an old disk after a doubt.
func (s *Submission) unproven(end End, message string) Decision {
	if end.Final {
		return s.finalReported(message)
	}
	return finish(end)
}

// finalReported ends with the error that the activity reported, which knows its type.
func (s *Submission) finalReported(message string) Decision {
	if s.IsDoubted() {
		return s.final(End{Failed: true, Message: message})
	}
	return finish(End{Failed: true, Final: true})
}

func gone(serverID string) string {
	return fmt.Sprintf("server %s is gone: the cloud no longer knows it", serverID)
}
