package rollout_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
)

// TestMostOutOfService with the sentences that users read: at most so many of so many.
func TestMostOutOfService(t *testing.T) {
	member := func(zone, group, status string) rollout.PlannedServer {
		return rollout.PlannedServer{Zone: zone, Group: group, Status: status}
	}
	const up, off = rollout.StatusActive, rollout.StatusShutoff
	limit := func(name string, n int) rollout.GroupCap { return rollout.GroupCap{Name: name, Cap: n} }
	for name, c := range map[string]struct {
		plan rollout.Plan
		want int
	}{
		"a group of three, one at a time": {rollout.Plan{
			Servers: []rollout.PlannedServer{member("a", "etcd", up), member("b", "etcd", up), member("c", "etcd", up)},
			Caps:    rollout.Caps{InFlight: 3, Groups: []rollout.GroupCap{limit("etcd", 1)}},
		}, 1},
		"zones hold more back than the cap in flight": {rollout.Plan{
			Servers: []rollout.PlannedServer{member("a", "", up), member("a", "", up), member("b", "", up), member("b", "", up)},
			Caps:    rollout.Caps{InFlight: 4, Zones: []rollout.GroupCap{limit("a", 1), limit("b", 2)}},
		}, 3},
		"zones and groups together": {rollout.Plan{ // zone a lets one of either group go, zone b only one of group y
			Servers: []rollout.PlannedServer{member("a", "x", up), member("a", "y", up), member("b", "y", up), member("b", "y", up)},
			Caps: rollout.Caps{InFlight: 4, Zones: []rollout.GroupCap{limit("a", 2), limit("b", 2)},
				Groups: []rollout.GroupCap{limit("x", 1), limit("y", 1)}},
		}, 2},
		"the cap in flight is the smallest": {rollout.Plan{
			Servers: []rollout.PlannedServer{member("a", "x", up), member("a", "y", up), member("b", "y", up)},
			Caps:    rollout.Caps{InFlight: 1, Zones: []rollout.GroupCap{limit("a", 2), limit("b", 1)}},
		}, 1},
		"two are down already": {rollout.Plan{
			Servers: []rollout.PlannedServer{member("a", "x", off), member("a", "x", off), member("a", "x", up)},
			Caps:    rollout.Caps{CountOthers: true, InFlight: 1, Groups: []rollout.GroupCap{limit("x", 1)}},
		}, 2},
	} {
		assert.Equal(t, c.want, c.plan.MostOutOfService(c.plan.Caps.InFlight), name)
	}
}

// TestMostOutOfServiceIsTheMaximum holds it against every choice of servers.
func TestMostOutOfServiceIsTheMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var plan rollout.Plan
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		for range rapid.IntRange(0, 9).Draw(t, "servers") {
			plan.Servers = append(plan.Servers, rollout.PlannedServer{
				Zone: name.Draw(t, "zone"), Group: name.Draw(t, "group"), Status: rollout.StatusActive,
			})
		}
		for _, n := range []string{"a", "b", "c"} {
			zone, group := rapid.IntRange(1, 4), rapid.IntRange(1, 4)
			plan.Caps.Zones = append(plan.Caps.Zones, rollout.GroupCap{Name: n, Cap: zone.Draw(t, "zone cap")})
			plan.Caps.Groups = append(plan.Caps.Groups, rollout.GroupCap{Name: n, Cap: group.Draw(t, "group cap")})
		}
		plan.Caps.InFlight = rapid.IntRange(1, 9).Draw(t, "in flight")
		require.Equal(t, bruteForce(plan), plan.MostOutOfService(plan.Caps.InFlight), fmt.Sprint(plan))
	})
}

func bruteForce(plan rollout.Plan) int {
	best := 0
	for choice := range 1 << len(plan.Servers) {
		zones, groups, n := map[string]int{}, map[string]int{}, 0
		for i, s := range plan.Servers {
			if choice>>i&1 == 1 {
				zones[s.Zone]++
				groups[s.Group]++
				n++
			}
		}
		fits := n <= plan.Caps.InFlight
		for _, c := range plan.Caps.Zones {
			fits = fits && zones[c.Name] <= c.Cap
		}
		for _, c := range plan.Caps.Groups {
			fits = fits && groups[c.Name] <= c.Cap
		}
		if fits {
			best = max(best, n)
		}
	}
	return best
}
