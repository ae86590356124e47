package planner

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// cutWaves gives each wave its servers, one wave after the other, and puts the chosen servers into the order of the waves. The
// last wave has to take all that are left.
func (p *planner) cutWaves() {
	n, last := len(p.chosen), -1 // last is the last wave with servers
	left, ordered := p.lineUp(), make([]rollout.InventoryServer, 0, n)
	for i, w := range p.spec.Waves {
		wave := rollout.Wave{Name: w.Name, Bake: time.Duration(w.Bake), Approval: w.Approval}
		candidates := left
		if w.Select != nil {
			wave.Select = selectText(*w.Select)
			candidates = p.matching(w, left)
		}
		candidates = p.takeTurns(candidates) // those that are gone have left gaps
		taken := candidates[:waveSize(w, len(ordered), n, len(candidates))]
		if len(taken) > 0 && last < 0 {
			p.warnOfSpread(w.Name, taken, candidates)
		}
		if len(taken) > 0 {
			last = i
		}
		ordered = append(ordered, taken...)
		wave.End = len(ordered)
		left = without(left, taken)
		p.plan.Waves = append(p.plan.Waves, wave)
	}
	p.chosen = append(ordered, left...)
	if last >= 0 && p.plan.Waves[last].Approval {
		p.plan.Waves[last].Approval = false
		p.warning("wave %s is the last with servers: its approval would approve nothing and is left out", p.plan.Waves[last].Name)
	}
	if len(left) > 0 {
		p.problem("the waves come to %d of %s and leave out %d: %s; let the last wave be upTo: 100%%", n-len(left), rollout.Count(n, "server"), len(left), p.names(left))
	}
}

// without are the servers that were not taken, in their order.
func without(servers, taken []rollout.InventoryServer) []rollout.InventoryServer {
	if len(taken) == 0 {
		return servers
	}
	gone := make(map[string]bool, len(taken))
	for _, s := range taken {
		gone[s.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(servers), func(s rollout.InventoryServer) bool { return gone[s.ID] })
}

// waveSize is how many of its candidates a wave takes that begins at a server of n.
func waveSize(w document.Wave, begin, n, candidates int) int {
	if w.Select == nil {
		return waveEnd(w, begin, n) - begin
	}
	if w.Count != nil {
		return min(*w.Count, candidates)
	}
	return candidates
}

// matching are the servers of those left that the wave selects. An entry that means no planned server is a warning, and a name
// that no selected server has is a problem: it would leave a canary empty.
func (p *planner) matching(w document.Wave, left []rollout.InventoryServer) []rollout.InventoryServer {
	names, tags := newMatcher(nil, w.Select.Names, nil), newMatcher(nil, nil, w.Select.Tags)
	zones, groups := newParts(w.Select.Zones), newParts(w.Select.Groups)
	all := len(w.Select.Names)+len(w.Select.Tags) == 0
	matched := map[string]bool{}
	for _, s := range p.chosen {
		// Everything is asked for every server: an entry is used even if another one decides.
		hasName, hasTags := names.named(s), tags.allTags(s)
		tags.anyTag(s)
		inZone, inGroup := zones.has(s.Zone), groups.has(p.group(s))
		matched[s.ID] = (all || hasName || hasTags) && inZone && inGroup
	}
	for _, s := range p.selected {
		names.named(s) // one that is skipped is no mistake
	}
	if missing := unused(maps.Values(names.names)); len(missing) > 0 {
		p.problem("wave %s selects the name %s, which no server of the selection has: check the names, or take them out of the wave", w.Name, named(missing))
	}
	var missing named
	for _, kind := range []struct {
		noun    string
		entries iter.Seq[*entry]
	}{{"name", slices.Values(names.globs)}, {"tag", slices.Values(tags.tags)}, {"zone", maps.Values(zones)}, {"group", maps.Values(groups)}} {
		for _, text := range unused(kind.entries) {
			missing = append(missing, kind.noun+" "+text)
		}
	}
	if len(missing) > 0 && len(p.chosen) > 0 {
		p.warning("wave %s selects what no planned server has: %s", w.Name, missing)
	}
	return slices.DeleteFunc(slices.Clone(left), func(s rollout.InventoryServer) bool { return !matched[s.ID] })
}

// selectText says what a wave selects: "names web-*, db-01; zones eu-1a".
func selectText(s document.WaveSelection) string {
	var parts []string
	for _, kind := range []struct {
		noun    string
		entries []string
	}{{"names", s.Names}, {"tags", s.Tags}, {"zones", s.Zones}, {"groups", s.Groups}} {
		if len(kind.entries) > 0 {
			parts = append(parts, kind.noun+" "+named(kind.entries).String())
		}
	}
	return strings.Join(parts, "; ")
}

// waveEnd is where a wave ends that begins at begin, of n servers: docs/rollout.md#rounding. A wave never
// ends before it begins: then it is empty.
func waveEnd(w document.Wave, begin, n int) int {
	switch {
	case w.Count != nil:
		return min(n, begin+*w.Count)
	case w.Percent != nil:
		return min(n, begin+w.Percent.Ceil(n))
	case w.UpTo != nil:
		return max(begin, w.UpTo.Ceil(n))
	}
	return begin
}

// warnOfWaves tells where the waves are not what they seem.
func (p *planner) warnOfWaves() {
	waves, n := p.plan.Waves, len(p.plan.Servers)
	if n > 1 && len(waves) > 1 && waves[0].End == n {
		p.warning("the first wave, %s, is all %d servers: nothing is tried on a few first", waves[0].Name, n)
	}
	if n > 10 && len(waves) == 1 {
		p.warning("there is one wave of all %d servers: a small first wave would show a bad image on a few", n)
	}
	var empty []string
	begin := 0
	for _, w := range waves {
		if w.End == begin {
			empty = append(empty, w.Title())
		}
		begin = w.End
	}
	if len(empty) > 0 {
		verb := "wave %s is empty and is passed over: it neither bakes nor asks"
		if len(empty) > 1 {
			verb = "waves %s are empty and are passed over: they neither bake nor ask"
		}
		p.warning("%s", fmt.Sprintf(verb, named(empty)))
	}
}
