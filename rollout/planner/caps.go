package planner

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// setCaps resolves how many servers may be out of service at a time.
func (p *planner) setCaps() {
	s := p.spec
	if n := len(p.chosen); n > rollout.MaxServers {
		p.problem("%d servers are more than the %d of one rollout: select fewer, and make several rollouts of them", n, rollout.MaxServers)
	}
	p.plan.Caps.InFlight = limit(s.InFlight, len(p.chosen), len(p.chosen)+countDown(p.plan.Untouched()))
	if asked := p.plan.Caps.InFlight; asked > rollout.MaxInFlight {
		p.plan.Caps.InFlight = rollout.MaxInFlight
		p.warning("%d servers in flight is more than one rollout can have: the cap is %d", asked, rollout.MaxInFlight)
	}
	if s.PerZone != (document.Limit{}) {
		p.plan.Caps.Zones = p.capsBy(s.PerZone, zoneOf, func(s rollout.OtherServer) string { return s.Zone })
	}
	// A budget by group goes by this list too. Then, without a cap, a group may be out of service whole.
	if p.grouped() && (p.groupLimit() != (document.Limit{}) || s.Budget.PerGroup != nil) {
		p.plan.Caps.Groups = p.capsBy(p.groupLimit(), groupOf, func(s rollout.OtherServer) string { return s.Group })
	}
}

func zoneOf(s rollout.PlannedServer) string  { return s.Zone }
func groupOf(s rollout.PlannedServer) string { return s.Group }

// limit is the smaller one of count and share of n, at least 1 and no more than the servers that can count:
// docs/rollout.md#rounding.
func limit(l document.Limit, n, counted int) int {
	most := counted
	if l.Count != nil {
		most = min(most, *l.Count)
	}
	if l.Percent != nil {
		most = min(most, l.Percent.Cap(n))
	}
	return max(1, most)
}

// capsBy are the caps of the parts that key names, of the planned servers in each.
func (p *planner) capsBy(l document.Limit, key func(rollout.PlannedServer) string, otherKey func(rollout.OtherServer) string) []rollout.GroupCap {
	servers, others := map[string]int{}, map[string]int{}
	for _, s := range p.plan.Servers {
		servers[key(s)]++
	}
	for _, s := range p.plan.Untouched() {
		others[otherKey(s)]++
	}
	var caps []rollout.GroupCap
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		caps = append(caps, rollout.GroupCap{Name: name, Servers: servers[name], Cap: limit(l, servers[name], servers[name]+others[name])})
	}
	return caps
}

func (p *planner) grouped() bool { return p.spec.PerGroup.Tag != "" || p.spec.PerGroup.ServerGroup }

func (p *planner) groupLimit() document.Limit {
	return document.Limit{Count: p.spec.PerGroup.Count, Percent: p.spec.PerGroup.Percent}
}

// group is the group that caps and budgets count the server in: the value of the tag, or the first of its
// server groups. Servers without one form a group of their own, named "".
func (p *planner) group(s rollout.InventoryServer) string {
	if p.spec.PerGroup.ServerGroup {
		return cmp.Or(slices.Sorted(slices.Values(s.Groups))...)
	}
	if p.spec.PerGroup.Tag == "" {
		return ""
	}
	return tagValue(s, p.spec.PerGroup.Tag)
}

// tagValue is the value of the server's tag with the key, "" when it has none.
func tagValue(s rollout.InventoryServer, key string) string {
	for _, text := range slices.Sorted(slices.Values(s.Tags)) {
		if has, value, _ := strings.Cut(text, "="); has == key {
			return value
		}
	}
	return ""
}

// warnOfGroups tells where groups are not what they seem.
func (p *planner) warnOfGroups() {
	if len(p.plan.Caps.Zones) > 0 {
		if nowhere := p.chosenWhere(func(s rollout.InventoryServer) bool { return s.Zone == "" }); len(nowhere) > 0 {
			p.warning("%s without a zone, counted as a zone of their own: %s", rollout.Count(len(nowhere), "server"), p.names(nowhere))
		}
	}
	if len(p.plan.Caps.Groups) == 0 {
		return
	}
	if alone := p.chosenWhere(func(s rollout.InventoryServer) bool { return p.group(s) == "" }); len(alone) > 0 {
		lacking := "a server group"
		if p.spec.PerGroup.Tag != "" {
			lacking = "a value of the tag " + p.spec.PerGroup.Tag
		}
		p.warning("%s without %s, counted as one group together: %s", rollout.Count(len(alone), "server"), lacking, p.names(alone))
	}
	if p.spec.PerGroup.ServerGroup {
		if several := p.chosenWhere(func(s rollout.InventoryServer) bool { return len(s.Groups) > 1 }); len(several) > 0 {
			p.warning("%s in several server groups, counted in the first by id only: %s", rollout.Count(len(several), "server"), p.names(several))
		}
	}
	if p.groupLimit() == (document.Limit{}) {
		return
	}
	var whole []string
	for _, g := range p.plan.Caps.Groups {
		if g.Servers > 1 && g.Cap >= g.Servers && p.mostOf(g.Name) == g.Servers {
			whole = append(whole, cmp.Or(g.Name, "(none)"))
		}
	}
	if len(whole) > 0 {
		p.warning("the cap by group lets every planned server of %s be out of service at once: %s", rollout.Count(len(whole), "group"), named(whole))
	}
}

// mostOf is how many planned servers of a group can be out of service at a time, by all caps together.
func (p *planner) mostOf(group string) int {
	alone := p.plan
	alone.Servers = slices.DeleteFunc(slices.Clone(p.plan.Servers), func(s rollout.PlannedServer) bool { return s.Group != group })
	return alone.MostOutOfService(p.plan.Caps.InFlight)
}

// chosenWhere are the chosen servers for which it is true, in their order.
func (p *planner) chosenWhere(is func(rollout.InventoryServer) bool) []rollout.InventoryServer {
	return slices.DeleteFunc(slices.Clone(p.chosen), func(s rollout.InventoryServer) bool { return !is(s) })
}
