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
	ServerID string              `json:"server_id"`
	ImageID  string              `json:"image_id"`
	Before   rollout.Fingerprint `json:"before"`
	// Ended is true when nothing that was asked for can still be under way: a job said how it ended.
	// Without that word a stopped server may be one that is being changed, so it is watched until the deadline.
	Ended bool `json:"ended,omitempty"`
	// Deadline is until when a server that the cloud may still work on is waited for.
	Deadline time.Time `json:"deadline"`
}

// VerifyServer looks at the server until it shows proof of the change, or until it has shown the same
// thing for the settle time: the server view may trail behind the job. What it returns is evidence;
// rollout.Observation.Judge draws the conclusion.
func (a *Activities) VerifyServer(ctx context.Context, in VerifyServerInput) (rollout.Observation, error) {
	heart := startHeart(ctx, rollout.Observation{})
	defer heart.stop()
	var steady steadiness
	for {
		server, err := a.observe(ctx, in.ServerID)
		if err != nil {
			return rollout.Observation{}, err
		}
		heart.say(ctx, server)
		now := time.Now()
		held := steady.see(server, now)
		switch {
		case server.Proven(in.Before, in.ImageID):
			return server, nil
		case in.atRest(server) && held >= a.Timing.Settle:
			return server, nil
		case !in.atRest(server) && !now.Before(in.Deadline):
			return server, nil
		}
		if err := pause(ctx, a.Timing.Poll); err != nil {
			return rollout.Observation{}, err
		}
	}
}

// atRest is true when what the server shows can be its end. The documents leave open whether a server
// shows REBUILD or stays SHUTOFF while its disk is replaced, so SHUTOFF alone proves no rest.
func (in VerifyServerInput) atRest(server rollout.Observation) bool {
	if !server.Exists {
		return true
	}
	return server.Idle() && (in.Ended || server.Status != rollout.StatusShutoff)
}

// steadiness measures for how long a server has shown the same thing.
type steadiness struct {
	last  rollout.Observation
	since time.Time
}

// see notes a look and tells for how long nothing has changed.
func (s *steadiness) see(now rollout.Observation, at time.Time) time.Duration {
	if s.since.IsZero() || now != s.last {
		s.last, s.since = now, at
	}
	return at.Sub(s.since)
}
