package activities

import (
	"context"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// VerifyServer looks at the server until change.Verification has enough. What it returns is evidence; Judge draws the
// conclusion.
//
// Its errors pass by themselves: a server that has given up its disk is not given up for trouble with asking.
func (a *Activities) VerifyServer(ctx context.Context, in contract.VerifyServerInput) (rollout.Observation, error) {
	heart := startHeart(ctx, rollout.Observation{})
	defer heart.stop()
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return rollout.Observation{}, err
	}
	decide := change.NewVerification(change.VerifyInput{
		ImageID: in.Change.ImageID, Before: in.Before, Ended: in.Ended, Deadline: in.Deadline, WasInError: in.WasInError,
	}, a.Timing, time.Now())
	delivered := false
	for next := decide.Begin(); ; {
		if err := pause(ctx, next.Wait); err != nil {
			return rollout.Observation{}, err
		}
		server, err := s.observe(ctx, in.ServerID)
		if err != nil {
			return rollout.Observation{}, err
		}
		heart.say(ctx, server)
		if why := decide.Suspicion(server); why != "" && !delivered {
			delivered = s.suspect(ctx, in.Rollout, in.ServerID, why)
		}
		if next = decide.Observe(server, time.Now()); next.Action == change.Finish {
			return next.End.Server, nil
		}
	}
}
