package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// settler finds out of which failed servers somebody has said that nothing comes of their changes any more: the rollout
// itself does not learn it. Each frame asks about those that wait and were not asked about for a while.
type settler struct {
	ask     func(ctx context.Context, project, serverID string) (bool, error)
	settled map[string]int       // the attempt of which nothing comes, by server id
	asked   map[string]time.Time // by server id
}

const (
	// settledInterval is how long a server is not asked about again, and settledAtOnce how many are at a time: the looks
	// of servers share Temporal's list with whoever watches.
	settledInterval = 30 * time.Second
	settledAtOnce   = 5
	// settledPatience is for whoever looks once, and would order what somebody has said already.
	settledPatience = 30 * time.Second
)

func newSettler(ask func(ctx context.Context, project, serverID string) (bool, error)) *settler {
	return &settler{ask: ask, settled: map[string]int{}, asked: map[string]time.Time{}}
}

// of does not ask longer than patience: the next frame goes on. Whom Temporal does not tell of waits for a word.
func (s *settler) of(ctx context.Context, p rollout.Progress, patience time.Duration) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unseen := progressview.Unseen(p)
	isSettled := func(server rollout.ServerProgress) bool { return s.settled[server.ID] == server.Attempts }
	var (
		lock   sync.Mutex
		asking errgroup.Group
	)
	asking.SetLimit(settledAtOnce)
	for _, server := range slices.DeleteFunc(slices.Clone(unseen), func(server rollout.ServerProgress) bool {
		return isSettled(server) || time.Since(s.asked[server.ID]) < settledInterval
	}) {
		asking.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			over, err := s.ask(ctx, p.Project, server.ID)
			lock.Lock()
			defer lock.Unlock()
			if ctx.Err() == nil {
				s.asked[server.ID] = time.Now()
			}
			if err == nil && over {
				s.settled[server.ID] = server.Attempts
			}
			return nil
		})
	}
	_ = asking.Wait() // what is not told is not settled
	settled := map[string]bool{}
	for _, server := range unseen {
		settled[server.ID] = isSettled(server)
	}
	return settled
}

// forgotten is true when nothing that was sent to the server may still come, as far as it was seen or said.
func (r *rolloutRun) forgotten(ctx context.Context, project, serverID string) (bool, error) {
	earlier, err := activities.SentTo(ctx, r.session.client, workflows.ChangeOSID(project, serverID), "")
	return !earlier.Held && len(earlier.Open) == 0, err
}
