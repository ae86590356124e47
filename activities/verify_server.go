package activities

import (
	"context"
	"time"

	"github.com/reimage/reimage/rollout"
)

// VerifyServerName is the name under which VerifyServer is registered.
const VerifyServerName = "VerifyServer"

// VerifyServerInput says what would be proof.
type VerifyServerInput struct {
	Project  string `json:"project"`
	ServerID string `json:"server_id"`
	// Change names the image, and tells whether the server was sent secrets, which the cloud may repeat.
	Change rollout.Change      `json:"change"`
	Before rollout.Fingerprint `json:"before"`
	// Ended is true when nothing that was asked for can still be under way: a job said how it ended. Without
	// that word a server that looks untouched, or stopped, may be one that is being changed.
	Ended bool `json:"ended,omitempty"`
	// Deadline is until when a server that the cloud may still work on is waited for.
	Deadline time.Time `json:"deadline"`
	// Rollout learns at once of a server that looks failed: the verdict takes minutes. WasInError is true for one that was
	// in ERROR before its change.
	Rollout    RolloutRef `json:"rollout,omitzero"`
	WasInError bool       `json:"was_in_error,omitempty"`
}

// unrest is for how many settle times after the deadline a server that never shows the same thing for one is
// watched.
const unrest = 4

// MaxUnrest is the longest time that VerifyServer takes beyond the deadline, or beyond its start when that is later.
const MaxUnrest = unrest * MaxSettle

// VerifyServer looks at the server until it shows proof of the change, or until it has shown the same
// thing for the settle time: the server view may trail behind the job. What it returns is evidence;
// rollout.Observation.Judge draws the conclusion.
//
// Its errors pass by themselves: a server that has given up its disk is not given up for trouble with asking.
func (a *Activities) VerifyServer(ctx context.Context, in VerifyServerInput) (rollout.Observation, error) {
	heart := startHeart(ctx, rollout.Observation{})
	defer heart.stop()
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return rollout.Observation{}, err
	}
	steady := a.steadiness()
	patience := in.Deadline
	if now := time.Now(); patience.Before(now) {
		patience = now // however late it is, the server is watched
	}
	patience = patience.Add(unrest * a.Timing.Settle)
	delivered := false
	for {
		server, err := s.observe(ctx, in.ServerID)
		if err != nil {
			return rollout.Observation{}, err
		}
		heart.say(ctx, server)
		if why := in.suspicion(server); why != "" && !delivered {
			delivered = s.suspect(ctx, in.Rollout, in.ServerID, why)
		}
		now := time.Now()
		settled := steady.see(server, now) >= a.Timing.Settle
		switch {
		case server.Proven(in.Before, in.Change.ImageID):
			return server, nil
		case settled && (in.atRest(server) || !now.Before(in.Deadline)):
			return server, nil
		case now.After(patience): // it never shows the same thing for long
			return server, nil
		}
		if err := pause(ctx, a.Timing.Poll); err != nil {
			return rollout.Observation{}, err
		}
	}
}

// atRest is true when what the server shows can be its end. The documents leave open what a server shows
// while its disk is replaced, or while the change waits for its turn: without the word of a job neither the
// old disk nor a stopped server proves rest.
func (in VerifyServerInput) atRest(server rollout.Observation) bool {
	if !server.Exists {
		return true
	}
	return server.Idle() && (in.Ended || server.Fingerprint != in.Before && server.Status != rollout.StatusShutoff)
}
