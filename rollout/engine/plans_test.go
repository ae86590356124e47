package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

const (
	oldImage = "ubuntu-22.04"
	newImage = "ubuntu-24.04"
)

// fleet is a plan for so many servers in one wave, one in flight, that tolerates no failure.
func fleet(n int) rollout.Plan {
	plan := rollout.Plan{
		Version: rollout.PlanVersion, Name: "web", Change: rollout.Change{ImageID: newImage}, ImageName: newImage,
		Waves: []rollout.Wave{{Name: "all", End: n}}, Caps: rollout.Caps{InFlight: 1},
		Budget: rollout.Budget{Count: new(0), OnBreach: rollout.BreachPause},
	}
	for i := range n {
		plan.Servers = append(plan.Servers, rollout.PlannedServer{
			ID: fmt.Sprintf("id-%02d", i+1), Name: fmt.Sprintf("web-%02d", i+1), Status: rollout.StatusActive,
			Before: rollout.Fingerprint{ImageID: oldImage, VolumeID: fmt.Sprintf("disk-0-of-%d", i)},
		})
	}
	return plan
}

// plan is a fleet with something else about it.
func plan(n, inFlight, tolerated int, with ...func(*rollout.Plan)) rollout.Plan {
	p := fleet(n)
	p.Caps.InFlight = inFlight
	p.Budget.Count = &tolerated
	for _, change := range with {
		change(&p)
	}
	return p
}

func waves(all ...rollout.Wave) func(*rollout.Plan) {
	return func(p *rollout.Plan) { p.Waves = all }
}

// zones puts the servers into zones, one letter for each, and caps every zone.
func zones(letters string, limit int) func(*rollout.Plan) {
	return func(p *rollout.Plan) {
		for i, letter := range letters {
			p.Servers[i].Zone = "az-" + string(letter)
		}
		p.Caps.Zones = capped("az-", letters, limit)
	}
}

func groups(letters string, limit int) func(*rollout.Plan) {
	return func(p *rollout.Plan) {
		for i, letter := range letters {
			p.Servers[i].Group = "db-" + string(letter)
		}
		p.Caps.Groups = capped("db-", letters, limit)
	}
}

// countOthers lets servers count that are down when the plan is made, by their names.
func countOthers(status string, names ...string) func(*rollout.Plan) {
	return func(p *rollout.Plan) {
		p.Caps.CountOthers = true
		for i := range p.Servers {
			if slices.Contains(names, p.Servers[i].Name) {
				p.Servers[i].Status = status
			}
		}
	}
}

func capped(prefix, letters string, limit int) []rollout.GroupCap {
	var caps []rollout.GroupCap
	for letter := 'a'; letter <= 'z'; letter++ {
		if n := strings.Count(letters, string(letter)); n > 0 {
			caps = append(caps, rollout.GroupCap{Name: prefix + string(letter), Servers: n, Cap: min(limit, n)})
		}
	}
	return caps
}

// describe tells a plan in a few lines.
func describe(p rollout.Plan) string {
	var b strings.Builder
	start := 0
	for _, wave := range p.Waves {
		fmt.Fprintf(&b, "wave %s: %s", wave.Name, span(p, start, wave.End))
		if wave.Bake > 0 {
			fmt.Fprintf(&b, ", bakes %s", wave.Bake)
		}
		if wave.Approval {
			b.WriteString(", then an approval")
		}
		b.WriteString("\n")
		start = wave.End
	}
	fmt.Fprintf(&b, "in flight at most %d", p.Caps.InFlight)
	for _, limit := range append(append([]rollout.GroupCap{}, p.Caps.Zones...), p.Caps.Groups...) {
		fmt.Fprintf(&b, ", %d of %d in %s", limit.Cap, limit.Servers, limit.Name)
	}
	if p.Caps.CountOthers {
		b.WriteString("; servers count that are down for another reason")
	}
	for _, s := range p.Servers {
		if s.Status != rollout.StatusActive {
			fmt.Fprintf(&b, ", %s is %s", s.Name, s.Status)
		}
	}
	for _, other := range p.Untouched() {
		fmt.Fprintf(&b, ", %s of %s is not planned", other.Name, other.Group)
	}
	b.WriteString("\nbudget:")
	budget := p.Budget
	if budget.Count != nil {
		fmt.Fprintf(&b, " tolerates %d;", *budget.Count)
	}
	if budget.Share != nil {
		fmt.Fprintf(&b, " tolerates a share of %d once %d ended;", *budget.Share, budget.MinSample)
	}
	if budget.PerGroup != nil {
		fmt.Fprintf(&b, " tolerates %d in each group;", *budget.PerGroup)
	}
	if budget.Strict {
		b.WriteString(" strict;")
	}
	if budget.SlowStart {
		b.WriteString(" slow start;")
	}
	fmt.Fprintf(&b, " on a breach: %s\n", budget.OnBreach)
	for _, wait := range []struct {
		name string
		time.Duration
	}{{"soak", p.Soak}, {"busy servers are waited for", p.BusyWait}, {"deadline", p.Deadline}} {
		if wait.Duration > 0 {
			fmt.Fprintf(&b, "%s: %s\n", wait.name, wait.Duration)
		}
	}
	return b.String()
}

func span(p rollout.Plan, from, to int) string {
	switch to - from {
	case 0:
		return "no server"
	case 1:
		return p.Servers[from].Name
	}
	return p.Servers[from].Name + " to " + p.Servers[to-1].Name
}
