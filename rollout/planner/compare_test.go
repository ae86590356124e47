package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// TestCompare names what joins, what leaves and why, and what is not the same any more.
func TestCompare(t *testing.T) {
	skipLocked := func(s *document.Spec) {
		s.Servers.Locked, s.InFlight.Percent, s.PerZone.Percent = document.RuleSkip, percent(t, "40%"), percent(t, "50%")
		s.Waves = []document.Wave{{Name: "canary", Count: new(2)}, {Name: "rest", UpTo: new(rollout.Whole)}}
		s.Order = document.OrderName
	}
	before := fleet(6)
	before.Servers[5].Locked = true
	after := fleet(7)
	after.Servers[2].Locked, after.Servers[2].LockedBy = true, "ORDER"
	after.Servers[4].Observation.VolumeID = uuid(7, 7)
	after.Servers = append(after.Servers[:3], after.Servers[4:]...) // web-04 is gone
	assert.Equal(t, []string{
		"- web-03 leaves (is locked by ORDER)",
		"- web-04 leaves (gone or no longer selected)",
		"~ web-05 disk " + uuid(2, 5) + " -> " + uuid(7, 7),
		"+ web-06 joins, was skipped: is locked",
		"+ web-07 joins",
	}, planner.Compare(mustMake(t, with(skipLocked), before), mustMake(t, with(skipLocked), after)))

	old := mustMake(t, with(skipLocked), fleet(6))
	later := mustMake(t, with(func(s *document.Spec) {
		skipLocked(s)
		s.Waves = []document.Wave{{Name: "canary", Count: new(3), Bake: document.Duration(time.Minute), Approval: true}, {Name: "all", UpTo: new(rollout.Whole)}}
		s.InFlight, s.PerZone = document.Limit{Count: new(4)}, document.Limit{Count: new(2)}
		s.Budget = document.Budget{Tolerate: document.Limit{Count: new(1)}, OnBreach: rollout.BreachAbort}
		s.Login.KeyPair = "fleet-key"
		s.Deadline = document.Duration(time.Hour)
	}), fleet(6))
	assert.Equal(t, strings.TrimSpace(`
~ web-03 wave rest -> canary
~ web-04 wave rest -> all
~ web-05 wave rest -> all
~ web-06 wave rest -> all
- wave rest (4 servers)
~ wave canary: 2 servers -> 3 servers, bake 1m0s, approval
+ wave all (3 servers)
~ key pair: none -> fleet-key
~ in flight: 2 -> 4
~ tolerated failures: 0 -> 1
~ on breach: pause -> abort
~ deadline: none -> 1h0m0s
~ zone eu-1a: 1 of 2 -> 2 of 2
~ zone eu-1b: 1 of 2 -> 2 of 2
~ zone eu-1c: 1 of 2 -> 2 of 2`), strings.Join(planner.Compare(old, later), "\n"))
}

// TestCompareOfUserData: the reference is the same, and what is behind it is not.
func TestCompareOfUserData(t *testing.T) {
	reads := func(s *document.Spec) { s.UserDataFrom = "file:init.yaml" }
	before, after := fleet(3), fleet(3)
	before.UserData.Digest, after.UserData.Digest = "1f0e", "2a1b"
	old, later := mustMake(t, with(reads), before), mustMake(t, with(reads), after)
	assert.Equal(t, []string{"~ user data digest: 1f0e -> 2a1b"}, planner.Compare(old, later))
	assert.Equal(t, "1f0e", old.Change.UserDataDigest)
	assert.NotEqual(t, old.Digest, later.Digest, "the plan's own digest covers it")
}

func TestCompareOfOrders(t *testing.T) {
	inv := fleet(3)
	inv.Servers[0].ID, inv.Servers[2].ID = inv.Servers[2].ID, inv.Servers[0].ID
	byName := mustMake(t, with(func(s *document.Spec) { s.Order = document.OrderName }), inv)
	byID := mustMake(t, with(func(s *document.Spec) { s.Order = document.OrderID }), inv)
	assert.Equal(t, []string{"~ the order of the servers is another"}, planner.Compare(byName, byID))
	swapped := byName
	swapped.Waves = []rollout.Wave{{Name: "a", End: 0}, {Name: "b", End: 3}}
	other := byName
	other.Waves = []rollout.Wave{{Name: "b", End: 3}, {Name: "a", End: 3}}
	assert.Equal(t, []string{"~ order of waves a, b -> b, a"}, planner.Compare(swapped, other))
}
