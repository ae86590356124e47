package faults

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// spoiled is the account of a rollout in which all went well, to be spoiled: four servers, the first one in a wave of its
// own.
type spoiled struct {
	Account
	last string // id of the last server
}

func rolledOut(t *testing.T) *spoiled {
	t.Helper()
	schedule := Schedule{
		Seed: 1, Workers: 1, Cloud: emulator.Options{Seed: 1, Servers: 4},
		Plan: func(cloud *emulator.Emulator) rollout.Plan {
			return planFor(cloud, shape{
				waves:    []rollout.Wave{{Name: "first", End: 1, Bake: time.Minute, Approval: true}, {Name: "rest", End: 4}},
				inFlight: 2, soak: time.Minute, deadline: time.Hour, budget: rollout.Budget{Count: new(0), OnBreach: rollout.BreachPause},
			})
		},
	}
	s := &spoiled{}
	synctest.Test(t, func(t *testing.T) {
		outcome, err := Run(t.Context(), schedule)
		require.NoError(t, err)
		s.Account = outcome.account
	})
	s.last = s.Servers[3].ID
	return s
}

// nth is where in the story an event of the kind is.
func (s *spoiled) nth(n int, what What) int {
	for i, e := range s.Story {
		if e.What == what {
			if n--; n == 0 {
				return i
			}
		}
	}
	panic("the story has no such event")
}

// before puts an event before the nth start.
func (s *spoiled) before(n int, e Event) {
	at := s.nth(n, Started)
	e.At = s.Story[at].At
	s.Story = slices.Insert(s.Story, at, e)
}

func (s *spoiled) command(n int, c rollout.Command) { s.before(n, Event{What: Commanded, Command: c}) }

func (s *spoiled) wrote(op, image string) {
	ledger := s.Ledger.Servers[s.last]
	ledger.Writes = append(ledger.Writes, emulator.Write{Time: s.Progress.EndedAt, Op: op, ImageID: image})
}

func (s *spoiled) says(end rollout.ServerEnd, reason string) {
	s.Servers[3].End, s.Servers[3].Reason = end, reason
}

func (s *spoiled) becomes(change func(server *emulator.Server)) {
	server := s.Truth[s.last]
	change(&server)
	s.Truth[s.last] = server
}

func (s *spoiled) touched(server string, deed Deed, at time.Time) {
	s.Touched[server] = append(s.Touched[server], Touch{Deed: deed, At: at})
}

// TestOracle: whatever of an account is spoiled is found, as what it is.
func TestOracle(t *testing.T) {
	require.Empty(t, rolledOut(t).Violations())
	for name, test := range map[string]struct {
		kind  Kind
		spoil func(s *spoiled)
	}{
		"a second change":                  {Twice, func(s *spoiled) { s.wrote(emulator.OpChangeOS, s.Plan.Change.ImageID) }},
		"another's disk that is destroyed": {Twice, func(s *spoiled) { s.touched(s.last, Reinstall, s.Servers[3].StartedAt.Add(-time.Hour)) }},
		"a change beside an open one": {Twice, func(s *spoiled) {
			s.Ledger.Servers[s.last].Writes[1].Beside = "open"
			s.Story[s.nth(4, Heard)].Result = rollout.ServerResult{End: rollout.FailedChanged, JobID: "open"}
		}},
		"a change to another image": {Twice, func(s *spoiled) { s.Ledger.Servers[s.last].Writes[1].ImageID = "another" }},
		"a write before the start":  {Unasked, func(s *spoiled) { s.Ledger.Servers[s.last].Writes[0].Time = s.Progress.StartedAt.Add(-time.Second) }},
		"a second start": {Unasked, func(s *spoiled) {
			s.Story = append(s.Story, Event{At: s.Progress.EndedAt, What: Started, Server: s.last})
		}},
		"a rollback for no reason":    {Unasked, func(s *spoiled) { s.Story[s.nth(4, Started)].Back = true }},
		"a start of a skipped server": {Unasked, func(s *spoiled) { s.command(4, rollout.Command{Kind: rollout.Skip, Servers: []string{s.last}}) }},
		"a start after an abort":      {Spread, func(s *spoiled) { s.command(2, rollout.Command{Kind: rollout.Abort}) }},
		"a start in a pause":          {Spread, func(s *spoiled) { s.command(2, rollout.Command{Kind: rollout.Pause}) }},
		"a start after a breach":      {Spread, func(s *spoiled) { s.Story[s.nth(1, Heard)].Result.End = rollout.FailedIntact }},
		"a start beyond strict":       {Spread, func(s *spoiled) { s.Plan.Budget.Strict = true }},
		"a slot too many":             {Cap, func(s *spoiled) { s.Plan.Caps.InFlight = 1 }},
		"a zone with a slot too many": {Cap, func(s *spoiled) { s.Plan.Caps.Zones = []rollout.GroupCap{{Name: s.Plan.Servers[3].Zone, Cap: 0}} }},
		"a server out without a slot": {Cap, func(s *spoiled) {
			s.before(2, Event{What: Looked, Out: []string{s.Servers[0].ID, s.Servers[1].ID, s.last}})
		}},
		"a cap that was lowered":    {Cap, func(s *spoiled) { s.command(3, rollout.Command{Kind: rollout.Concurrency, InFlight: 1}) }},
		"a soak that holds no slot": {Cap, func(s *spoiled) { s.Plan.Soak = 10 * time.Minute }},
		"a slow start that is none": {Pace, func(s *spoiled) {
			s.Plan.Budget.SlowStart = true
			s.Story[s.nth(1, Heard)].Result.End = rollout.Skipped
		}},
		"a wave before its turn":   {Order, func(s *spoiled) { s.Plan.Waves[0].End = 2 }},
		"a bake that is cut short": {Order, func(s *spoiled) { s.Plan.Waves[0].Bake += time.Hour }},
		"an end of the bake of another wave": {Order, func(s *spoiled) {
			s.Plan.Waves[1].End = 2
			s.Plan.Waves = append(s.Plan.Waves, rollout.Wave{Name: "last", End: 4, Bake: time.Hour})
			s.Plan.Waves[1].Bake = time.Hour
			s.Story[s.nth(1, Commanded)].Command.Kind = rollout.EndBake
		}},
		"an approval that nobody gave": {Order, func(s *spoiled) { s.Story[s.nth(1, Commanded)].Command.Kind = rollout.Resume }},
		"done, and long deleted": {Untrue, func(s *spoiled) {
			delete(s.Truth, s.last)
			s.touched(s.last, Delete, s.Servers[3].EndedAt.Add(-2*time.Minute))
		}},
		"done on the old disk": {Untrue, func(s *spoiled) {
			s.becomes(func(server *emulator.Server) { server.SystemVolumeID = s.Plan.Servers[3].Before.VolumeID })
		}},
		"failed, and healthy":      {Untrue, func(s *spoiled) { s.says(rollout.FailedChanged, "it does not run") }},
		"lost, and not":            {Untrue, func(s *spoiled) { s.says(rollout.FailedLost, "") }},
		"vanished, and there":      {Untrue, func(s *spoiled) { s.says(rollout.Vanished, "") }},
		"intact, with a new disk":  {Untrue, func(s *spoiled) { s.says(rollout.FailedIntact, "") }},
		"an end that does not fit": {Untrue, func(s *spoiled) { s.Progress.End = rollout.Aborted }},
		"left stopped":             {Power, func(s *spoiled) { s.becomes(func(server *emulator.Server) { server.Status = rollout.StatusShutoff }) }},
		"left stopped, and another one was touched": {Power, func(s *spoiled) {
			s.touched(s.Servers[0].ID, PowerOff, s.Progress.StartedAt)
			s.becomes(func(server *emulator.Server) { server.Status = rollout.StatusShutoff })
		}},
		"power trouble out of the blue": {Power, func(s *spoiled) {
			s.says(rollout.Done, "its power is not as asked")
			s.becomes(func(server *emulator.Server) { server.Status = rollout.StatusShutoff })
		}},
		"an attempt that is not told of": {Record, func(s *spoiled) { s.Servers[3].Attempts = 0 }},
		"a start that is not told of":    {Record, func(s *spoiled) { s.Servers[3].StartedAt = time.Time{} }},
		"a slot that nobody holds":       {Record, func(s *spoiled) { s.Progress.Slots = 1 }},
		"a failure that is not counted":  {Record, func(s *spoiled) { s.says(rollout.FailedChanged, "in doubt") }},
		"skipped by nobody":              {NoCause, func(s *spoiled) { s.says(rollout.Skipped, "") }},
		"in doubt out of the blue":       {NoCause, func(s *spoiled) { s.says(rollout.FailedChanged, "in doubt") }},
		"a retry that is forgotten": {NoCause, func(s *spoiled) {
			s.Story = append(s.Story, Event{At: s.Progress.EndedAt, What: Commanded, Command: rollout.Command{Kind: rollout.Retry, Servers: []string{s.last}}})
		}},
		"a rollout that has not ended": {Stuck, func(s *spoiled) { s.Progress.Phase = rollout.PhasePaused }},
		"a server that has not ended":  {Stuck, func(s *spoiled) { s.Servers[3].State = rollout.Pending }},
		"an operator who gave up":      {Stuck, func(s *spoiled) { s.GaveUp = true }},
		"a secret that leaked":         {Leak, func(s *spoiled) { s.Leaks = []string{"SubmitChangeOS"} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := rolledOut(t)
			test.spoil(s)
			found := s.Violations()
			assert.True(t, slices.ContainsFunc(found, func(v string) bool { return strings.HasPrefix(v, string(test.kind)+": ") }), "none is %q: %q", test.kind, found)
		})
	}
}

// TestRefereeKnowsBakesThatAreEndedEarly: what follows such a bake is no violation.
func TestRefereeKnowsBakesThatAreEndedEarly(t *testing.T) {
	s := rolledOut(t)
	s.Plan.Waves[0].Bake = time.Hour
	s.Story[s.nth(1, Commanded)].Command.Kind = rollout.EndBake
	assert.Empty(t, s.Violations())
}

// TestRefereeCountsServersThatAreDown: what a reading showed down takes a slot, in all, in its zone and in its group.
func TestRefereeCountsServersThatAreDown(t *testing.T) {
	other := rollout.OtherServer{ID: "other", Name: "other-01", Zone: "z", Group: "g", Status: rollout.StatusActive}
	found := func(t *testing.T, change func(s *spoiled), down ...string) []string {
		t.Helper()
		s := rolledOut(t)
		s.Plan.Caps.CountOthers, s.Plan.Others = true, []rollout.OtherServer{other}
		s.before(1, Event{What: Read})
		s.before(2, Event{What: Read, Down: down})
		change(s)
		return s.Violations()
	}
	asIs := func(*spoiled) {}
	inParts := func(s *spoiled) {
		s.Plan.Caps.InFlight = 4
		s.Plan.Caps.Zones = []rollout.GroupCap{{Name: "z", Cap: 2}}
		s.Plan.Caps.Groups = []rollout.GroupCap{{Name: "g", Cap: 2}}
		for i := range s.Plan.Servers {
			s.Plan.Servers[i].Zone, s.Plan.Servers[i].Group = "z", "g"
		}
	}
	assert.Empty(t, found(t, asIs))
	assert.Empty(t, found(t, inParts))
	assert.Contains(t, strings.Join(found(t, asIs, other.ID), "; "), "into slot 3, with a cap of 2")
	parts := strings.Join(found(t, inParts, other.ID), "; ")
	assert.Contains(t, parts, "into slot 3 of zone z, with a cap of 2")
	assert.Contains(t, parts, "into slot 3 of group g, with a cap of 2")
	unread := found(t, func(s *spoiled) { s.Story = slices.Delete(s.Story, s.nth(2, Read), s.nth(2, Read)+1) })
	assert.Contains(t, strings.Join(unread, "; "), "in wave 2, and the states of the servers were not read in it")
	written := found(t, func(s *spoiled) {
		s.Ledger.Servers[other.ID] = &emulator.ServerLedger{Writes: []emulator.Write{{Op: emulator.OpStop}}}
	})
	assert.Equal(t, []string{"not asked for: other-01 is not in the plan, and the cloud accepted stop"}, written)
}
