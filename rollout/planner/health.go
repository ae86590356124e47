package planner

import (
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// placeUnhealthy puts servers that are not healthy before their change first in their waves, or last, as asked, and says which
// they are. Where that is asked for, there is no plan with them.
func (p *planner) placeUnhealthy() {
	if !p.spec.Health.IsSet() {
		return
	}
	last := p.spec.Health.Unhealthy == document.UnhealthyLast
	inWaves(p, func(s rollout.PlannedServer) bool { return (s.Unhealthy != "") != last }, func(s rollout.InventoryServer) bool { return (s.Unhealthy != "") != last })
	var unhealthy named
	running := 0
	for _, s := range p.plan.Servers {
		if s.Status == rollout.StatusActive {
			running++
		}
		if s.Unhealthy != "" {
			unhealthy = append(unhealthy, p.label.of(s.ID, s.Name)+" ("+s.Unhealthy+")")
		}
	}
	refuses := p.spec.Health.RequireBefore == rollout.BeforeRefuse
	if refuses && p.healthUnknown != "" {
		p.problem("health.requireBefore refuses servers that are not healthy, and which these are is not known: %s", p.healthUnknown)
	}
	switch n := len(unhealthy); {
	case n == 0:
	case refuses:
		p.problem("%s not healthy now, and health.requireBefore refuses that: %s", isOrAre(n), unhealthy)
	case n == running && n > 1:
		p.warning("no running server passes the health checks now (%s): check that they fit, and that the worker reaches the servers", unhealthy)
	default:
		p.warning("%s not healthy now: %s", isOrAre(n), unhealthy)
	}
}

func isOrAre(n int) string {
	if n == 1 {
		return "1 server is"
	}
	return rollout.Count(n, "server") + " are"
}
