package activities

import (
	"context"
	"errors"
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
	// asked is how many servers were asked for, 0 for a round of one or one that came to nothing: whoever took
	// part then asks for himself.
	asked int
	shown map[string]rollout.Observation
}

// between is the time from the first who joins a round to its call, and so between two rounds.
func (t Timing) between() time.Duration { return t.Poll / 3 }

// glance joins the next round and waits for it. Seen is nil when it shows nothing of the server.
func (s site) glance(ctx context.Context, serverID string) (seen *rollout.Observation, asked int, err error) {
	r := s.join(serverID)
	select {
	case <-r.over:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-activity.GetWorkerStopChannel(ctx):
		return nil, 0, workerStopping()
	}
	if shown, ok := r.shown[serverID]; ok {
		seen = &shown
	}
	return seen, r.asked, nil
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
		time.AfterFunc(s.Timing.between(), func() { s.hold(r) })
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
	if len(r.servers) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.Cloud.RequestTimeout()) // its turn, and its answer
	defer cancel()
	found, missing, err := s.Cloud.ServersByID(ctx, r.servers)
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && cloud.Class() != ecs.ClassThrottled {
		return
	}
	r.asked, r.shown = len(r.servers), map[string]rollout.Observation{}
	for _, server := range found {
		r.shown[server.ID] = observation(server)
	}
	for _, id := range missing {
		r.shown[id] = rollout.Observation{}
	}
}
