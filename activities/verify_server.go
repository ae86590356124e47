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
	// Deadline is until when a server that the cloud still works on is waited for.
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
		case (server.Idle() || !server.Exists) && held >= a.Timing.Settle:
			return server, nil
		case !server.Idle() && !now.Before(in.Deadline):
			return server, nil
		}
		if err := pause(ctx, a.Timing.Poll); err != nil {
			return rollout.Observation{}, err
		}
	}
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
