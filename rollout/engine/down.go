package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// DownOther is a server that the rollout does not touch and that is down.
type DownOther struct {
	Other  int    `json:"other"` // its position in Plan.Untouched
	Status string `json:"status"`
}

// plannedDown takes over which servers were down when the plan was made.
func (e *Engine) plannedDown() {
	if !e.plan.Caps.CountOthers {
		return
	}
	for i, s := range e.plan.Servers {
		if rollout.IsDown(s.Status) {
			e.state.Servers[i].DownStatus = s.Status
		}
	}
	for i, other := range e.untouched {
		if rollout.IsDown(other.Status) {
			e.state.Down = append(e.state.Down, DownOther{Other: i, Status: other.Status})
		}
	}
}

// isLeftOff is true for a server that was changed and is stopped because the operator wants it: with power off none of them
// counts. With power as before, one that was stopped is out of service still.
func (e *Engine) isLeftOff(end rollout.ServerEnd) bool {
	return end == rollout.Done && e.plan.Change.Power == rollout.PowerOff
}

// StatesRead takes in which servers of the project are down: their statuses by id. Servers that are not in it run, or do not
// exist.
func (e *Engine) StatesRead(down map[string]string, now time.Time) {
	e.tick(now)
	if e.state.Wave >= len(e.plan.Waves) {
		return
	}
	begins := e.mustRead()
	e.state.StatesRead, e.state.ReadAt, e.state.ReadTrouble = e.state.Wave+1, e.state.Now, ""
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if s.State != rollout.InFlight && s.State != rollout.Soaking { // what is in flight is followed by its own workflow
			s.DownStatus = e.statusFound(s, down[e.plan.Servers[i].ID])
		}
	}
	e.state.Down = nil
	for i, other := range e.untouched {
		if status := down[other.ID]; status != "" {
			e.state.Down = append(e.state.Down, DownOther{Other: i, Status: cut(status)})
		}
	}
	if names := e.namesOfDown(func(int, int) bool { return true }); begins && names != "" {
		e.log("", fmt.Sprintf("down before wave %s, which counts against the caps: %s", e.plan.Waves[e.state.Wave].Name, names))
	}
}

// statusFound is what a reading says of a server that is not in flight. The cloud may show an older state than the one in
// which the server's own workflow has left it.
func (e *Engine) statusFound(s *Server, status string) string {
	leftUp := s.Attempts > 0 && s.DownStatus == "" && !s.broken() && !e.due(s.EndedAt.Add(viewLag))
	if leftUp || e.isLeftOff(s.End) {
		return ""
	}
	return cut(status)
}

// StatesNotRead takes in why the states could not be read. They are asked for again.
func (e *Engine) StatesNotRead(why string, now time.Time) {
	e.tick(now)
	e.state.ReadAt = e.state.Now
	if e.state.ReadTrouble == "" {
		e.log("", fmt.Sprintf("the states of the servers could not be read: %s", cut(why)))
	}
	e.state.ReadTrouble = cut(why)
}

// StatesRefused takes in that the cloud refused the credentials of the workers when the states were read. The rollout
// pauses: every server would be refused, too.
func (e *Engine) StatesRefused(refusal string, now time.Time) {
	e.tick(now)
	e.state.ReadAt = e.state.Now
	if !e.stopped() {
		e.pauseForCredentials(refusal)
	}
}

// mustRead is true when the states have to be read before anything is started: a wave begins.
func (e *Engine) mustRead() bool {
	s := &e.state
	return e.plan.Caps.CountOthers && s.Wave < len(e.plan.Waves) && !e.empty(s.Wave) && s.StatesRead <= s.Wave
}

// readDue is when the states are to be read next, zero for not at all: when a wave begins, and while nothing goes on but for
// servers that are down.
func (e *Engine) readDue() time.Time {
	switch {
	case e.state.Phase != rollout.PhaseRunning || !e.plan.Caps.CountOthers:
		return time.Time{}
	case e.mustRead() && e.state.ReadTrouble == "":
		return e.state.Now
	case e.mustRead() || e.heldByDown():
		return e.state.ReadAt.Add(readAgain)
	}
	return time.Time{}
}

// heldByDown is true when servers wait, nothing is under way that could end, and servers are down.
func (e *Engine) heldByDown() bool {
	if e.state.Wave >= len(e.plan.Waves) || e.mustRead() || !e.state.WaveOverAt.IsZero() {
		return false
	}
	t := e.tally()
	if t.heldDown == 0 || t.inFlight > 0 || t.soaking > 0 {
		return false
	}
	alone := e.tallyOf(false)
	return slices.ContainsFunc(e.waiting(), func(i int) bool {
		holds := e.state.Servers[i].holdsSlot()
		return !e.full(alone, holds) && !e.heldBack(alone, i, holds)
	})
}

// waiting are the servers that could start now if they had room.
func (e *Engine) waiting() []int {
	var ready []int
	for i := range e.state.Servers[:e.plan.Waves[e.state.Wave].End] {
		if e.ready(i) {
			ready = append(ready, i)
		}
	}
	return ready
}

// whyHeldByDown says which servers wait, which servers that are down they wait for, and what to do.
func (e *Engine) whyHeldByDown(t tally) string {
	waiting := e.waiting()
	var full []string
	overall := t.slots >= e.state.Cap
	if overall {
		full = append(full, fmt.Sprintf("all %s of the rollout", rollout.Count(e.state.Cap, "slot")))
	}
	zones, groups := e.fullParts(t, waiting)
	for _, z := range zones {
		full = append(full, "zone "+quoteEmpty(e.plan.Caps.Zones[z].Name))
	}
	for _, g := range groups {
		full = append(full, "group "+quoteEmpty(e.plan.Caps.Groups[g].Name))
	}
	holders := e.namesOfDown(func(zone, group int) bool {
		return overall || slices.Contains(zones, zone) || slices.Contains(groups, group)
	})
	help := "start or repair what is down in the cloud's console (it is looked at again once a minute), or skip what waits"
	if overall {
		help += ", or raise the concurrency"
	}
	why := fmt.Sprintf("%s: no room in %s for %s, because of servers that are down: %s", e.plan.Waves[e.state.Wave].Name, strings.Join(few(full), ", "), e.names(waiting), holders)
	if broken := e.which((*Server).broken); len(broken) > 0 {
		why += fmt.Sprintf("; and because of failed servers: %s", e.names(broken))
		help += ", or retry or accept what has failed"
	}
	return why + ": " + help
}

// fullParts are the zones and groups that have no room for one of the servers.
func (e *Engine) fullParts(t tally, waiting []int) (zones, groups []int) {
	for _, i := range waiting {
		if z := e.zone[i]; z >= 0 && t.zoneSlots[z] >= e.plan.Caps.Zones[z].Cap && !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
		if g := e.group[i]; g >= 0 && t.groupSlots[g] >= e.plan.Caps.Groups[g].Cap && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return zones, groups
}

// namesOfDown lists servers that are down, with their statuses, a handful of them. One in a later wave cannot be mended by
// its own turn.
func (e *Engine) namesOfDown(in func(zone, group int) bool) string {
	var names []string
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if !s.isDown() || !in(e.zone[i], e.group[i]) {
			continue
		}
		later := ""
		if w := e.waveOf(i); s.waits() && w > e.state.Wave {
			later = ", in wave " + e.plan.Waves[w].Name
		}
		names = append(names, fmt.Sprintf("%s (%s%s)", e.called(i), s.DownStatus, later))
	}
	for _, d := range e.state.Down {
		if in(e.otherZone[d.Other], e.otherGroup[d.Other]) {
			other := e.untouched[d.Other]
			names = append(names, fmt.Sprintf("%s (%s, not in the plan)", nameOr(other.Name, other.ID), d.Status))
		}
	}
	return strings.Join(few(names), ", ")
}

// few are the first names, and how many more there are.
func few(names []string) []string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return append(names[:most:most], fmt.Sprintf("and %d more", more))
	}
	return names
}

func nameOr(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

// quoteEmpty names the group of those that are in none.
func quoteEmpty(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}
