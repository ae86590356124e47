package planner

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// byName sorts servers by name, then id: a total order.
func byName(a, b rollout.InventoryServer) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), byID(a, b))
}

func byID(a, b rollout.InventoryServer) int { return cmp.Compare(a.ID, b.ID) }

// distinct are the servers of the inventory, each once and sorted. One that is there twice has to be the same.
func (p *planner) distinct(servers []rollout.InventoryServer) []rollout.InventoryServer {
	servers = slices.Clone(servers)
	slices.SortFunc(servers, byID)
	var differ []string
	servers = slices.CompactFunc(servers, func(a, b rollout.InventoryServer) bool {
		if a.ID == b.ID && !reflect.DeepEqual(a, b) {
			differ = append(differ, cmp.Or(a.Name, a.ID))
		}
		return a.ID == b.ID
	})
	if len(differ) > 0 {
		slices.Sort(differ)
		p.problem("the cloud listed %s more than once and differently (%s): it changed meanwhile, plan again", rollout.Count(len(differ), "server"), named(slices.Compact(differ)))
	}
	slices.SortFunc(servers, byName)
	return servers
}

// newFor is when a change is given up, unless somebody allows it more.
const newFor = rollout.DefaultDeadline

// isNew is true for a server that may be the cloud's own for the time of another one's change. Nothing but its age tells it
// from one that was there before.
func (p *planner) isNew(s rollout.InventoryServer) bool {
	return s.Observation.Status == rollout.StatusBuild || !s.CreatedAt.IsZero() && p.plan.MadeAt.Sub(s.CreatedAt) < newFor
}

// chooseServers applies the selection: what ids, names and tags mean, in the zones where it names any, without what is
// excluded. Only its id selects a new server.
func (p *planner) chooseServers(servers []rollout.InventoryServer) {
	sel := p.spec.Select
	include := newMatcher(sel.IDs, sel.Names, sel.Tags)
	exclude := newMatcher(sel.Exclude.IDs, sel.Exclude.Names, sel.Exclude.Tags)
	zones := newParts(sel.Zones)
	p.label = labels{}
	for _, s := range servers {
		// Everything is asked for every server: an entry is used even if another one decides.
		in, tagIn := include.named(s), include.allTags(s)
		out, tagOut := exclude.named(s), exclude.anyTag(s)
		switch {
		case !in && !tagIn || out || tagOut:
		case !zones.has(s.Zone):
		case p.isNew(s) && !include.hasID(s):
			p.young = append(p.young, cmp.Or(s.Name, s.ID))
		default:
			p.selected = append(p.selected, s)
			p.label.add(s.Name)
		}
	}
	if missing := unused(maps.Values(include.ids)); len(missing) > 0 {
		p.problem("no server has the id %s: check the ids and the region, or take them out of the selection", named(missing))
	}
	// Another server of the name may be what is meant, and the new one the cloud's own.
	later := slices.DeleteFunc(slices.Compact(slices.Clone(p.young)), func(name string) bool { return include.names[name] == nil || p.label[name] > 0 })
	if len(later) > 0 {
		p.problem("what is named %s is new or still being created, and may be the cloud's own for the time of a change: select it by its id, plan again when it is there and an hour old, or take it out of the selection", later)
	}
	if missing := unused(maps.Values(include.names)); len(missing) > 0 {
		p.problem("no server is named %s: check the names and the region, or take them out of the selection", named(missing))
	}
	if missing := unused(slices.Values(include.globs)); len(missing) > 0 {
		p.warning("no server matches the name %s of the selection", named(missing))
	}
	if missing := unused(slices.Values(include.tags)); len(missing) > 0 {
		p.warning("no server has all the tags of the selection: %s", named(missing))
	}
	if missing := unused(maps.Values(zones)); len(missing) > 0 {
		p.warning("no server of the selection is in zone %s", named(missing))
	}
	if len(p.young) > 0 {
		p.warning("left out, as new or still being created: %s. A server created less than an hour ago may be the cloud's own for the time of a change: select yours by their ids, or plan again later", p.young)
	}
	p.checkExclusion(exclude, servers)
	if !sel.OnlyIDs() { // otherwise the servers that an exclusion means may not have been read
		p.warnOfExclusion(exclude)
	}
	p.checkExpected(len(p.selected))
}

// checkExclusion refuses an excluded name that no server has and that holds the name or id of one: names may hold blanks, and
// several of them in one entry would protect none of those servers.
func (p *planner) checkExclusion(exclude *matcher, servers []rollout.InventoryServer) {
	for _, text := range slices.Concat(unused(maps.Values(exclude.names)), unused(slices.Values(exclude.globs))) {
		parts := strings.Fields(text)
		isPart := func(s rollout.InventoryServer) bool {
			return slices.ContainsFunc(parts, func(part string) bool { return namesServer(part, s) })
		}
		if at := slices.IndexFunc(servers, isPart); len(parts) > 1 && at >= 0 {
			p.problem("the selection excludes %q, which is no server, and a part of it means %s: give each name an entry of its own, or a line in a file", text, cmp.Or(servers[at].Name, servers[at].ID))
		}
	}
}

// namesServer is true for an id, a name or a pattern of a server. A lone * says nothing.
func namesServer(text string, s rollout.InventoryServer) bool {
	return strings.EqualFold(text, s.ID) || (strings.Trim(text, "*?") != "" && rollout.MatchName(text, s.Name))
}

// warnOfExclusion names what protects nobody: it may be a slip of the pen. It is no problem, because a
// standing exclusion, of a tag for instance, mostly has nothing to protect.
func (p *planner) warnOfExclusion(exclude *matcher) {
	const look = "make sure that what it should protect is not in the plan"
	missing := slices.Concat(unused(maps.Values(exclude.ids)), unused(maps.Values(exclude.names)), unused(slices.Values(exclude.globs)))
	if len(missing) > 0 {
		p.warning("the selection excludes %s, which is no server that was found: %s", named(missing), look)
	}
	if missing := unused(slices.Values(exclude.tags)); len(missing) > 0 {
		p.warning("the selection excludes the tag %s, which no server has: %s", named(missing), look)
	}
}

// checkExpected holds the number of selected servers, skipped ones included, against the guard.
func (p *planner) checkExpected(n int) {
	expect := p.spec.Select.Expect
	besides := "" // introduces the servers that the selection would have with the new ones
	if len(p.young) > 0 {
		besides = "; left out, as new or still being created: "
	}
	switch {
	case n == 0:
		elsewhere := ""
		if len(p.spec.Select.Zones) > 0 {
			elsewhere = " or in other zones"
		}
		p.problem("the selection is empty: no server has the ids, names or tags, or all of them are excluded%s%s%s", elsewhere, besides, p.young)
	case expect.Count != nil && n != *expect.Count:
		p.problem("the selection comes to %s and exactly %d is expected: %s%s%s", rollout.Count(n, "server"), *expect.Count, p.names(p.selected), besides, p.young)
	case expect.Min != nil && n < *expect.Min:
		p.problem("the selection comes to %s and at least %d is expected: %s%s%s", rollout.Count(n, "server"), *expect.Min, p.names(p.selected), besides, p.young)
	case expect.Max != nil && n > *expect.Max:
		p.problem("the selection comes to %s and at most %d is expected: %s", rollout.Count(n, "server"), *expect.Max, p.names(p.selected))
	}
}

// called is what the server is called in sentences.
func (p *planner) called(s rollout.InventoryServer) string { return p.label.of(s.ID, s.Name) }

func (p *planner) names(servers []rollout.InventoryServer) named {
	names := make(named, len(servers))
	for i, s := range servers {
		names[i] = p.called(s)
	}
	return names
}
