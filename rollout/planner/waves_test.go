package planner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

func byCount(n int) document.Wave { return document.Wave{Count: &n} }
func byPercent(t *testing.T, text string) document.Wave {
	return document.Wave{Percent: percent(t, text)}
}
func upTo(t *testing.T, text string) document.Wave { return document.Wave{UpTo: percent(t, text)} }

// TestWaveEnds: shares round up, counts stop at what is left, and the last wave reaches everybody.
func TestWaveEnds(t *testing.T) {
	all := upTo(t, "100%")
	for _, c := range []struct {
		n     int
		waves []document.Wave
		want  []int
	}{
		{24, nil, []int{24}},
		{1, []document.Wave{upTo(t, "1%"), all}, []int{1, 1}},
		{1, []document.Wave{upTo(t, "50%"), all}, []int{1, 1}},
		{1, []document.Wave{upTo(t, "99%")}, []int{1}}, // rounded up it reaches everybody
		{2, []document.Wave{upTo(t, "60%"), all}, []int{2, 2}},
		{3, []document.Wave{upTo(t, "25%"), upTo(t, "50%"), all}, []int{1, 2, 3}},
		{9, []document.Wave{upTo(t, "10%"), all}, []int{1, 9}},
		{10, []document.Wave{upTo(t, "10%"), all}, []int{1, 10}},
		{10, []document.Wave{upTo(t, "10.0%"), all}, []int{1, 10}},
		{100, []document.Wave{upTo(t, "9.99%"), all}, []int{10, 100}},
		{1000, []document.Wave{upTo(t, "9.99%"), upTo(t, "10%"), all}, []int{100, 100, 1000}},
		{1001, []document.Wave{upTo(t, "9.99%"), upTo(t, "10%"), all}, []int{100, 101, 1001}},
		{100, []document.Wave{upTo(t, "29%"), upTo(t, "57%"), upTo(t, "58%"), all}, []int{29, 57, 58, 100}}, // where floats lose one
		{90, []document.Wave{upTo(t, "70%"), all}, []int{63, 90}},
		{3, []document.Wave{byPercent(t, "33%"), byPercent(t, "33%"), byPercent(t, "33%")}, []int{1, 2, 3}},
		{10, []document.Wave{byPercent(t, "33%"), byPercent(t, "33%"), byPercent(t, "33%")}, []int{4, 8, 10}},
		{10, []document.Wave{byCount(2), byCount(3), all}, []int{2, 5, 10}},
		{10, []document.Wave{byCount(2), byCount(100)}, []int{2, 10}},
		{3, []document.Wave{byCount(3), all}, []int{3, 3}},
		{3, []document.Wave{byCount(7), all}, []int{3, 3}},
		{20, []document.Wave{byCount(5), upTo(t, "10%"), all}, []int{5, 5, 20}}, // never back
		{20, []document.Wave{upTo(t, "50%"), upTo(t, "25%"), all}, []int{10, 10, 20}},
	} {
		t.Run(fmt.Sprintf("%d into %v", c.n, c.want), func(t *testing.T) {
			plan := mustMake(t, with(func(s *document.Spec) { s.Waves = c.waves }), fleet(c.n))
			assert.Equal(t, c.want, ends(plan))
		})
	}
}

// TestWavesThatDoNotReachEverybody are refused with the servers they leave out.
func TestWavesThatDoNotReachEverybody(t *testing.T) {
	third := byPercent(t, "33%")
	assert.Equal(t,
		[]string{"the waves come to 99 of 100 servers and leave out 1: web-97; let the last wave be upTo: 100%"},
		problems(t, with(func(s *document.Spec) { s.Waves = []document.Wave{third, third, third} }), fleet(100)),
	)
	found := problems(t, with(func(s *document.Spec) { s.Waves = []document.Wave{byCount(1)}; s.Order = document.OrderName }), fleet(24))
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "the waves come to 1 of 24 servers and leave out 23: web-02, web-03,")
	assert.Contains(t, found[0], "web-11 and 13 more;", "ten are named")
}

func TestWavesKeepNamesBakesAndApprovals(t *testing.T) {
	plan := mustMake(t, with(func(s *document.Spec) {
		s.Waves = []document.Wave{
			{Name: "canary", Count: new(2), Bake: document.Duration(30 * time.Minute), Approval: true},
			{Count: new(3)},
			{UpTo: new(rollout.Whole), Bake: document.Duration(time.Hour)},
		}
	}), fleet(9))
	assert.Equal(t, []rollout.Wave{
		{Name: "canary", End: 2, Bake: 30 * time.Minute, Approval: true},
		{Name: "wave-2", End: 5},
		{Name: "wave-3", End: 9, Bake: time.Hour},
	}, plan.Waves)
}

func TestEmptyWavesStayWithAWarning(t *testing.T) {
	plan := mustMake(t, with(func(s *document.Spec) {
		s.Waves = []document.Wave{
			{Name: "canary", Count: new(3), Approval: true}, {Name: "some", UpTo: percent(t, "50%"), Approval: true}, {Name: "rest", UpTo: new(rollout.Whole)},
		}
	}), fleet(3))
	assert.Equal(t, []int{3, 3, 3}, ends(plan))
	assert.False(t, plan.Waves[0].Approval, "nothing would be approved")
	assert.Equal(t, []string{
		"wave canary is the last with servers: its approval would approve nothing and is left out",
		"the first wave, canary, is all 3 servers: nothing is tried on a few first",
		"waves some, rest are empty and are passed over: they neither bake nor ask",
	}, plan.Warnings)
}

// TestWavesSpanZones: zones are interleaved, so the first servers of a plan are of different ones.
func TestWavesSpanZones(t *testing.T) {
	inv := fleet(7)
	for i, zone := range []string{"b", "b", "b", "b", "a", "a", "c"} {
		inv.Servers[i].Zone = zone
	}
	for order, want := range map[document.Order][]string{
		"":                  {"web-05", "web-01", "web-07", "web-06", "web-02", "web-03", "web-04"},
		document.OrderZones: {"web-05", "web-01", "web-07", "web-06", "web-02", "web-03", "web-04"},
		document.OrderName:  {"web-01", "web-02", "web-03", "web-04", "web-05", "web-06", "web-07"},
	} {
		plan := mustMake(t, with(func(s *document.Spec) { s.Order = order }), inv)
		assert.Equal(t, want, names(plan.Servers), "order %q", order)
	}
	inv.Servers[0].ID, inv.Servers[6].ID = inv.Servers[6].ID, inv.Servers[0].ID
	plan := mustMake(t, with(func(s *document.Spec) { s.Order = document.OrderID }), inv)
	assert.Equal(t, []string{"web-07", "web-02", "web-03", "web-04", "web-05", "web-06", "web-01"}, names(plan.Servers))
}

// TestServersOfOneNameAreOrderedByID within every order.
func TestServersOfOneNameAreOrderedByID(t *testing.T) {
	for _, order := range []document.Order{document.OrderZones, document.OrderName, document.OrderID} {
		inv := fleet(3)
		for i := range inv.Servers {
			inv.Servers[i].Name, inv.Servers[i].Zone = "web", "a"
		}
		inv.Servers[0], inv.Servers[2] = inv.Servers[2], inv.Servers[0]
		plan := mustMake(t, with(func(s *document.Spec) { s.Select.Names = []string{"web"}; s.Order = order }), inv)
		for i, s := range plan.Servers {
			assert.Equal(t, uuid(1, i+1), s.ID, "order %s", order)
		}
		assert.Contains(t, plan.Warnings, "several servers share a name, so commands need their ids: web")
	}
}

// TestSpreadOfTooManyCombinations is refused: servers that share nothing are not spread by it.
func TestSpreadOfTooManyCombinations(t *testing.T) {
	inv := fleet(501)
	for i := range inv.Servers {
		inv.Servers[i].Tags = append(inv.Servers[i].Tags, fmt.Sprintf("host=%d", i))
	}
	doc := with(func(s *document.Spec) { s.Spread = []document.SpreadKey{"tag:role", "tag:host"} })
	assert.Equal(t, []string{"spread makes 501 combinations of tag:role and tag:host, more than 500: name keys of which many servers share a value"}, problems(t, doc, inv))
	inv.Servers = inv.Servers[:500]
	assert.Len(t, mustMake(t, doc, inv).Servers, 500)
}

// TestLongSelectsAreCutInThePlan: it is for people, and the document has the whole.
func TestLongSelectsAreCutInThePlan(t *testing.T) {
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprintf("web-%02d", i+1))
	}
	plan := mustMake(t, with(func(s *document.Spec) {
		s.Waves = []document.Wave{{Name: "canary", Select: &document.WaveSelection{Names: all}}, {}}
	}), fleet(20))
	assert.Equal(t, []int{12, 20}, ends(plan))
	assert.Equal(t, "names web-01, web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10 and 2 more", plan.Waves[0].Select)
}

// TestWhatATagBecomesChangesNoWave: a plan names its servers by their ids.
func TestWhatATagBecomesChangesNoWave(t *testing.T) {
	doc := with(func(s *document.Spec) {
		s.Waves = []document.Wave{{Name: "canary", Select: &document.WaveSelection{Tags: []string{"shard=1"}}}, {Name: "rest"}}
	})
	inv := fleet(8)
	plan := mustMake(t, doc, inv)
	inv.Servers[0].Tags = []string{"shard=2"}
	assert.Empty(t, planner.Drift(plan, inv))
	assert.Equal(t, []string{
		"~ web-01 wave canary -> rest", "~ the order of the servers is another", "~ wave canary: 4 servers, select tags shard=1 -> 3 servers, select tags shard=1", "~ wave rest: 4 servers -> 5 servers",
	}, planner.Compare(plan, mustMake(t, doc, inv)))
}
