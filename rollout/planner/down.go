package planner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/reimage/reimage/rollout"
)

// countOthers notes which servers count against the caps while they are down, and puts planned servers that are down first in
// their waves: to change them takes nothing out of service.
func (p *planner) countOthers(servers []rollout.InventoryServer) {
	if !*p.spec.CountOthers {
		return
	}
	p.plan.Caps.CountOthers = true
	if p.spec.CountsMembers() && p.grouped() {
		p.plan.Others = p.otherMembers(servers)
	}
	inWaves(p, func(s rollout.PlannedServer) bool { return rollout.IsDown(s.Status) }, func(s rollout.InventoryServer) bool { return rollout.IsDown(s.Observation.Status) })
}

// inWaves puts those servers first in their waves that are so. Both lists of the planner have the same order.
func inWaves(p *planner, planned func(rollout.PlannedServer) bool, chosen func(rollout.InventoryServer) bool) {
	begin := 0
	for _, w := range p.plan.Waves {
		putFirst(p.plan.Servers[begin:min(w.End, len(p.plan.Servers))], planned)
		putFirst(p.chosen[begin:min(w.End, len(p.chosen))], chosen)
		begin = w.End
	}
}

func putFirst[S any](servers []S, isFirst func(S) bool) {
	rank := func(s S) int {
		if isFirst(s) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(servers, func(a, b S) int { return cmp.Compare(rank(a), rank(b)) })
}

// otherMembers are the servers in groups of planned servers that are not selected, but for new ones, which may be the
// cloud's own. Servers without a group are no group that others belong to.
func (p *planner) otherMembers(servers []rollout.InventoryServer) []rollout.OtherServer {
	selected, planned := map[string]bool{}, map[string]bool{}
	for _, s := range p.selected {
		selected[s.ID] = true
	}
	for _, s := range p.plan.Servers {
		planned[s.Group] = s.Group != ""
	}
	var others []rollout.OtherServer
	for _, s := range servers {
		in := slices.IndexFunc(p.groups(s), func(group string) bool { return planned[group] })
		if in < 0 || selected[s.ID] || p.isNew(s) {
			continue
		}
		others = append(others, rollout.OtherServer{ID: s.ID, Name: s.Name, Zone: s.Zone, Group: p.groups(s)[in], Status: s.Observation.Status})
	}
	return others
}

// groups are all groups that a server belongs to.
func (p *planner) groups(s rollout.InventoryServer) []string {
	if p.spec.PerGroup.ServerGroup {
		return slices.Sorted(slices.Values(s.Groups))
	}
	return []string{p.group(s)}
}

func countDown(others []rollout.OtherServer) (n int) {
	for _, s := range others {
		if rollout.IsDown(s.Status) {
			n++
		}
	}
	return n
}

// warnOfDown tells where servers that are down leave no room for others, and nothing in the plan mends them in time.
func (p *planner) warnOfDown() {
	if !p.plan.Caps.CountOthers {
		return
	}
	caps := p.plan.Caps
	anywhere := func(string, string) bool { return true }
	p.warnOfNoRoom("the rollout", caps.InFlight, anywhere)
	for _, c := range caps.Zones {
		p.warnOfNoRoom("zone "+cmp.Or(c.Name, "(none)"), c.Cap, func(zone, _ string) bool { return zone == c.Name })
	}
	for _, c := range caps.Groups {
		p.warnOfNoRoom("group "+cmp.Or(c.Name, "(none)"), c.Cap, func(_, group string) bool { return group == c.Name })
	}
}

// warnOfNoRoom goes through the waves. By the turn of the servers of a wave that run, what is down in it and before it was
// changed, and runs unless it is stopped again.
func (p *planner) warnOfNoRoom(what string, limit int, in func(zone, group string) bool) {
	begin := 0
	for _, w := range p.plan.Waves {
		wave := p.plan.Servers[begin:w.End]
		begin = w.End
		var waiting named
		for _, s := range wave {
			if in(s.Zone, s.Group) && !rollout.IsDown(s.Status) {
				waiting = append(waiting, p.label.of(s.ID, s.Name))
			}
		}
		holding := p.holding(w.End, in)
		if len(waiting) == 0 || len(holding) < limit {
			continue
		}
		p.warning("no room in %s (at most %d) for %s, because of servers that are down: %s: start or repair these, raise the cap, or set countOthers: false",
			what, limit, waiting, holding)
		return
	}
}

// holding are the servers that are down, and still are when the servers up to done were changed.
func (p *planner) holding(done int, in func(zone, group string) bool) named {
	var names named
	add := func(id, name, status, why string) {
		names = append(names, fmt.Sprintf("%s (%s, %s)", p.label.of(id, name), status, why))
	}
	wave := 0
	for i, s := range p.plan.Servers {
		for p.plan.Waves[wave].End <= i {
			wave++
		}
		switch {
		case !in(s.Zone, s.Group) || !rollout.IsDown(s.Status):
		case i >= done:
			add(s.ID, s.Name, s.Status, "in wave "+p.plan.Waves[wave].Name)
		case p.staysStopped(s):
			add(s.ID, s.Name, s.Status, "stopped again after its change")
		}
	}
	for _, s := range p.plan.Untouched() {
		if in(s.Zone, s.Group) && rollout.IsDown(s.Status) {
			add(s.ID, s.Name, s.Status, "not in the plan")
		}
	}
	return names
}

// staysStopped is true for a server that the rollout stops again after its change, because it was stopped before.
func (p *planner) staysStopped(s rollout.PlannedServer) bool {
	return p.plan.Change.Power == rollout.PowerAsBefore && s.Status == rollout.StatusShutoff && !s.LeftStopped
}
