package planner

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// setTimes adds what is left of the document, and the estimate.
func (p *planner) setTimes() {
	p.plan.BusyWait = time.Duration(*p.spec.Busy.Wait)
	p.plan.Soak = time.Duration(p.spec.Soak)
	p.plan.Health = p.spec.PlannedHealth()
	p.plan.Deadline = time.Duration(p.spec.Deadline)
	p.plan.Estimate = estimate(p.plan)
}

// estimate plays the plan through: every server takes the time assumed and then soaks, nothing fails, approvals
// come at once. It follows the rules of the engine (waves as barriers, a sliding window inside, caps, strict
// admission, slow start) event by event, where the engine itself would count all servers anew each time.
func estimate(plan rollout.Plan) time.Duration {
	sim := newSimulation(plan)
	begin := 0
	for _, w := range plan.Waves {
		if w.End > begin {
			sim.wave(begin, w.End)
			sim.now += w.Bake
		}
		begin = w.End
	}
	return sim.now
}

// simulation is a rollout in which every server takes equally long, so that they end in the order in which
// they started.
type simulation struct {
	now     time.Duration
	soak    time.Duration
	slots   []*room         // held until the soak is over
	flight  []*room         // held until the change is proven
	window  *room           // of the slow start, nil without one
	at      []time.Duration // when servers were started
	server  []int           // and which ones
	changed int             // how many of them are proven
	soaked  int             // and how many have soaked, too
}

func newSimulation(plan rollout.Plan) *simulation {
	n, b := len(plan.Servers), plan.Budget
	zones := func(s rollout.PlannedServer) string { return s.Zone }
	groups := func(s rollout.PlannedServer) string { return s.Group }
	soak := plan.Soak
	if plan.Health != nil {
		soak += plan.Health.Shortest()
	}
	sim := &simulation{soak: soak, slots: []*room{oneRoom(n, plan.Caps.InFlight)}}
	if len(plan.Caps.Zones) > 0 {
		sim.slots = append(sim.slots, rooms(plan.Servers, plan.Caps.Zones, zones))
	}
	if len(plan.Caps.Groups) > 0 {
		sim.slots = append(sim.slots, rooms(plan.Servers, plan.Caps.Groups, groups))
	}
	if b.SlowStart {
		sim.window = oneRoom(n, 1)
		sim.slots = append(sim.slots, sim.window)
	}
	if b.Strict {
		sim.flight = append(sim.flight, oneRoom(n, b.Tolerated(max(n, b.MinSample))+1))
	}
	if b.Strict && b.PerGroup != nil && len(plan.Caps.Groups) > 0 {
		perGroup := rooms(plan.Servers, plan.Caps.Groups, groups)
		for i := range perGroup.limit {
			perGroup.limit[i] = *b.PerGroup + 1
		}
		sim.flight = append(sim.flight, perGroup)
	}
	return sim
}

// wave plays servers begin to end.
func (s *simulation) wave(begin, end int) {
	var pending []int
	for i := begin; i < end; i++ {
		pending = append(pending, i)
		s.each(func(r *room) { r.change(i, 0, 1) })
	}
	for {
		pending = s.admit(pending)
		if s.soaked == len(s.at) {
			return
		}
		s.now = s.at[s.soaked] + rollout.AssumedPerServer + s.soak
		if s.changed < len(s.at) {
			s.now = min(s.now, s.at[s.changed]+rollout.AssumedPerServer)
		}
		for ; s.changed < len(s.at) && s.at[s.changed]+rollout.AssumedPerServer <= s.now; s.changed++ {
			for _, r := range s.flight {
				r.change(s.server[s.changed], -1, 0)
			}
			if s.window != nil {
				s.window.widen()
			}
		}
		for ; s.soaked < s.changed && s.at[s.soaked]+rollout.AssumedPerServer+s.soak <= s.now; s.soaked++ {
			for _, r := range s.slots {
				r.change(s.server[s.soaked], -1, 0)
			}
		}
	}
}

// admit starts, in order, what there is room for, and gives back what is left.
func (s *simulation) admit(pending []int) []int {
	kept := pending[:0]
	for i, server := range pending {
		full, blocked := false, false
		s.each(func(r *room) {
			full = full || r.open == 0
			blocked = blocked || r.full(server)
		})
		if full {
			if len(kept) == 0 {
				return pending[i:]
			}
			return append(kept, pending[i:]...)
		}
		if blocked {
			kept = append(kept, server)
			continue
		}
		s.each(func(r *room) { r.change(server, 1, -1) })
		s.at, s.server = append(s.at, s.now), append(s.server, server)
	}
	return kept
}

func (s *simulation) each(do func(*room)) {
	for _, r := range s.slots {
		do(r)
	}
	for _, r := range s.flight {
		do(r)
	}
}

// room is the room that one kind of cap leaves, in each zone or group or in all.
type room struct {
	of      []int // server to zone or group
	limit   []int
	used    []int
	pending []int
	open    int // how many of them have pending servers and room for one
}

func oneRoom(n, limit int) *room {
	return &room{of: make([]int, n), limit: []int{limit}, used: make([]int, 1), pending: make([]int, 1)}
}

func rooms(servers []rollout.PlannedServer, caps []rollout.GroupCap, key func(rollout.PlannedServer) string) *room {
	r := &room{of: make([]int, len(servers)), limit: make([]int, len(caps)), used: make([]int, len(caps)), pending: make([]int, len(caps))}
	position := make(map[string]int, len(caps))
	for i, c := range caps {
		position[c.Name], r.limit[i] = i, c.Cap
	}
	for i, s := range servers {
		r.of[i] = position[key(s)]
	}
	return r
}

func (r *room) full(server int) bool { return r.used[r.of[server]] >= r.limit[r.of[server]] }

func (r *room) isOpen(i int) int {
	if r.pending[i] > 0 && r.used[i] < r.limit[i] {
		return 1
	}
	return 0
}

// change counts a server in or out.
func (r *room) change(server, used, pending int) {
	i := r.of[server]
	r.open -= r.isOpen(i)
	r.used[i] += used
	r.pending[i] += pending
	r.open += r.isOpen(i)
}

// widen lets one more in.
func (r *room) widen() {
	r.open -= r.isOpen(0)
	r.limit[0]++
	r.open += r.isOpen(0)
}
