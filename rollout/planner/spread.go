package planner

import (
	"cmp"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// maxCombinations is how many combinations of values a spread may make. More are no spread, but a sort by a property that
// nearly every server has to itself.
const maxCombinations = 500

// checkSpread refuses a spread of too many combinations, and warns of keys that no server has.
func (p *planner) checkSpread() {
	if len(p.spec.Spread) == 0 || len(p.chosen) == 0 {
		return
	}
	if n := len(combinations(p.chosen, p.turnValues)); n > maxCombinations {
		p.problem("spread makes %d combinations of %s, more than %d: name keys of which many servers share a value", n, spreadKeys(p.spec.Spread), maxCombinations)
		p.spec.Spread = nil
		return
	}
	for _, key := range p.spec.Spread {
		lacks := func(s rollout.InventoryServer) bool { return p.spreadValue(s, key) == "" }
		switch without := p.chosenWhere(lacks); {
		case len(without) == len(p.chosen):
			p.warning("spread goes by %s, which no planned server has: it changes nothing", key)
		case len(without) > 0:
			p.warning("spread goes by %s, which %s not have: they count as one value: %s", key, doNot(len(without)), p.names(without))
		}
	}
}

// doNot is "1 server does" or "2 servers do".
func doNot(n int) string {
	if n == 1 {
		return "1 server does"
	}
	return rollout.Count(n, "server") + " do"
}

// warnOfSpread names what the first wave does not try.
func (p *planner) warnOfSpread(wave string, taken, candidates []rollout.InventoryServer) {
	if len(p.spec.Spread) == 0 {
		return
	}
	tried, all := combinations(taken, p.turnValues), combinations(candidates, p.turnValues)
	var missing named
	for _, c := range all {
		if !slices.ContainsFunc(tried, func(t combination) bool { return slices.Equal(t.values, c.values) }) {
			missing = append(missing, c.String())
		}
	}
	if len(missing) > 0 {
		p.warning("the first wave, %s, has %d of the %d combinations of %s, and none of: %s", wave, len(tried), len(all), spreadKeys(p.spec.Spread), missing)
	}
}

// turnKeys are the keys whose values take turns. To line up by zones is a spread by zone.
func (p *planner) turnKeys() []document.SpreadKey {
	if len(p.spec.Spread) == 0 && p.spec.Order == document.OrderZones {
		return []document.SpreadKey{document.SpreadZone}
	}
	return p.spec.Spread
}

// turnValues are the server's values of these keys.
func (p *planner) turnValues(s rollout.InventoryServer) []string {
	keys := p.turnKeys()
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = p.spreadValue(s, key)
	}
	return values
}

// takeTurns lets the combinations of values take turns, so that a wave of k servers has k different ones, or all there are.
// The servers of a combination keep their order, and the first combination is that of the first server.
func (p *planner) takeTurns(servers []rollout.InventoryServer) []rollout.InventoryServer {
	if len(p.turnKeys()) == 0 {
		return servers
	}
	turns := inTurns(combinations(servers, p.turnValues))
	line := make([]rollout.InventoryServer, 0, len(servers))
	for round := 0; len(line) < len(servers); round++ {
		for _, c := range turns {
			if round < len(c.servers) {
				line = append(line, c.servers[round])
			}
		}
	}
	return line
}

// combination are the servers with the same values, in their order.
type combination struct {
	values  []string
	servers []rollout.InventoryServer
}

func (c combination) String() string {
	shown := make([]string, len(c.values))
	for i, value := range c.values {
		shown[i] = cmp.Or(value, "(none)")
	}
	return strings.Join(shown, "/")
}

// combinations are those of the servers, in the order in which they first occur.
func combinations(servers []rollout.InventoryServer, valuesOf func(rollout.InventoryServer) []string) []combination {
	var all []combination
	at := map[string]int{}
	for _, s := range servers {
		values := valuesOf(s)
		id := strings.Join(values, "\x00") // no tag holds that
		if _, known := at[id]; !known {
			at[id] = len(all)
			all = append(all, combination{values: values})
		}
		c := &all[at[id]]
		c.servers = append(c.servers, s)
	}
	return all
}

// inTurns orders combinations so that each next one has the values that were used least before it: first the value of the
// first key, then that of the second. So two servers in two zones with two roles differ in both.
func inTurns(left []combination) []combination {
	left = slices.Clone(left)
	var turns []combination
	used := usage{}
	for len(left) > 0 {
		next := 0
		for i := 1; i < len(left); i++ {
			if used.less(left[i], left[next]) {
				next = i
			}
		}
		used.add(left[next])
		turns = append(turns, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return turns
}

// usage is how often each value was used, by the position of its key.
type usage []map[string]int

func (u *usage) add(c combination) {
	for key, value := range c.values {
		if key == len(*u) {
			*u = append(*u, map[string]int{})
		}
		(*u)[key][value]++
	}
}

// less is true when the values of a were used less than those of b.
func (u usage) less(a, b combination) bool {
	for key := range u {
		if of, than := u[key][a.values[key]], u[key][b.values[key]]; of != than {
			return of < than
		}
	}
	return false
}

// spreadValue is the value of a key, "" for a server without one.
func (p *planner) spreadValue(s rollout.InventoryServer, key document.SpreadKey) string {
	if tag, isTag := key.Tag(); isTag {
		return tagValue(s, tag)
	}
	if key == document.SpreadGroup {
		return p.group(s)
	}
	return s.Zone
}

func spreadKeys(keys []document.SpreadKey) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = string(key)
	}
	return conjoined(texts)
}
