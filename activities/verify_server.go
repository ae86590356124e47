package activities

import (
	"context"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout"
)

// VerifyServer looks at the server until it shows proof of the change, or until it has shown the same
// thing for the settle time: the server view may trail behind the job. What it returns is evidence;
// rollout.Observation.Judge draws the conclusion.
//
// Its errors pass by themselves: a server that has given up its disk is not given up for trouble with asking.
func (a *Activities) VerifyServer(ctx context.Context, in contract.VerifyServerInput) (rollout.Observation, error) {
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
	patience = patience.Add(contract.Unrest * a.Timing.Settle)
	delivered := false
	for {
		server, err := s.observe(ctx, in.ServerID)
		if err != nil {
			return rollout.Observation{}, err
		}
		heart.say(ctx, server)
		if why := suspicion(in, server); why != "" && !delivered {
			delivered = s.suspect(ctx, in.Rollout, in.ServerID, why)
		}
		now := time.Now()
		settled := steady.see(server, now) >= a.Timing.Settle
		switch {
		case server.Proven(in.Before, in.Change.ImageID):
			return server, nil
		case settled && (atRest(in, server) || !now.Before(in.Deadline)):
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
func atRest(in contract.VerifyServerInput, server rollout.Observation) bool {
	if !server.Exists {
		return true
	}
	return server.Idle() && (in.Ended || server.Fingerprint != in.Before && server.Status != rollout.StatusShutoff)
}
