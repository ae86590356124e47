package engine_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// TestMain makes every run of the property tests draw the same rollouts: -rapid.seed draws others.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("rapid.seed").Value.String() == "0" {
		for name, value := range map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"} {
			if err := flag.Set(name, value); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// TestAnyRollout plays random plans with random ends, busy answers, commands and clocks against the rules
// that checker holds, and then lets a helpful operator bring each to its end.
func TestAnyRollout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t, drawPlan(t))
		s.probe()
		t.Repeat(map[string]func(*rapid.T){
			"advance":   func(t *rapid.T) { s.advance() },
			"advances":  func(t *rapid.T) { s.advance() },
			"finish":    s.drawEnd,
			"finishes":  s.drawEnds,
			"busy":      s.drawBusy,
			"refuse":    s.drawRefusal,
			"await":     func(*rapid.T) { s.await(noKey) },
			"recall":    s.drawRecall,
			"suspect":   s.drawSuspicion,
			"repeat":    s.drawRepeat,
			"come late": s.drawLate,
			"later":     func(t *rapid.T) { s.now = s.now.Add(drawDuration(t, 90*time.Minute)) },
			"wake":      s.wake,
			"back":      func(t *rapid.T) { s.now = s.now.Add(-drawDuration(t, 90*time.Minute)) },
			"command":   s.drawCommand,
			"end bake":  s.drawEndBake,
			"states":    s.drawReading,
			"outage":    s.drawOutage,
			"same time": func(t *rapid.T) { s.drawEnds(t); s.drawCommand(t); s.drawEnd(t); s.advance() },
			"probe":     func(t *rapid.T) { s.probe() },
		})
		s.help(t)
	})
}

// TestAbortAlwaysEnds aborts random rollouts anywhere: what is in flight ends, nothing is started, and
// nobody has to help.
func TestAbortAlwaysEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t, drawPlan(t))
		t.Repeat(map[string]func(*rapid.T){
			"advance": func(t *rapid.T) { s.wake(t); s.advance() },
			"finish":  s.drawEnds,
			"command": s.drawCommand,
			"refuse":  s.drawRefusal,
			"states":  s.drawReading,
			"suspect": s.drawSuspicion,
		})
		if s.advance().Over {
			return
		}
		_, err := s.command(rollout.Command{Kind: rollout.Abort, By: "ben"})
		require.NoError(t, err)
		for {
			d := s.advance()
			require.Empty(t, d.Start)
			require.False(t, d.ReadStates)
			if d.Over {
				break
			}
			require.NotEmpty(t, s.inFlight(), "aborting waits for nothing")
			if rapid.Bool().Draw(t, "recalled") {
				s.drawRecall(t)
			} else {
				s.drawEnd(t)
			}
		}
		require.Equal(t, rollout.Aborted, s.read().End)
		s.probe()
	})
}

// TestAnyBake plays rollouts of waves that all bake, with failures that are tolerated and retried: bakes are ended early, and
// begin anew.
func TestAnyBake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const servers = 4
		var baking []rollout.Wave
		for end := range servers {
			baking = append(baking, rollout.Wave{Name: fmt.Sprintf("wave-%d", end+1), End: end + 1, Bake: time.Hour, Approval: rapid.Bool().Draw(t, "approval")})
		}
		s := newSim(t, plan(servers, servers, servers, waves(baking...)))
		finish := func(t *rapid.T) {
			for _, i := range s.inFlight() {
				s.finish(i, rapid.SampledFrom([]rollout.ServerEnd{rollout.Done, rollout.FailedIntact}).Draw(t, "end"), "it was drawn")
			}
			s.advance()
		}
		t.Repeat(map[string]func(*rapid.T){
			"finish":   finish,
			"finishes": finish,
			"end bake": s.drawEndBake,
			"command": func(t *rapid.T) {
				kind := rapid.SampledFrom([]rollout.CommandKind{rollout.Retry, rollout.Retry, rollout.Pause, rollout.Resume, rollout.Approve}).Draw(t, "kind")
				_, _ = s.command(by("ben", kind))
			},
			"advance": func(*rapid.T) { s.advance() },
			"later":   func(t *rapid.T) { s.now = s.now.Add(drawDuration(t, 50*time.Minute)); s.advance() },
			"probe":   func(*rapid.T) { s.probe() },
		})
		s.help(t)
	})
}

// wake moves the clock to the moment at which the engine wants to be asked again.
func (s *sim) wake(*rapid.T) {
	if d := s.advance(); !d.WakeAt.IsZero() {
		s.now = d.WakeAt
	}
}

// drawEnd ends one attempt in any way that the real server allows.
func (s *sim) drawEnd(t *rapid.T) {
	if flying := s.inFlight(); len(flying) > 0 {
		i := rapid.SampledFrom(flying).Draw(t, "finishes")
		out := engine.Outcome{End: rapid.SampledFrom(s.possible(i)).Draw(t, "as"), Reason: "it was drawn", Down: rapid.Bool().Draw(t, "down")}
		out.Up = !out.Down && rapid.Bool().Draw(t, "up")
		if out.Up {
			s.world[i].off = ""
		}
		became := newDisk
		if out.End == rollout.FailedChanged {
			became = rapid.SampledFrom([]fate{newDisk, newDisk, oldDisk, foreignDisk}).Draw(t, "has")
		}
		s.tell(i, out, became, rapid.Bool().Draw(t, "silently"))
	}
}

// drawReading reads the states when the engine wants them, mostly with success.
func (s *sim) drawReading(t *rapid.T) {
	if !s.advance().ReadStates {
		return
	}
	if rapid.IntRange(0, 4).Draw(t, "in vain") > 0 {
		s.readStates()
		return
	}
	s.readInVain(rapid.Bool().Draw(t, "refused"))
}

// drawOutage starts or stops a server beside the rollout.
func (s *sim) drawOutage(t *rapid.T) {
	status := rapid.SampledFrom([]string{"", "", rollout.StatusShutoff, rollout.StatusError}).Draw(t, "status")
	if len(s.others) > 0 && rapid.Bool().Draw(t, "not planned") {
		s.others[rapid.IntRange(0, len(s.others)-1).Draw(t, "other")] = status
		return
	}
	if n := len(s.plan.Servers); n > 0 {
		s.world[rapid.IntRange(0, n-1).Draw(t, "outage")].off = status
	}
}

func (s *sim) drawEnds(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "many") {
		s.drawEnd(t)
	}
}

// possible are the ends that an attempt at the server can come to.
func (s *sim) possible(i int) []rollout.ServerEnd {
	m := s.world[i]
	switch {
	case m.gone:
		return []rollout.ServerEnd{rollout.NotStarted, rollout.Vanished}
	case m.last.Recheck:
		return []rollout.ServerEnd{rollout.Done, rollout.Done, rollout.FailedUnhealthy, rollout.NotStarted, rollout.Vanished}
	case m.disk.VolumeID == "" || m.disk != m.last.Expect:
		return []rollout.ServerEnd{rollout.NotStarted, rollout.Vanished}
	}
	return []rollout.ServerEnd{
		rollout.Done, rollout.Done, rollout.Done, rollout.Done, rollout.Done, rollout.Skipped, rollout.NotStarted,
		rollout.FailedIntact, rollout.FailedChanged, rollout.FailedChanged, rollout.FailedUnhealthy, rollout.FailedUnhealthy, rollout.FailedLost, rollout.Vanished,
	}
}

func (s *sim) drawLate(t *rapid.T) {
	if n := len(s.plan.Servers); n > 0 {
		s.comeLate(rapid.IntRange(0, n-1).Draw(t, "comes late"))
	}
}

func (s *sim) drawBusy(t *rapid.T) {
	if flying := s.inFlight(); len(flying) > 0 {
		s.busy(rapid.SampledFrom(flying).Draw(t, "busy"), "rollout/other")
	}
}

func (s *sim) drawRefusal(t *rapid.T) {
	if flying := s.inFlight(); len(flying) > 0 {
		s.refuse(rapid.SampledFrom(flying).Draw(t, "refused"), rapid.Bool().Draw(t, "runs"), noKey)
	}
}

// drawRecall takes a server back when the rollout says so, or did a moment ago.
func (s *sim) drawRecall(t *rapid.T) {
	if flying := s.inFlight(); len(flying) > 0 {
		s.recall(rapid.SampledFrom(flying).Draw(t, "recalled"), rapid.Bool().Draw(t, "runs"))
	}
}

func (s *sim) drawSuspicion(t *rapid.T) {
	if flying := s.inFlight(); len(flying) > 0 {
		s.suspect(rapid.SampledFrom(flying).Draw(t, "suspected"), "its job has failed")
	}
}

func (s *sim) drawRepeat(t *rapid.T) {
	for i, server := range s.read().Servers {
		if server.State != rollout.InFlight {
			s.repeat(i, rapid.SampledFrom([]rollout.ServerEnd{rollout.Done, rollout.FailedLost}).Draw(t, "told again"))
			return
		}
	}
}

// drawEndBake ends a bake early when there is one, which no other command meets often.
func (s *sim) drawEndBake(t *rapid.T) {
	if p := s.restored().Progress(); slices.Contains(p.Accepts, rollout.EndBake) && rapid.Bool().Draw(t, "early") {
		_, err := s.command(rollout.Command{Kind: rollout.EndBake, By: "ben", Comment: "it shows enough"})
		require.NoError(t, err)
	}
}

func (s *sim) drawCommand(t *rapid.T) {
	n := len(s.plan.Servers)
	c := rollout.Command{Kind: rapid.SampledFrom(rollout.CommandKinds()).Draw(t, "command"), By: "ben"}
	if c.Kind == rollout.Abort && rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return // a rollout that is aborted at once shows little
	}
	if c.Kind == rollout.EndBake {
		c.Comment = "it was drawn"
	}
	if c.Kind == rollout.Concurrency {
		c.InFlight = rapid.IntRange(0, n+1).Draw(t, "in flight")
	}
	for range rapid.IntRange(0, min(n, 3)).Draw(t, "named") {
		c.Servers = append(c.Servers, s.plan.Servers[rapid.IntRange(0, n-1).Draw(t, "server")].ID)
	}
	_, _ = s.command(c) // a refusal is checked by command
}

// help brings a rollout to its end the way an operator would who only wants to be done. It must get there.
func (s *sim) help(t *rapid.T) {
	for range 20*len(s.plan.Servers) + 100 {
		d := s.advance()
		switch {
		case d.Over:
			s.probe()
			s.after()
			return
		case d.ReadStates:
			s.readStates()
		case len(s.inFlight()) > 0:
			s.now = s.now.Add(drawDuration(t, 10*time.Minute))
			s.drawEnds(t)
		case s.restored().Progress().NeedsHuman:
			s.decide(t, d.WakeAt)
		default:
			require.False(t, d.WakeAt.IsZero(), "stands still")
			s.now = d.WakeAt
		}
	}
	require.Fail(t, "the rollout does not end", "%s", s.restored().Progress().Why)
}

// decide accepts every failure, and then does the first thing that makes the rollout go on. It takes a while. A
// rollback that waits for a busy server needs no command: whoever holds the server has to let it go.
func (s *sim) decide(t *rapid.T, wakeAt time.Time) {
	s.now = s.now.Add(20 * time.Minute)
	for i := range s.world {
		s.world[i].off = ""
	}
	for i := range s.others {
		s.others[i] = ""
	}
	_, accepted := s.command(rollout.Command{Kind: rollout.Accept, By: "ben"})
	_, resumed := s.command(rollout.Command{Kind: rollout.Resume, By: "ben"})
	_, approved := s.command(rollout.Command{Kind: rollout.Approve, By: "ben"})
	if accepted != nil && resumed != nil && approved != nil && wakeAt.After(s.now) {
		s.now = wakeAt
		return
	}
	require.False(t, accepted != nil && resumed != nil && approved != nil && wakeAt.IsZero(), "no command helps: %v; %v; %v", accepted, resumed, approved)
}

// after checks that nothing moves a rollout that has ended.
func (s *sim) after() {
	before := s.read()
	s.now = s.latest.Add(24 * time.Hour)
	for i := range s.plan.Servers {
		s.repeat(i, rollout.FailedLost)
	}
	d := s.advance()
	require.Equal(s.t, engine.Decision{Over: true}, d)
	after := s.read()
	before.Now = after.Now
	require.Equal(s.t, before, after)
}

// drawPlan draws a plan as the planner could make it, of up to 60 servers.
func drawPlan(t *rapid.T) rollout.Plan {
	n := rapid.OneOf(rapid.IntRange(0, 8), rapid.IntRange(0, 60)).Draw(t, "servers")
	plan := fleet(n)
	if zones := rapid.IntRange(0, 3).Draw(t, "zones"); zones > 0 {
		plan.Caps.Zones = drawGroups(t, plan, zones, "az", func(s *rollout.PlannedServer) *string { return &s.Zone })
	}
	if groups := rapid.IntRange(0, 4).Draw(t, "groups"); groups > 0 {
		plan.Caps.Groups = drawGroups(t, plan, groups, "g", func(s *rollout.PlannedServer) *string { return &s.Group })
	}
	plan.Waves = nil
	for end := 0; end < n || len(plan.Waves) == 0; {
		end = rapid.OneOf(rapid.Just(end), rapid.IntRange(end, n), rapid.Just(n)).Draw(t, "wave end")
		plan.Waves = append(plan.Waves, rollout.Wave{
			Name: fmt.Sprintf("wave-%d", len(plan.Waves)+1), End: end,
			Bake: drawDuration(t, time.Hour), Approval: rapid.Bool().Draw(t, "approval"),
		})
	}
	plan.Caps.InFlight = rapid.IntRange(1, max(n, 1)).Draw(t, "in flight")
	plan.BusyWait, plan.Soak = drawDuration(t, 5*time.Minute), drawDuration(t, 20*time.Minute)
	plan.Deadline = drawDuration(t, 5*time.Hour)
	drawDown(t, &plan)
	plan.Budget = drawBudget(t, n, len(plan.Caps.Groups) > 0)
	return plan
}

// drawDown has servers count that are down before their turn, and some that the rollout does not touch.
func drawDown(t *rapid.T, plan *rollout.Plan) {
	if plan.Caps.CountOthers = rapid.Bool().Draw(t, "count others"); !plan.Caps.CountOthers {
		return
	}
	status := rapid.SampledFrom([]string{rollout.StatusActive, rollout.StatusActive, rollout.StatusActive, rollout.StatusShutoff, rollout.StatusError})
	for i := range plan.Servers {
		plan.Servers[i].Status = status.Draw(t, "status")
	}
	plan.Change.Power = rapid.SampledFrom([]rollout.Power{"", rollout.PowerAsBefore, rollout.PowerOn, rollout.PowerOff}).Draw(t, "power")
	zone, group := rapid.SampledFrom([]string{"az-1", "az-2", ""}), rapid.SampledFrom([]string{"g-1", "g-2", ""})
	for i := range rapid.IntRange(0, 3).Draw(t, "others") {
		plan.Others = append(plan.Others, rollout.OtherServer{
			ID: fmt.Sprintf("other-%d", i+1), Name: fmt.Sprintf("db-%d", i+1), Zone: zone.Draw(t, "zone"), Group: group.Draw(t, "group"), Status: status.Draw(t, "status"),
		})
	}
	if rapid.Bool().Draw(t, "skipped") {
		plan.Skipped = append(plan.Skipped, rollout.SkippedServer{ID: "skipped-1", Name: "old-1", Reason: "is stopped", Zone: "az-1", Group: "g-1", Status: rollout.StatusShutoff})
	}
}

func drawGroups(t *rapid.T, plan rollout.Plan, many int, prefix string, of func(*rollout.PlannedServer) *string) []rollout.GroupCap {
	caps := make([]rollout.GroupCap, many)
	for g := range caps {
		caps[g] = rollout.GroupCap{Name: fmt.Sprintf("%s-%d", prefix, g+1), Cap: rapid.IntRange(1, 4).Draw(t, "cap")}
	}
	for i := range plan.Servers {
		g := rapid.IntRange(0, many).Draw(t, prefix) // the last one: in no group
		if g < many {
			*of(&plan.Servers[i]) = caps[g].Name
			caps[g].Servers++
		}
	}
	return caps
}

func drawBudget(t *rapid.T, n int, groups bool) rollout.Budget {
	some := rapid.Ptr(rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 4), rapid.IntRange(0, n)), true)
	b := rollout.Budget{
		Count: some.Draw(t, "count"), Share: some.Draw(t, "share"), Strict: rapid.Bool().Draw(t, "strict"), SlowStart: rapid.Bool().Draw(t, "slow start"),
		OnBreach: rapid.SampledFrom([]rollout.OnBreach{rollout.BreachPause, rollout.BreachPause, rollout.BreachAbort, rollout.BreachRollback}).Draw(t, "on breach"),
	}
	if b.Share != nil {
		b.MinSample = rapid.OneOf(rapid.Just(0), rapid.IntRange(0, n+2)).Draw(t, "min sample")
	}
	if groups {
		b.PerGroup = some.Draw(t, "per group")
	}
	return b
}

// drawDuration is often zero, and otherwise up to most.
func drawDuration(t *rapid.T, most time.Duration) time.Duration {
	return time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, int(most/time.Second))).Draw(t, "seconds")) * time.Second
}
