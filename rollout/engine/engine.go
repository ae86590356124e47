package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Engine is one rollout. Its methods are called one after the other.
type Engine struct {
	plan  rollout.Plan
	state State
	// zone and group are the positions of a server's caps in the plan, -1 for none.
	zone, group []int
	byRef       map[string][]int // servers by id and by name
	// untouched are the other servers that count while they are down, with the positions of their caps as above.
	untouched             []rollout.OtherServer
	otherZone, otherGroup []int
	// most remembers the answer of MostOutOfService for a cap on servers in flight.
	most, mostFor int
}

// New begins a rollout.
func New(plan rollout.Plan, by string, now time.Time) *Engine {
	state := State{
		Phase: rollout.PhaseRunning, Approvals: make([]string, len(plan.Waves)), Servers: make([]Server, len(plan.Servers)),
		Cap: plan.Caps.InFlight, Window: 1, StartedBy: by, StartedAt: now, Now: now,
	}
	if plan.Deadline > 0 {
		state.Deadline = now.Add(plan.Deadline)
	}
	for i := range state.Servers {
		state.Servers[i].State = rollout.Pending
	}
	e := Restore(plan, state)
	e.plannedDown()
	e.log(by, fmt.Sprintf("started: %s in %s", servers(len(plan.Servers)), rollout.Count(len(plan.Waves), "wave")))
	return e
}

// Restore goes on with a rollout where its State was taken.
func Restore(plan rollout.Plan, state State) *Engine {
	e := &Engine{plan: plan, state: state, byRef: make(map[string][]int)}
	zones, groups := positions(plan.Caps.Zones), positions(plan.Caps.Groups)
	at := func(caps map[string]int, name string) int {
		if i, ok := caps[name]; ok {
			return i
		}
		return -1
	}
	for i, server := range plan.Servers {
		e.zone = append(e.zone, at(zones, server.Zone))
		e.group = append(e.group, at(groups, server.Group))
		e.byRef[server.ID] = append(e.byRef[server.ID], i)
		if server.Name != server.ID {
			e.byRef[server.Name] = append(e.byRef[server.Name], i)
		}
	}
	e.untouched = plan.Untouched()
	for _, other := range e.untouched {
		e.otherZone = append(e.otherZone, at(zones, other.Zone))
		e.otherGroup = append(e.otherGroup, at(groups, other.Group))
	}
	return e
}

func positions(caps []rollout.GroupCap) map[string]int {
	at := make(map[string]int, len(caps))
	for i, c := range caps {
		at[c.Name] = i
	}
	return at
}

// State is what Restore needs. It is the engine's own and not to be changed.
func (e *Engine) State() State { return e.state }

// Finished takes in how the attempt at a server ended. A server that is not in flight is left as it is:
// whoever tells may tell twice.
func (e *Engine) Finished(i int, out Outcome, now time.Time) {
	e.tick(now)
	s := &e.state.Servers[i]
	if s.State != rollout.InFlight {
		return
	}
	s.EndedAt, s.Earlier, s.BusySince = e.state.Now, times{}, time.Time{}
	defer e.noteSuspended(e.suspended(e.tally()))
	s.Suspicion = ""
	if e.state.Pause == nil {
		e.state.Credentials = ""
	}
	s.see(out)
	recheck := s.Recheck
	if !recheck && !untouched(out.End) {
		s.Replaced = s.Replacing
	}
	s.Failure, s.Recheck = out.Failure, false
	if out.Up || e.isLeftOff(out.End) {
		s.DownStatus = ""
	}
	if s.RollingBack {
		e.rolledBack(i, out)
		return
	}
	s.Down = s.off(out) && s.End != rollout.Vanished // one that vanished once holds no slot
	if s.stays(out.End) {
		out.Reason, out.End = s.still(fmt.Sprintf("tried again, %s: %s", out.End, out.Reason)), s.End
	}
	s.State, s.End, s.Reason = rollout.Ended, out.End, s.said(out)
	switch {
	case out.End == rollout.Done:
		if !s.StartedAt.Before(e.state.FailedAt) { // what was started before a failure is no sign that it is over
			e.state.Window++
		}
		if e.plan.Soak > 0 && e.plan.Health == nil { // else the server's own workflow has watched it
			s.State, s.Until = rollout.Soaking, e.state.Now.Add(e.plan.Soak)
		}
	case out.End.Failed():
		e.state.Window, e.state.FailedAt = 1, e.state.Now
		e.log("", fmt.Sprintf("%s: %s: %s", e.called(i), out.End, s.Reason))
	}
	if (s.Attempts > 1 || recheck) && !out.End.Failed() { // the log has told that it failed
		e.log("", fmt.Sprintf("%s: %s: %s", e.called(i), out.End, s.Reason))
	}
}

// earlier begins what a server is since an attempt before the last one.
const earlier = "; before that: "

// leftStopped ends the reason of a server that an attempt before the last one left so.
const leftStopped = "; its power is not as asked: an earlier attempt left it stopped"

// still is what an attempt found that left the server what an earlier one made of it, and why it is that.
func (s *Server) still(found string) string {
	made := strings.TrimSuffix(s.Reason, leftStopped)
	if _, before, again := strings.Cut(made, earlier); again {
		made = before
	}
	if made == "" {
		return cut(found)
	}
	found = cutTo(maxReason-len(earlier)-70, found) // it ends with what to do about it
	return found + earlier + cutTo(maxReason-len(found)-len(earlier), made)
}

// said is why the server ended so. An attempt that touched nothing does not tell what one before it left behind.
func (s *Server) said(out Outcome) string {
	if !s.Down || out.Down {
		return cut(out.Reason)
	}
	return cutTo(maxReason-len(leftStopped), out.Reason) + leftStopped
}

// see notes the disk that the server showed. One that was only looked at keeps the disk that may be lost. It may
// have got another one since an attempt left it out of service. The refusal has named that disk, so a retry that
// names the server may be meant for it; nothing else is.
func (s *Server) see(out Outcome) {
	switch {
	case out.Foreign:
		s.Foreign = true
	case out.After == rollout.Fingerprint{}:
	case out.End != rollout.NotStarted && out.End != rollout.Skipped:
		s.After, s.Seen = out.After, rollout.Fingerprint{}
	case s.End.OutOfService() && out.After.VolumeID != "" && out.After != s.After:
		s.Seen = out.After
	}
}

// rolledBack takes in how giving a server its previous image ended. When nothing was touched, the server
// stays what it was.
func (e *Engine) rolledBack(i int, out Outcome) {
	s := &e.state.Servers[i]
	s.State, s.Down = rollout.Ended, s.off(out)
	switch {
	case out.End == rollout.Done:
		s.End, s.Reason, s.Accepted = rollout.Restored, cut("has its previous image again: "+out.Reason), false
	case s.stays(out.End):
		s.Reason = s.still("rolling back: " + out.Reason)
		e.log("", fmt.Sprintf("%s was not rolled back: %s", e.called(i), cut(out.Reason)))
	default:
		s.End, s.Reason, s.Accepted = out.End, cut("rolling back: "+out.Reason), false // nobody has accepted this failure
		what := "was not rolled back"
		if out.End == rollout.FailedUnhealthy {
			what = "was rolled back"
		}
		e.log("", fmt.Sprintf("%s %s: %s: %s", e.called(i), what, out.End, cut(out.Reason)))
	}
}

// Busy takes in that another workflow changes the server, so that nothing was started. It is tried again
// until the plan's patience ends.
func (e *Engine) Busy(i int, holder string, now time.Time) {
	e.tick(now)
	s := &e.state.Servers[i]
	if s.State != rollout.InFlight {
		return
	}
	s.turnedAway()
	s.Holder = cut(holder)
	if s.BusySince.IsZero() {
		s.BusySince = e.state.Now
	}
	if s.RollingBack { // its turn comes again, for as long as it takes
		s.State, s.RollingBack, s.Until = rollout.Ended, false, e.state.Now.Add(busyRetry)
		return
	}
	if e.due(s.BusySince.Add(e.plan.BusyWait)) || e.stopped() {
		e.giveUp(i, rollout.Skipped, s.busy())
		e.log("", fmt.Sprintf("%s is left alone, %s", e.called(i), s.busy()))
		return
	}
	s.State, s.Until = rollout.Busy, e.state.Now.Add(busyRetry)
}

// CredentialsRefused takes in that the cloud refused the credentials of the workers and did nothing to the server.
// That is no failure: the server waits for its next turn, and the rollout pauses, because the next servers would be
// refused, too. Up is as in Outcome.
func (e *Engine) CredentialsRefused(i int, up bool, refusal string, now time.Time) {
	e.tick(now)
	s := &e.state.Servers[i]
	if s.State != rollout.InFlight {
		return
	}
	e.putBack(i, up, cut(refusal))
	e.pauseForCredentials(refusal)
}

// putBack takes back an attempt that changed nothing. The server waits for its turn again, or is given up for the reason
// when no server has another turn.
func (e *Engine) putBack(i int, up bool, reason string) {
	s := &e.state.Servers[i]
	s.turnedAway()
	s.BusySince, s.Down = time.Time{}, s.Down && !up
	if up {
		s.DownStatus = ""
	}
	switch {
	case s.RollingBack:
		s.State, s.RollingBack = rollout.Ended, false
	case e.stopped():
		e.giveUp(i, rollout.NotStarted, reason)
	default:
		s.State = rollout.Pending
	}
}

// CredentialsAwaited takes in that the cloud refuses the credentials of the workers to a server in flight, which waits
// for them. The rollout pauses: the next servers would be refused, too.
func (e *Engine) CredentialsAwaited(refusal string, now time.Time) {
	e.tick(now)
	if e.tally().inFlight > 0 { // else it is over by now
		e.pauseForCredentials(refusal)
	}
}

// turnedAway takes back an attempt that touched nothing.
func (s *Server) turnedAway() {
	if !s.Recheck {
		s.Attempts--
	}
	s.Suspicion = ""
	s.StartedAt, s.EndedAt, s.Earlier = s.Earlier.StartedAt, s.Earlier.EndedAt, times{}
}

// giveUp ends a server that is not in flight. One that failed before, and was to be tried again, stays
// what it was: skipping it would hide a broken server.
func (e *Engine) giveUp(i int, end rollout.ServerEnd, reason string) {
	s := &e.state.Servers[i]
	s.State, s.Until = rollout.Ended, time.Time{}
	if s.Attempts == 0 {
		s.End, s.Reason, s.EndedAt = end, reason, e.state.Now
	}
}

// stopped is true when nothing pending will be started any more.
func (e *Engine) stopped() bool {
	phase := e.state.Phase
	if phase == rollout.PhasePaused {
		phase = e.state.Pause.From
	}
	return phase == rollout.PhaseAborting || phase == rollout.PhaseRollingBack || phase == rollout.PhaseEnded
}

func (e *Engine) log(by, what string) {
	e.state.Log = append(e.state.Log, rollout.LogEntry{At: e.state.Now, By: by, What: what})
	if extra := len(e.state.Log) - logLength; extra > 0 {
		e.state.Log = e.state.Log[extra:]
	}
}

// called names a server the way an operator knows it.
func (e *Engine) called(i int) string {
	if name := e.plan.Servers[i].Name; name != "" {
		return name
	}
	return e.plan.Servers[i].ID
}

func cut(reason string) string { return cutTo(maxReason, reason) }

func cutTo(most int, reason string) string {
	if len(reason) <= most {
		return reason
	}
	end := most - len("...")
	if word := strings.LastIndexByte(reason[:end+1], ' '); word > end/2 { // half a command or id is worse than none
		end = word
	}
	return strings.ToValidUTF8(reason[:end], "") + "..."
}

func servers(n int) string { return rollout.Count(n, "server") }
