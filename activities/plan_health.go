package activities

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

const (
	// probesAtOnce is how many servers are probed at a time while a plan is made.
	probesAtOnce = 64
	// maxPlanProbing is how long a plan waits for all of them: an operator waits for the plan.
	maxPlanProbing = time.Minute
)

// probeHealth notes which planned servers that run are not healthy now. A plan that cannot find out says so.
func (g *gathering) probeHealth(ctx context.Context, plan rollout.Plan) {
	if plan.Health == nil || plan.Health.RequireBefore == rollout.BeforeOff {
		return
	}
	if g.Prober.Off {
		g.HealthUnknown = errProbesOff.Error()
		return
	}
	g.reading(ctx, "the health of servers")
	probing, end := context.WithTimeout(ctx, maxPlanProbing)
	defer end()
	isPlanned := map[string]bool{}
	for _, s := range plan.Servers {
		isPlanned[s.ID] = s.Status == rollout.StatusActive
	}
	var servers []int
	for i, s := range g.Servers {
		if isPlanned[s.ID] {
			servers = append(servers, i)
		}
	}
	var probed atomic.Int64
	all, each := errgroup.WithContext(probing)
	all.SetLimit(probesAtOnce)
	for _, at := range servers {
		all.Go(func() error {
			s := &g.Servers[at]
			reasons, err := g.healthyNow(each, ecs.Server{Addresses: g.addresses[s.ID]}, plan.Health.Checks)
			if err == nil {
				s.Unhealthy = strings.Join(reasons, "; ")
				probed.Add(1)
			}
			return err
		})
	}
	switch err := all.Wait(); {
	case err == nil || ctx.Err() != nil:
	case probing.Err() != nil:
		g.HealthUnknown = fmt.Sprintf("%d of %s were probed in %s", probed.Load(), rollout.Count(len(servers), "running server"), maxPlanProbing)
	default:
		g.HealthUnknown = err.Error()
	}
}
