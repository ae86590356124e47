package planner_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// drawLimit is a limit that may be given as a count, a share, both or not at all.
func drawLimit(t *rapid.T, label string) document.Limit {
	return document.Limit{
		Count:   rapid.Ptr(rapid.IntRange(1, 50), true).Draw(t, label+" count"),
		Percent: rapid.Ptr(rapid.Custom(func(t *rapid.T) rollout.Percent { return rollout.Percent(rapid.IntRange(0, 10000).Draw(t, "points")) }), true).Draw(t, label+" percent"),
	}
}

func drawDocument(t *rapid.T) document.Rollout {
	rule := func(label string, rules ...document.StateRule) document.StateRule {
		return rapid.SampledFrom(rules).Draw(t, label)
	}
	doc := with(func(s *document.Spec) {
		s.Select.Exclude.Tags = rapid.SampledFrom([][]string{nil, {"shard=1"}}).Draw(t, "exclude")
		s.Servers = document.States{
			AlreadyThere: rule("there", "", document.RuleSkip, document.RuleChange), Stopped: rule("stopped", "", document.RuleChange, document.RuleSkip),
			Locked: document.RuleSkip, Error: rule("error", document.RuleSkip, document.RuleChange), Unfit: document.RuleSkip,
		}
		s.Order = rapid.SampledFrom([]document.Order{"", document.OrderZones, document.OrderName, document.OrderID}).Draw(t, "order")
		for range rapid.IntRange(0, 4).Draw(t, "waves") {
			w := document.Wave{Bake: document.Duration(rapid.IntRange(0, 3).Draw(t, "bake")) * document.Duration(time.Minute), Approval: rapid.Bool().Draw(t, "approval")}
			switch share := rollout.Percent(rapid.IntRange(0, 10000).Draw(t, "share")); rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				w.Count = new(rapid.IntRange(1, 20).Draw(t, "count"))
			case 1:
				w.Percent = &share
			case 2:
				w.Select = drawWaveSelection(t)
				w.Count = rapid.Ptr(rapid.IntRange(1, 20), true).Draw(t, "at most")
			default:
				w.UpTo = &share
			}
			s.Waves = append(s.Waves, w)
		}
		if len(s.Waves) > 0 {
			s.Waves = append(s.Waves, document.Wave{UpTo: new(rollout.Whole)})
		}
		s.Spread = rapid.SliceOfNDistinct(rapid.SampledFrom([]document.SpreadKey{"zone", "group", "tag:role", "tag:shard", "tag:rack"}), 0, 3, rapid.ID).Draw(t, "spread")
		s.Select.Zones = rapid.SampledFrom([][]string{nil, nil, {"a", "b"}}).Draw(t, "zones")
		s.InFlight, s.PerZone = drawLimit(t, "in flight"), drawLimit(t, "zone")
		group := drawLimit(t, "group")
		s.PerGroup = document.Group{Tag: "shard", Count: group.Count, Percent: group.Percent}
		s.Budget = document.Budget{
			Tolerate: drawLimit(t, "tolerate"), MinSample: rapid.IntRange(0, 20).Draw(t, "sample"), PerGroup: rapid.Ptr(rapid.IntRange(0, 3), true).Draw(t, "budget by group"),
			Admission: rapid.SampledFrom([]document.Admission{document.AdmissionReactive, document.AdmissionStrict}).Draw(t, "admission"), SlowStart: rapid.Bool().Draw(t, "slow"),
		}
		s.CountOthers = rapid.Ptr(rapid.Bool(), true).Draw(t, "count others")
		s.Soak = document.Duration(rapid.IntRange(0, 9).Draw(t, "soak")) * document.Duration(time.Minute)
	})
	return doc
}

func drawWaveSelection(t *rapid.T) *document.WaveSelection {
	some := func(label string, from ...string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, label)
	}
	return &document.WaveSelection{
		Names: some("names", "web-0*", "web-?5", "db-*"), Tags: some("tags", "role=web", "shard=1", "shard", "env"),
		Zones: some("in zones", "a", "b", "z"), Groups: some("in groups", "1", "2", "9"),
	}
}

func drawInventory(t *rapid.T) rollout.Inventory {
	inv := fleet(rapid.IntRange(1, 40).Draw(t, "servers"))
	for i := range inv.Servers {
		s := &inv.Servers[i]
		s.Name = fmt.Sprintf("web-%02d", rapid.IntRange(1, 60).Draw(t, "name"))
		s.Zone = rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "zone")
		s.Observation.Status = rapid.SampledFrom([]string{"ACTIVE", "ACTIVE", "SHUTOFF", "ERROR", "REBOOT", "PAUSED", "BUILD"}).Draw(t, "status")
		s.Observation.ImageID = rapid.SampledFrom([]string{jammy, noble, noble2}).Draw(t, "image")
		s.Locked = rapid.IntRange(0, 9).Draw(t, "locked") == 0
		s.HeldBy = rapid.SampledFrom([]string{"", "", "", "held by rollout march since noon"}).Draw(t, "held")
		s.DiskGB = rapid.SampledFrom([]int{0, 10, 40}).Draw(t, "disk")
	}
	return inv
}

// drawPlan is a plan, and what it was made of; drawings without one are passed over.
func drawPlan(t *rapid.T) (rollout.Plan, document.Rollout, rollout.Inventory) {
	doc, inv := drawDocument(t), drawInventory(t)
	plan, err := planner.Make(doc, inv, madeAt)
	if err != nil {
		require.ErrorContains(t, err, "the selection is empty")
		require.NotContains(t, err.Error(), "\n", "nothing else can be wrong with these")
		t.Skip("nobody is selected: rapid draws again")
	}
	return plan, doc, inv
}

// TestEverySelectedServerIsPlannedOrSkippedOnce, in an order that the document asks for.
func TestEverySelectedServerIsPlannedOrSkippedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, doc, inv := drawPlan(t)
		want := map[string]bool{}
		for _, s := range inv.Servers {
			if zones := doc.Spec.Select.Zones; len(zones) > 0 && !slices.Contains(zones, s.Zone) {
				continue
			}
			if s.Observation.Status != "BUILD" && (len(doc.Spec.Select.Exclude.Tags) == 0 || s.Tags[1] != "shard=1") {
				want[s.ID] = true
			}
		}
		got := map[string]bool{}
		see := func(id string) {
			require.False(t, got[id], "%s is there twice", id)
			got[id] = true
		}
		for _, s := range plan.Servers {
			see(s.ID)
			require.NotEmpty(t, s.Before.VolumeID)
		}
		for _, s := range plan.Skipped {
			see(s.ID)
			require.NotEmpty(t, s.Reason)
		}
		require.Equal(t, want, got)
	})
}

// TestWavesHaveWhatTheySelect: a wave has every server that matches and that no wave before has, or as many of them as it may,
// and in each wave the values of the spread take turns.
func TestWavesHaveWhatTheySelect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, doc, inv := drawPlan(t)
		tags := map[string][]string{}
		for _, s := range inv.Servers {
			tags[s.ID] = s.Tags
		}
		begin := 0
		for i, w := range doc.WithDefaults().Spec.Waves {
			wave, later := plan.Servers[begin:plan.Waves[i].End], plan.Servers[plan.Waves[i].End:]
			begin = plan.Waves[i].End
			if w.Select != nil {
				require.True(t, w.Count == nil || len(wave) <= *w.Count)
				for _, s := range wave {
					require.True(t, matches(*w.Select, s, tags[s.ID]), "%s in wave %s", s.Name, w.Name)
				}
				later = slices.DeleteFunc(slices.Clone(later), func(s rollout.PlannedServer) bool { return !matches(*w.Select, s, tags[s.ID]) })
				require.True(t, len(later) == 0 || w.Count != nil && *w.Count == len(wave), "%d more match wave %s", len(later), w.Name)
			}
			values := func(s rollout.PlannedServer) string { return valuesOf(doc.Spec.Spread, s, tags[s.ID]) }
			inWave, left := countBy(wave, values), countBy(later, values)
			for value, n := range inWave {
				for other := range left {
					require.LessOrEqual(t, n, inWave[other]+1, "wave %s has %d of %s and %d of %s, of which more are left", w.Name, n, value, inWave[other], other)
				}
			}
		}
	})
}

func countBy(servers []rollout.PlannedServer, value func(rollout.PlannedServer) string) map[string]int {
	counts := map[string]int{}
	for _, s := range servers {
		counts[value(s)]++
	}
	return counts
}

// matches holds a server against the rules of docs/rollout.md.
func matches(sel document.WaveSelection, s rollout.PlannedServer, tags []string) bool {
	named := slices.ContainsFunc(sel.Names, func(pattern string) bool { return rollout.MatchName(pattern, s.Name) })
	tagged := len(sel.Tags) > 0
	for _, tag := range sel.Tags {
		tagged = tagged && slices.ContainsFunc(tags, func(has string) bool { return has == tag || strings.HasPrefix(has, tag+"=") })
	}
	chosen := named || tagged || len(sel.Names)+len(sel.Tags) == 0
	inZone := len(sel.Zones) == 0 || slices.Contains(sel.Zones, s.Zone)
	return chosen && inZone && (len(sel.Groups) == 0 || slices.Contains(sel.Groups, s.Group))
}

func valuesOf(keys []document.SpreadKey, s rollout.PlannedServer, tags []string) string {
	var values []string
	for _, key := range keys {
		value := map[document.SpreadKey]string{"zone": s.Zone, "group": s.Group}[key]
		for _, tag := range tags {
			if of, found := strings.CutPrefix("tag:"+tag, string(key)+"="); found {
				value = of
			}
		}
		values = append(values, value)
	}
	return strings.Join(values, "/")
}

// TestWavesCoverAllAndCapsAreWithinThem.
func TestWavesCoverAllAndCapsAreWithinThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, _, _ := drawPlan(t)
		n, end := len(plan.Servers), 0
		for _, w := range plan.Waves {
			require.GreaterOrEqual(t, w.End, end)
			end = w.End
		}
		require.Equal(t, n, end)
		require.GreaterOrEqual(t, plan.Caps.InFlight, 1)
		counted, down := n+len(plan.Untouched()), 0
		for _, other := range plan.Untouched() {
			if rollout.IsDown(other.Status) {
				down++
			}
		}
		require.LessOrEqual(t, plan.Caps.InFlight, max(1, n+down))
		for _, caps := range [][]rollout.GroupCap{plan.Caps.Zones, plan.Caps.Groups} {
			total := 0
			for _, c := range caps {
				require.GreaterOrEqual(t, c.Cap, 1)
				require.LessOrEqual(t, c.Cap, counted)
				total += c.Servers
			}
			require.True(t, caps == nil || total == n)
		}
		if share := plan.Budget.Share; share != nil {
			require.LessOrEqual(t, *share, n)
		}
	})
}

// TestEstimateIsWithinItsBounds: not shorter than full slots all the time, not longer than one by one.
func TestEstimateIsWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, _, _ := drawPlan(t)
		each, bakes, begin := 6*time.Minute+plan.Soak, time.Duration(0), 0
		for _, w := range plan.Waves {
			if w.End > begin {
				bakes += w.Bake
			}
			begin = w.End
		}
		n := len(plan.Servers)
		rounds := (n + plan.Caps.InFlight - 1) / plan.Caps.InFlight
		require.GreaterOrEqual(t, plan.Estimate, time.Duration(rounds)*each+bakes)
		require.LessOrEqual(t, plan.Estimate, time.Duration(n)*each+bakes)
	})
}

// TestAnyOrderOfTheInventoryGivesTheSamePlan: clouds list in any order.
func TestAnyOrderOfTheInventoryGivesTheSamePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, inv := drawDocument(t), drawInventory(t)
		doc.Spec.Servers.Unfit = rapid.SampledFrom([]document.StateRule{document.RuleSkip, document.RuleRefuse}).Draw(t, "unfit")
		plan, err := planner.Make(doc, inv, madeAt)
		inv.Servers = rapid.Permutation(inv.Servers).Draw(t, "order of servers")
		inv.Images = rapid.Permutation(inv.Images).Draw(t, "order of images")
		again, errAgain := planner.Make(doc, inv, madeAt)
		require.Equal(t, plan.Digest, again.Digest)
		require.Equal(t, err, errAgain)
	})
}

// TestPlanSurvivesItsFile: a plan that was written and read again is still sealed and still the same.
func TestPlanSurvivesItsFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, _, inv := drawPlan(t)
		text, err := json.Marshal(plan)
		require.NoError(t, err)
		var read rollout.Plan
		require.NoError(t, json.Unmarshal(text, &read))
		require.NoError(t, read.Verify())
		require.Empty(t, planner.Compare(plan, read))
		require.Empty(t, planner.Drift(read, inv), "nothing has changed")
	})
}

// TestMakeChangesNothingItWasGiven.
func TestMakeChangesNothingItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, inv := drawDocument(t), drawInventory(t)
		before := fmt.Sprintf("%+v", inv)
		text, err := json.Marshal(doc)
		require.NoError(t, err)
		_, _ = planner.Make(doc, inv, madeAt)
		assert.Equal(t, before, fmt.Sprintf("%+v", inv))
		after, err := json.Marshal(doc)
		require.NoError(t, err)
		assert.Equal(t, string(text), string(after))
	})
}
