package change

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// maxSettles is for how many settle times after the deadline a server is watched that never shows the same thing for one.
const maxSettles = 4

// MaxUnstable is the longest time that a verification takes beyond the deadline, or beyond its start when that is later.
const MaxUnstable = maxSettles * MaxSettle

// VerifyInput is what would be proof.
type VerifyInput struct {
	ImageID string
	Before  rollout.Fingerprint
	// Ended is true when nothing that was asked for can still be under way: a job has ended. Without that, a server
	// that looks untouched, or stopped, may be one that is being changed.
	Ended bool
	// Deadline is until when a server that the cloud may still work on is waited for.
	Deadline time.Time
	// WasInError is true for a server that was in ERROR before its change.
	WasInError bool
}

// Verification looks at a server until it shows proof of the change, or until it has shown the same thing for the settle
// time: the server view may trail behind the job. It ends with evidence, of which Judge draws the conclusion.
type Verification struct {
	in        VerifyInput
	timing    Timing
	stability Stability
	// patience is until when a server is watched that never shows the same for long.
	patience time.Time
}

// NewVerification begins an attempt.
func NewVerification(in VerifyInput, timing Timing, now time.Time) Verification {
	patience := in.Deadline
	if patience.Before(now) {
		patience = now // however late it is, the server is watched
	}
	return Verification{in: in, timing: timing, patience: patience.Add(maxSettles * timing.Settle)}
}

// Begin is the first decision.
func (v *Verification) Begin() Decision { return look(0) }

// Observe is the event of a look.
func (v *Verification) Observe(server rollout.Observation, now time.Time) Decision {
	settled := v.stability.Observe(server, now, v.timing.Poll) >= v.timing.Settle
	proven := Proven(server, v.in.Before, v.in.ImageID)
	steady := settled && (v.isAtRest(server) || !now.Before(v.in.Deadline))
	if proven || steady || now.After(v.patience) {
		return finish(End{Server: server})
	}
	return look(v.timing.Poll)
}

// Failed is the event that a look did not succeed. A server that has given up its disk is not given up for that.
func (v *Verification) Failed() Decision { return reported() }

// isAtRest is true when what the server shows can be its end. The documents leave open what a server shows while its disk is
// replaced, or while the change waits for its turn: without the job's end neither the old disk nor a stopped server proves
// rest.
func (v *Verification) isAtRest(server rollout.Observation) bool {
	if !server.Exists {
		return true
	}
	return server.Idle() && (v.in.Ended || (server.Fingerprint != v.in.Before && server.Status != rollout.StatusShutoff))
}

// Suspicion says why the server may have failed, nothing if it does not look so. It needs no proof: it only holds starts.
func (v *Verification) Suspicion(server rollout.Observation) string {
	switch {
	case !server.Exists || server.Rebuilding():
		return ""
	case server.VolumeID == "":
		return "it shows no system disk"
	case server.Status == rollout.StatusError && (!v.in.WasInError || server.Fingerprint != v.in.Before):
		return "it is in ERROR"
	}
	return ""
}
