package planner_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// etcd are three servers of one group, of which the last one has the status.
func etcd(status string) rollout.Inventory {
	inv := fleet(3)
	for i := range inv.Servers {
		inv.Servers[i].Tags = []string{"cluster=etcd"}
	}
	inv.Servers[2].Observation.Status = status
	return inv
}

func oneOfEach(s *document.Spec) {
	s.InFlight.Count = new(3)
	s.PerGroup = document.Group{Tag: "cluster", Count: new(1)}
}

// TestDownComesFirst in its wave, and the plan warns that it stays down when it is stopped again.
func TestDownComesFirst(t *testing.T) {
	plan := mustMake(t, with(oneOfEach), etcd(rollout.StatusShutoff))
	assert.Equal(t, []string{"web-03", "web-01", "web-02"}, names(plan.Servers))
	assert.True(t, plan.Caps.CountOthers)
	assert.Equal(t, []string{"no room in group etcd (at most 1) for web-01, web-02, because of servers that are down: web-03 (SHUTOFF, stopped again after its change): start or repair these, raise the cap, or set countOthers: false"}, plan.Warnings)

	for name, edit := range map[string]func(*document.Spec){
		"power: on": func(s *document.Spec) { oneOfEach(s); s.Power = rollout.PowerOn },
		"two slots": func(s *document.Spec) { oneOfEach(s); s.PerGroup.Count = new(2) },
	} {
		plan = mustMake(t, with(edit), etcd(rollout.StatusShutoff))
		assert.Equal(t, []string{"web-03", "web-01", "web-02"}, names(plan.Servers), name)
		assert.Empty(t, plan.Warnings, name)
	}
	left := etcd(rollout.StatusShutoff)
	left.Servers[2].LeftStopped = true
	assert.NotContains(t, strings.Join(mustMake(t, with(oneOfEach), left).Warnings, ""), "no room", "it is left running")
	failed := with(func(s *document.Spec) { oneOfEach(s); s.Servers.Error = document.RuleChange })
	assert.Empty(t, mustMake(t, failed, etcd(rollout.StatusError)).Warnings, "its change mends it")
}

// TestDownInALaterWave holds the slot that a running server of an earlier wave needs.
func TestDownInALaterWave(t *testing.T) {
	doc := with(func(s *document.Spec) {
		oneOfEach(s)
		s.Power = rollout.PowerOn
		s.Waves = []document.Wave{{Name: "canary", Count: new(1)}, {Name: "rest", UpTo: new(rollout.Whole)}}
	})
	plan := mustMake(t, doc, etcd(rollout.StatusShutoff))
	assert.Equal(t, []string{"web-01", "web-03", "web-02"}, names(plan.Servers))
	assert.Equal(t, []string{"no room in group etcd (at most 1) for web-01, because of servers that are down: web-03 (SHUTOFF, in wave rest): start or repair these, raise the cap, or set countOthers: false"}, plan.Warnings)
}

// TestMembersThatAreNotSelected count in their group, and skipped servers of the selection in every cap.
func TestMembersThatAreNotSelected(t *testing.T) {
	doc := with(func(s *document.Spec) {
		oneOfEach(s)
		s.Select = document.Selection{Names: []string{"web-01", "web-02"}}
		s.Servers.Stopped = document.RuleSkip
	})
	inv := etcd(rollout.StatusShutoff)
	stranger := inv.Servers[2]
	stranger.ID, stranger.Name, stranger.Tags = uuid(1, 9), "db-09", []string{"cluster=db"}
	young := inv.Servers[2]
	young.ID, young.Name, young.CreatedAt = uuid(1, 10), "tmp-10", madeAt.Add(-1)
	inv.Servers = append(inv.Servers, stranger, young)
	plan := mustMake(t, doc, inv)
	member := rollout.OtherServer{ID: uuid(1, 3), Name: "web-03", Zone: "eu-1c", Group: "etcd", Status: rollout.StatusShutoff}
	assert.Equal(t, []rollout.OtherServer{member}, plan.Others)
	assert.Equal(t, []string{"no room in group etcd (at most 1) for web-01, web-02, because of servers that are down: web-03 (SHUTOFF, not in the plan): start or repair these, raise the cap, or set countOthers: false"}, plan.Warnings)

	doc.Spec.Select.Names = []string{"web-*"}
	plan = mustMake(t, doc, inv)
	assert.Empty(t, plan.Others)
	assert.Equal(t, []rollout.OtherServer{member}, plan.Untouched(), "it is skipped")
	assert.Contains(t, plan.Warnings[0], "no room in group etcd")

	doc.Spec.CountOthers = new(false)
	plan = mustMake(t, doc, inv)
	assert.Empty(t, plan.Untouched())
	assert.Empty(t, plan.Warnings)
	assert.Equal(t, []rollout.SkippedServer{{ID: uuid(1, 3), Name: "web-03", Reason: "is stopped"}}, plan.Skipped)
}

// TestBudgetByGroupHoldsNothingBack, also when other members of the group are down.
func TestBudgetByGroupHoldsNothingBack(t *testing.T) {
	plan := mustMake(t, with(func(s *document.Spec) {
		s.PerGroup.Tag, s.Budget.PerGroup = "cluster", new(0)
		s.Select.Names = []string{"web-01", "web-02"}
	}), etcd(rollout.StatusShutoff))
	assert.Empty(t, plan.Others)
	assert.Empty(t, plan.Warnings)
}

// TestAllOutOfServiceAtOnce is a problem of all caps together.
func TestAllOutOfServiceAtOnce(t *testing.T) {
	all := "all 3 servers may be out of service at once"
	three := func(s *document.Spec) { s.InFlight.Count = new(3) }
	assert.Contains(t, mustMake(t, with(three), fleet(3)).Warnings, all)
	assert.NotContains(t, mustMake(t, with(oneOfEach), etcd(rollout.StatusActive)).Warnings, all, "one of the group at a time")
	zones := with(func(s *document.Spec) { three(s); s.PerZone.Count = new(1) })
	assert.Contains(t, mustMake(t, zones, fleet(3)).Warnings, all, "one of each zone is all of them")
	inv := fleet(3)
	inv.Servers[1].Zone = inv.Servers[0].Zone
	assert.NotContains(t, mustMake(t, zones, inv).Warnings, all)
}

// TestDownIsFirstInEveryWave, whatever the order, and every server that counts is listed once.
func TestDownIsFirstInEveryWave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, _, _ := drawPlan(t)
		seen := map[string]bool{}
		for _, s := range plan.Servers {
			seen[s.ID] = true
		}
		for _, other := range plan.Untouched() {
			require.False(t, seen[other.ID], "%s counts twice", other.Name)
			seen[other.ID] = true
		}
		begin := 0
		for _, w := range plan.Waves {
			running := false
			for _, s := range plan.Servers[begin:w.End] {
				require.False(t, plan.Caps.CountOthers && running && rollout.IsDown(s.Status), "%s is down and comes after one that runs", s.Name)
				running = running || !rollout.IsDown(s.Status)
			}
			begin = w.End
		}
	})
}
