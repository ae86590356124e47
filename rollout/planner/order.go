package planner

import (
	"maps"
	"slices"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// lineUp puts the chosen servers into the order of the document, from which the waves take them. Every order is total: it does
// not depend on the order in which the cloud lists servers.
func (p *planner) lineUp() []rollout.InventoryServer {
	servers := slices.Clone(p.chosen)
	switch p.spec.Order {
	case document.OrderID:
		slices.SortFunc(servers, byID)
	case document.OrderName:
		slices.SortFunc(servers, byName)
	default:
		servers = interleave(servers)
	}
	return p.takeTurns(servers)
}

// describeServers puts the chosen servers into the plan, in their order.
func (p *planner) describeServers() {
	p.plan.Servers = make([]rollout.PlannedServer, len(p.chosen))
	for i, s := range p.chosen {
		p.plan.Servers[i] = rollout.PlannedServer{
			ID: s.ID, Name: s.Name, Zone: s.Zone, Group: p.group(s),
			Status: s.Observation.Status, LeftStopped: s.LeftStopped, Before: s.Observation.Fingerprint,
			ImageName: p.imageName(s), DiskGB: s.DiskGB, DataDisks: s.DataDisks, Unhealthy: s.Unhealthy,
		}
	}
}

// interleave takes one server of each zone in turn, so that a small first wave meets every zone. Zones go
// by their names, and so do the servers within.
func interleave(servers []rollout.InventoryServer) []rollout.InventoryServer {
	zones := map[string][]rollout.InventoryServer{}
	for _, s := range servers {
		zones[s.Zone] = append(zones[s.Zone], s)
	}
	names := slices.Sorted(maps.Keys(zones))
	for _, name := range names {
		slices.SortFunc(zones[name], byName)
	}
	line := make([]rollout.InventoryServer, 0, len(servers))
	for turn := 0; len(line) < len(servers); turn++ {
		for _, name := range names {
			if turn < len(zones[name]) {
				line = append(line, zones[name][turn])
			}
		}
	}
	return line
}
