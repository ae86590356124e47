package rollout

// MostOutOfService is how many planned servers can be out of service at a time, by all caps together, with this cap on servers
// in flight. Planned servers that are down already are out of service whatever the caps say.
func (p Plan) MostOutOfService(inFlight int) int {
	down := 0
	for _, s := range p.Servers {
		if p.Caps.CountOthers && IsDown(s.Status) {
			down++
		}
	}
	zone := p.partsBy(p.Caps.Zones, func(s PlannedServer) string { return s.Zone })
	group := p.partsBy(p.Caps.Groups, func(s PlannedServer) string { return s.Group })
	return min(max(inFlight, down), newAllotment(zone, group).most(max(inFlight, down)))
}

// IsDown is true for the status of a server that does not serve. An empty status is not known, and no reason to count it; a
// server that is still being created has never served.
func IsDown(status string) bool {
	return status != "" && status != StatusActive && status != StatusBuild
}

// parts is a division of the planned servers, with a limit on each part.
type parts struct {
	of    []int // server to part
	limit []int
}

// partsBy divides the servers by the caps. Servers without a cap are a part of their own, without a limit.
func (p Plan) partsBy(caps []GroupCap, key func(PlannedServer) string) parts {
	position := make(map[string]int, len(caps))
	result := parts{of: make([]int, len(p.Servers)), limit: make([]int, len(caps)+1)}
	for i, c := range caps {
		position[c.Name], result.limit[i] = i, c.Cap
	}
	result.limit[len(caps)] = len(p.Servers)
	down := make([]int, len(caps)+1)
	for i, s := range p.Servers {
		at, capped := position[key(s)]
		if !capped {
			at = len(caps)
		}
		result.of[i] = at
		if p.Caps.CountOthers && IsDown(s.Status) {
			down[at]++
		}
	}
	for i := range down {
		result.limit[i] = max(result.limit[i], down[i])
	}
	return result
}

// allotment finds the largest number of servers within the limits of their zones and of their groups: a maximum flow from
// zones to groups.
type allotment struct {
	zoneLeft, groupLeft []int
	cells               []cell
	ofZone, ofGroup     [][]int // positions in cells
}

// cell holds the servers of one zone and one group.
type cell struct{ zone, group, servers, taken int }

func newAllotment(zone, group parts) *allotment {
	a := &allotment{
		zoneLeft: zone.limit, groupLeft: group.limit,
		ofZone: make([][]int, len(zone.limit)), ofGroup: make([][]int, len(group.limit)),
	}
	known := map[[2]int]int{}
	for i := range zone.of {
		key := [2]int{zone.of[i], group.of[i]}
		at, ok := known[key]
		if !ok {
			at = len(a.cells)
			known[key] = at
			a.cells = append(a.cells, cell{zone: key[0], group: key[1]})
			a.ofZone[key[0]] = append(a.ofZone[key[0]], at)
			a.ofGroup[key[1]] = append(a.ofGroup[key[1]], at)
		}
		a.cells[at].servers++
	}
	return a
}

// most is the number, or enough if there are so many.
func (a *allotment) most(enough int) int {
	taken := 0
	for i := range a.cells { // what fits without rearranging
		c := &a.cells[i]
		n := min(c.servers, a.zoneLeft[c.zone], a.groupLeft[c.group])
		c.taken = n
		a.zoneLeft[c.zone] -= n
		a.groupLeft[c.group] -= n
		taken += n
	}
	for taken < enough && a.augment() {
		taken++
	}
	return min(taken, enough)
}

// augment finds room for one more server, by moving others to other cells if need be: a search from every zone with room.
func (a *allotment) augment() bool {
	const unseen, root = -2, -1
	fromZone, fromGroup := make([]int, len(a.ofGroup)), make([]int, len(a.ofZone)) // the cell by which a group or a zone was reached
	for i := range fromZone {
		fromZone[i] = unseen
	}
	var queue []int
	for z := range fromGroup {
		fromGroup[z] = unseen
		if a.zoneLeft[z] > 0 {
			fromGroup[z] = root
			queue = append(queue, z)
		}
	}
	for len(queue) > 0 {
		z := queue[0]
		queue = queue[1:]
		for _, at := range a.ofZone[z] {
			c := a.cells[at]
			if c.taken == c.servers || fromZone[c.group] != unseen {
				continue
			}
			fromZone[c.group] = at
			if a.groupLeft[c.group] > 0 {
				a.apply(c.group, fromZone, fromGroup)
				return true
			}
			for _, back := range a.ofGroup[c.group] {
				if other := a.cells[back]; other.taken > 0 && fromGroup[other.zone] == unseen {
					fromGroup[other.zone] = back
					queue = append(queue, other.zone)
				}
			}
		}
	}
	return false
}

// apply takes one more server along the path that was found, which ends at a group with room.
func (a *allotment) apply(group int, fromZone, fromGroup []int) {
	a.groupLeft[group]--
	for {
		take := &a.cells[fromZone[group]]
		take.taken++
		back := fromGroup[take.zone]
		if back < 0 {
			a.zoneLeft[take.zone]--
			return
		}
		a.cells[back].taken--
		group = a.cells[back].group
	}
}
