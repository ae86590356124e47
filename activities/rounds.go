package activities

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// roundSize is how many servers one call reads (ecs.Client.ServersByID).
const roundSize = 100

// rounds read the servers of all activities that wait at the same time with one call for a hundred of them. What a
// round shows only tells whether it is worth asking: neither a write nor a verdict rests on it.
type rounds struct {
	mu   sync.Mutex
	open map[string]*round // the one of each project that has room
}

// round is one such call.
type round struct {
	servers []string
	over    chan struct{} // closed when the call was answered; what follows is set by then
	shown   map[string]rollout.Observation
	// throttled is true when the cloud wants fewer calls.
	throttled bool
}

// none is true when nothing was asked for: whoever is alone asks for what he wants to know.
func (r *round) none() bool { return len(r.servers) < 2 }

// between is the time from the first who joins a round to its call, and so between two rounds.
func (a *Activities) between() time.Duration { return a.Timing.Poll / 3 }

// glance joins the next round and waits for it. Seen is nil when it shows nothing of the server.
func (s site) glance(ctx context.Context, serverID string) (seen *rollout.Observation, r *round, err error) {
	r = s.join(serverID)
	select {
	case <-r.over:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-activity.GetWorkerStopChannel(ctx):
		return nil, nil, workerStopping()
	}
	if shown, ok := r.shown[serverID]; ok {
		seen = &shown
	}
	return seen, r, nil
}

func (s site) join(serverID string) *round {
	project := s.Cloud.ProjectID()
	s.rounds.mu.Lock()
	defer s.rounds.mu.Unlock()
	r := s.rounds.open[project]
	if r == nil || len(r.servers) == roundSize {
		r = &round{over: make(chan struct{})}
		if s.rounds.open == nil {
			s.rounds.open = map[string]*round{}
		}
		s.rounds.open[project] = r
		time.AfterFunc(s.between(), func() { s.hold(r) })
	}
	r.servers = append(r.servers, serverID)
	return r
}

// hold closes the round to others and makes its call.
func (s site) hold(r *round) {
	defer close(r.over)
	s.rounds.mu.Lock()
	if project := s.Cloud.ProjectID(); s.rounds.open[project] == r {
		delete(s.rounds.open, project)
	}
	s.rounds.mu.Unlock()
	if r.none() {
		return
	}
	// Many wait for this turn, none of them for ever, and each would take one of his own.
	found, missing, err := s.Cloud.ServersByID(context.Background(), r.servers)
	cloud, ok := errors.AsType[*ecs.Error](err)
	r.throttled, r.shown = ok && cloud.Class() == ecs.ClassThrottled, map[string]rollout.Observation{}
	for _, server := range found {
		r.shown[strings.ToLower(server.ID)] = observation(server)
	}
	for _, id := range missing {
		r.shown[id] = rollout.Observation{}
	}
}
