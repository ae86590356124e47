package faults

import (
	"cmp"
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

// referee follows a rollout from outside, event by event, and holds each start against the rules of docs/rollout.md. It
// counts for itself: of what the program says it takes only how each attempt ended, which the oracle holds against the
// cloud at the end.
type referee struct {
	plan    rollout.Plan
	v       *violations
	servers []*standing // as in the plan
	byRef   map[string][]*standing

	now       time.Time
	paused    bool
	aborted   bool
	abortedAt time.Time // zero for an abort by the budget
	turned    bool      // back: nothing goes forward any more
	cap       int
	highest   int // that the cap ever was
	window    int // of the slow start
	failedAt  time.Time
	wave      int
	approved  bool // what follows the wave
	bakeEnded bool // of the wave, before its time
	out       map[string]bool
	down      map[string]bool    // for another reason, planned servers and others, as it was read last
	wavesRead int                // in how many waves the states of the servers were read
	touched   map[string][]Touch // by hand: the rollout does not answer for the power of such a server
	recalls   []recall
}

// recall is a time during which the rollout takes servers back that it has not submitted. To is zero while it lasts.
type recall struct {
	from, to time.Time
	kind     rollout.Recall
}

// standing is where a server stands, as seen from outside.
type standing struct {
	rollout.PlannedServer
	place int // in the plan
	// begun are the starts of all attempts, counted those that were not turned away before anything happened.
	begun, counted []Event
	inFlight       bool
	end            rollout.ServerEnd // how the last attempt ended
	heardAt        time.Time         // when the rollout heard of it
	endedAt        time.Time         // with its soak
	again          bool              // it failed, and is to be tried again
	skipped        bool
	accepted       bool
	suspected      bool // it may have failed
}

// follow replays the story of a rollout.
func follow(a Account, v *violations) *referee {
	r := &referee{
		plan: a.Plan, v: v, touched: a.Touched, byRef: map[string][]*standing{}, cap: a.Plan.Caps.InFlight, highest: a.Plan.Caps.InFlight, window: 1, out: map[string]bool{}, down: plannedDown(a.Plan),
	}
	for i, planned := range a.Plan.Servers {
		s := &standing{PlannedServer: planned, place: i}
		r.servers = append(r.servers, s)
		r.byRef[s.ID] = append(r.byRef[s.ID], s)
		if s.Name != s.ID {
			r.byRef[s.Name] = append(r.byRef[s.Name], s)
		}
	}
	for _, e := range a.Story {
		r.pass(e.At)
		switch e.What {
		case Started:
			r.start(r.byRef[e.Server][0], e)
		case Heard:
			s := r.byRef[e.Server][0]
			e.Result.End = cmp.Or(e.Result.End, a.Servers[s.place].End) // one that left no result ended as the report says
			r.hear(s, e.Result)
		case Commanded:
			r.obey(e.Command)
		case Looked:
			r.look(e.Out)
		case Read:
			r.read(e)
		case Suspected:
			s := r.byRef[e.Server][0]
			s.suspected = s.inFlight && !s.last().Back
		}
		r.takeBack(e.Seen)
	}
	r.pass(r.now.Add(time.Nanosecond))
	return r
}

// pass lets time pass. Until then the rollout has noticed what it had heard before.
func (r *referee) pass(at time.Time) {
	if at.After(r.now) {
		r.notice()
		r.now = at
	}
}

// notice stops the rollout when it has heard of more failures than are tolerated. One that is paused turns back when
// it is resumed.
func (r *referee) notice() {
	if !r.breached() || r.aborted || r.turned {
		return
	}
	switch r.plan.Budget.OnBreach {
	case rollout.BreachAbort:
		r.aborted, r.paused = true, false
	case rollout.BreachRollback:
		r.turned = true
	default:
		r.paused = true
	}
}

// start judges one start.
func (r *referee) start(s *standing, e Event) {
	r.notice()
	foul := func(kind Kind, format string, args ...any) {
		r.v.add(kind, "%s was started at %s "+format, append([]any{s.Name, clock(e.At)}, args...)...)
	}
	switch {
	case s.inFlight:
		foul(Unasked, "while it was in flight")
	case r.aborted && !e.At.Equal(r.abortedAt): // one that was decided in the same moment is seen after the command, and recalled
		foul(Spread, "after the abort")
	case r.wouldBreach():
		foul(Spread, "while others in flight may have spent the budget")
	case r.paused:
		foul(Spread, "while the rollout was paused, by somebody or because the budget was spent")
	case e.Back:
		r.startBack(foul)
	case r.turned:
		foul(Spread, "after the budget was spent")
	default:
		r.startForward(s, foul)
	}
	s.inFlight, s.again, s.suspected = true, false, false
	s.begun, s.counted = append(s.begun, e), append(s.counted, e)
}

// startBack: only a breach turns a rollout back. Failed servers hold no slots then: repairing them is what it is for.
func (r *referee) startBack(foul func(Kind, string, ...any)) {
	if !r.turned {
		foul(Unasked, "to be given its image from before, and there was no reason to")
	}
	if n := 1 + r.count((*standing).flies); n > r.cap {
		foul(Cap, "as the %d. in flight, with a cap of %d", n, r.cap)
	}
}

func (r *referee) startForward(s *standing, foul func(Kind, string, ...any)) {
	switch {
	case s.skipped:
		foul(Unasked, "after somebody had said to skip it")
	case s.last() != nil && !s.again:
		foul(Unasked, "a second time, and nobody had asked for it")
	}
	r.moveOn()
	if wave := r.waveOf(s); wave > r.wave {
		foul(Order, "in wave %d, when wave %d was not over, baked and approved", wave+1, r.wave+1)
	}
	inFlight, soaking := r.count((*standing).flies), r.count(r.soaks)
	if n := inFlight + soaking + 1; r.plan.Budget.SlowStart && n > r.window {
		foul(Pace, "as the %d. in flight, when a slow start allows %d", n, r.window)
	}
	if n := inFlight + r.failures() + 1; r.plan.Budget.Strict && n > r.tolerated()+1 {
		foul(Spread, "under strict admission: %d in flight and failed, %d tolerated", n, r.tolerated())
	}
	if r.plan.Caps.CountOthers && r.waveOf(s) >= r.wavesRead {
		foul(Cap, "in wave %d, and the states of the servers were not read in it", r.waveOf(s)+1)
	}
	if n := r.slotOf(s, func(string, string) bool { return true }); n > r.cap {
		foul(Cap, "into slot %d, with a cap of %d", n, r.cap)
	}
	for _, c := range r.plan.Caps.Zones {
		if n := r.slotOf(s, func(zone, _ string) bool { return zone == c.Name }); s.Zone == c.Name && n > c.Cap {
			foul(Cap, "into slot %d of zone %s, with a cap of %d", n, c.Name, c.Cap)
		}
	}
	for _, c := range r.plan.Caps.Groups {
		if n := r.slotOf(s, func(_, group string) bool { return group == c.Name }); s.Group == c.Name && n > c.Cap {
			foul(Cap, "into slot %d of group %s, with a cap of %d", n, c.Name, c.Cap)
		}
	}
}

// slotOf counts the slots in use with the one of a server that starts. A server that holds a slot already takes no other
// one: then only what is in flight or in its soak counts.
func (r *referee) slotOf(s *standing, in func(zone, group string) bool) int {
	counts, n := r.holds, 1
	if r.holds(s) {
		counts = func(o *standing) bool { return o.inFlight || r.soaks(o) }
	} else {
		for _, other := range r.plan.Untouched() {
			if r.down[other.ID] && in(other.Zone, other.Group) {
				n++
			}
		}
	}
	return n + r.count(func(o *standing) bool { return in(o.Zone, o.Group) && counts(o) })
}

// hear takes in how an attempt ended.
func (r *referee) hear(s *standing, result rollout.ServerResult) {
	back := s.inFlight && s.last().Back
	s.inFlight, s.suspected = false, false
	if isLeftRunning(result) || r.isLeftOff(result.End) {
		r.down[s.ID] = false
	}
	if result.Recalled && result.PowerTrouble == "" { // it waits for its turn again, if there is one
		s.counted = s.counted[:len(s.counted)-1]
		s.again = len(s.counted) > 0 && !back && !r.aborted && !r.turned
		return
	}
	if result.CredentialsRefused != "" && result.End == rollout.NotStarted && result.PowerTrouble == "" {
		s.counted = s.counted[:len(s.counted)-1] // it waits for its turn, and somebody has to mend the credentials
		s.again = len(s.counted) > 0 && !back && !r.aborted && !r.turned
		r.paused = !r.aborted
		return
	}
	end, since := result.End, s.endedAt
	untouched := end == rollout.FailedIntact || end == rollout.NotStarted || end == rollout.Skipped
	s.heardAt, s.endedAt = r.now, r.now
	switch {
	case untouched && (s.end == rollout.Done || s.end.OutOfService() || s.end == rollout.Vanished): // it stays what it was
		if end = s.end; back {
			s.endedAt = since
		}
	case back:
		s.accepted = false
	}
	s.end = end
	switch {
	case end == rollout.Done && !back:
		if !s.last().At.Before(r.failedAt) {
			r.window++
		}
		s.endedAt = r.now.Add(r.plan.Soak)
	case end == rollout.Done:
		s.end = rollout.Restored
	case end.Failed() && !back:
		r.window, r.failedAt = 1, r.now
	}
}

// obey takes in a command that was carried out.
func (r *referee) obey(c rollout.Command) {
	var named []*standing
	for _, ref := range c.Servers {
		named = append(named, r.byRef[ref]...)
	}
	if len(named) == 0 {
		named = slices.DeleteFunc(slices.Clone(r.servers), func(s *standing) bool { return !s.failed() })
	}
	switch c.Kind {
	case rollout.Pause:
		r.paused = true
	case rollout.Resume:
		r.paused, r.wavesRead = false, min(r.wavesRead, r.wave)
	case rollout.Abort:
		r.aborted, r.paused, r.abortedAt = true, false, r.now
	case rollout.Concurrency:
		r.cap, r.highest = c.InFlight, max(r.highest, c.InFlight)
	case rollout.Approve:
		r.moveOn()
		r.approved = true
	case rollout.EndBake:
		r.moveOn()
		r.approved, r.bakeEnded = true, true
	case rollout.Skip:
		for _, s := range named {
			s.skipped, s.endedAt = true, r.now
		}
	case rollout.Retry:
		r.moveOn()
		for _, s := range named {
			s.again, s.accepted = true, false
			if r.waveOf(s) <= r.wave {
				r.approved, r.bakeEnded = false, false
			}
		}
	case rollout.Accept:
		for _, s := range named {
			s.again, s.accepted = false, true
		}
	}
}

// look counts the servers that are truly out of service, and not because somebody lets them be. A cap that was lowered
// does not bring back what is in flight.
func (r *referee) look(out []string) {
	r.out = map[string]bool{}
	n := 0
	for _, id := range out {
		s := r.byRef[id][0]
		if len(r.touched[id]) > 0 || r.isLeftOff(s.end) { // one that is to be left stopped may hang on its way there
			continue
		}
		r.out[id] = true
		if !s.accepted && (!r.turned || s.inFlight && s.last().Back) {
			n++
		}
	}
	if n > r.highest {
		r.v.add(Cap, "%d servers were out of service at %s, with a cap of %d: %v", n, clock(r.now), r.highest, out)
	}
}

// moveOn goes to the next wave when this one is over, baked and approved. It looks at neither pauses nor slots, so it
// is never behind the rollout.
func (r *referee) moveOn() {
	for r.wave < len(r.plan.Waves) {
		wave, first := r.plan.Waves[r.wave], 0
		if r.wave > 0 {
			first = r.plan.Waves[r.wave-1].End
		}
		over, last := true, time.Time{}
		for _, s := range r.servers[:wave.End] {
			over = over && (s.skipped || s.end != "") && !s.inFlight && !s.again
			if s.endedAt.After(last) {
				last = s.endedAt
			}
		}
		if first < wave.End {
			if !r.bakeEnded {
				last = last.Add(wave.Bake)
			}
			over = over && (r.approved || !wave.Approval || wave.End == len(r.servers))
		}
		if !over || r.now.Before(last) {
			return
		}
		r.wave, r.approved, r.bakeEnded = r.wave+1, false, false
	}
}

func (r *referee) waveOf(s *standing) int {
	return slices.IndexFunc(r.plan.Waves, func(w rollout.Wave) bool { return s.place < w.End })
}

func (r *referee) count(so func(*standing) bool) (n int) {
	for _, s := range r.servers {
		if so(s) {
			n++
		}
	}
	return n
}

// last is the start of the last attempt, nil for none.
func (s *standing) last() *Event {
	if len(s.counted) == 0 {
		return nil
	}
	return &s.counted[len(s.counted)-1]
}

func (s *standing) flies() bool { return s.inFlight }

// failed is true for a server that counts against the budget.
func (s *standing) failed() bool {
	return s.last() != nil && !s.inFlight && !s.again && !s.accepted && s.end.Failed()
}

func (r *referee) soaks(s *standing) bool {
	return s.end == rollout.Done && !s.inFlight && r.now.Before(s.endedAt)
}

// holds is true for a server that has a slot: because of an attempt, its soak, or a failure that left it without a
// system that runs, or because it is down for another reason.
func (r *referee) holds(s *standing) bool {
	return s.inFlight || r.soaks(s) || r.isBroken(s) || r.isDown(s)
}

// isBroken is true for a server that failed and has no system that runs.
func (r *referee) isBroken(s *standing) bool {
	failed := s.end.Failed() && s.last() != nil && !s.accepted
	return failed && (s.end.OutOfService() || r.out[s.ID])
}

// takeBack notes what the rollout has to take back from now on.
func (r *referee) takeBack(at time.Time) {
	kind := rollout.RecallNone
	switch {
	case at.IsZero():
		return
	case r.aborted, r.breached() && !r.turned, r.turned && r.count(func(s *standing) bool { return s.inFlight && !s.last().Back }) > 0:
		kind = rollout.RecallUnsubmitted
	case r.paused, r.wouldBreach():
		kind = rollout.RecallUntouched
	}
	if n := len(r.recalls); n > 0 && r.recalls[n-1].to.IsZero() {
		if r.recalls[n-1].kind == kind {
			return
		}
		r.recalls[n-1].to = at
	}
	if kind != rollout.RecallNone {
		r.recalls = append(r.recalls, recall{from: at, kind: kind})
	}
}

// wouldBreach is true when the budget would be spent if every server in flight that may have failed had.
func (r *referee) wouldBreach() bool {
	var suspects []*standing
	for _, s := range r.servers {
		if s.suspected {
			suspects = append(suspects, s)
		}
	}
	if len(suspects) == 0 || r.aborted || r.turned {
		return false
	}
	ends := map[*standing]standing{}
	for _, s := range suspects {
		ends[s] = *s
		s.inFlight, s.again, s.accepted, s.end = false, false, false, rollout.FailedChanged
	}
	breached := r.breached()
	for _, s := range suspects {
		*s = ends[s]
	}
	return breached
}

func (r *referee) failures() int { return r.count((*standing).failed) }

func (r *referee) breached() bool {
	if r.failures() > r.tolerated() {
		return true
	}
	limit := r.plan.Budget.PerGroup
	return limit != nil && slices.ContainsFunc(r.plan.Caps.Groups, func(c rollout.GroupCap) bool {
		return r.count(func(s *standing) bool { return s.Group == c.Name && s.failed() }) > *limit
	})
}

// tolerated is how many failures the plan bears now. Strict admission goes by the share from the first server on.
func (r *referee) tolerated() int {
	b := r.plan.Budget
	tried := r.count(func(s *standing) bool {
		return s.last() != nil && !s.inFlight && !s.again && s.end != rollout.Skipped
	})
	byShare := b.Share != nil && (b.Strict || tried >= b.MinSample)
	switch {
	case byShare && b.Count != nil:
		return min(*b.Count, *b.Share)
	case byShare:
		return *b.Share
	case b.Count != nil:
		return *b.Count
	case b.Share != nil:
		return b.MinSample
	}
	return 0
}

func clock(at time.Time) string { return at.UTC().Format("02 15:04:05.000") }
