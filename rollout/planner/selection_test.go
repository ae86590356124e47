package planner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

func TestSelection(t *testing.T) {
	all := []string{"web-01", "web-02", "web-03", "web-04", "web-05", "web-06"}
	for name, c := range map[string]struct {
		selects document.Selection
		want    []string
	}{
		"ids":                         {document.Selection{IDs: []string{uuid(1, 2), strings.ToUpper(uuid(1, 3))}}, []string{"web-02", "web-03"}},
		"a name":                      {document.Selection{Names: []string{"web-02"}}, []string{"web-02"}},
		"a star":                      {document.Selection{Names: []string{"web-*"}}, all},
		"a star in the middle":        {document.Selection{Names: []string{"w*2"}}, []string{"web-02"}},
		"stars that have to back up":  {document.Selection{Names: []string{"*0*0?"}}, []string{}},
		"a question mark":             {document.Selection{Names: []string{"web-0?"}}, all},
		"a question mark is one":      {document.Selection{Names: []string{"web-?", "web-01"}}, []string{"web-01"}},
		"brackets are themselves":     {document.Selection{Names: []string{"web-0[12]*", "web-01"}}, []string{"web-01"}},
		"a tag":                       {document.Selection{Tags: []string{"shard=2"}}, []string{"web-05", "web-06"}},
		"a tag of any value":          {document.Selection{Tags: []string{"shard"}}, all},
		"all tags, not any":           {document.Selection{Tags: []string{"role=web", "shard=2"}}, []string{"web-05", "web-06"}},
		"names or tags":               {document.Selection{Names: []string{"web-01"}, Tags: []string{"shard=2"}}, []string{"web-01", "web-05", "web-06"}},
		"the same by id, name, tag":   {document.Selection{IDs: []string{uuid(1, 5), uuid(1, 5)}, Names: []string{"web-05", "web-05"}, Tags: []string{"shard=2"}}, []string{"web-05", "web-06"}},
		"without an id":               {document.Selection{Names: []string{"*"}, Exclude: document.Exclusion{IDs: []string{strings.ToUpper(uuid(1, 1))}}}, all[1:]},
		"without names":               {document.Selection{Names: []string{"*"}, Exclude: document.Exclusion{Names: []string{"*-0?"}}}, nil},
		"without a tag":               {document.Selection{Names: []string{"*"}, Exclude: document.Exclusion{Tags: []string{"shard=1", "role=db"}}}, []string{"web-05", "web-06"}},
		"named and excluded":          {document.Selection{Names: []string{"web-01", "web-02"}, Exclude: document.Exclusion{Names: []string{"web-01"}}}, []string{"web-02"}},
		"an empty value is no other":  {document.Selection{Names: []string{"web-01"}, Tags: []string{"shard="}}, []string{"web-01"}},
		"tags are whole":              {document.Selection{Names: []string{"web-01"}, Tags: []string{"shar"}}, []string{"web-01"}},
		"in a zone":                   {document.Selection{Names: []string{"*"}, Zones: []string{"eu-1b", "eu-1x"}}, []string{"web-02", "web-05"}},
		"ids in a zone":               {document.Selection{IDs: []string{uuid(1, 1), uuid(1, 2)}, Zones: []string{"eu-1a"}}, []string{"web-01"}},
		"in no zone":                  {document.Selection{Names: []string{"*"}, Zones: []string{"eu-1x"}}, nil},
		"a glob matches a whole name": {document.Selection{Names: []string{"web-01", "eb-*", "web-?"}}, []string{"web-01"}},
	} {
		t.Run(name, func(t *testing.T) {
			doc := with(func(s *document.Spec) { s.Select = c.selects; s.Order = document.OrderName })
			if len(c.want) == 0 {
				assert.Contains(t, strings.Join(problems(t, doc, fleet(6)), "\n"), "the selection is empty")
				return
			}
			assert.Equal(t, c.want, names(mustMake(t, doc, fleet(6)).Servers))
		})
	}
}

// TestNamesWithBlanks: servers have them, and a name is one all the same.
func TestNamesWithBlanks(t *testing.T) {
	inv := fleet(4)
	inv.Servers[1].Name, inv.Servers[2].Name = "db 01 (old)", "db 02 (new)"
	for name, selects := range map[string]document.Selection{
		"a name":       {Names: []string{"db 01 (old)"}},
		"a pattern":    {Names: []string{"db ?? (o*)"}},
		"an exclusion": {Names: []string{"db *"}, Exclude: document.Exclusion{Names: []string{"* (new)"}}},
	} {
		plan := mustMake(t, with(func(s *document.Spec) { s.Select = selects }), inv)
		assert.Equal(t, []string{"db 01 (old)"}, names(plan.Servers), name)
	}
	for text, means := range map[string]string{
		"web-01 web-04": "web-01", "db 03 web-04": "web-04", "nobody web-0?": "web-01", "x " + strings.ToUpper(uuid(1, 3)): "db 02 (new)",
	} {
		for _, selects := range []document.Selection{{Names: []string{"*"}}, {IDs: []string{uuid(1, 1), uuid(1, 3), uuid(1, 4)}}} {
			selects.Exclude.Names = []string{text}
			got := problems(t, with(func(s *document.Spec) { s.Select = selects }), inv)
			assert.Equal(t, []string{fmt.Sprintf("the selection excludes %q, which is no server, and a part of it means %s: give each name an entry of its own, or a line in a file", text, means)}, got)
		}
	}
	for _, text := range []string{"db 03 (old)", "mail * old", "web-01"} {
		mustMake(t, with(func(s *document.Spec) {
			s.Select = document.Selection{Names: []string{"*"}, Exclude: document.Exclusion{Names: []string{text}}}
		}), inv)
	}
}

func TestSelectionOfWhatIsNotThere(t *testing.T) {
	doc := with(func(s *document.Spec) {
		s.Select = document.Selection{IDs: []string{uuid(9, 2), uuid(9, 1), uuid(1, 1)}, Names: []string{"web-02", "web-99", "db-*"}}
	})
	assert.Equal(t, []string{
		"no server has the id " + uuid(9, 1) + ", " + uuid(9, 2) + ": check the ids and the region, or take them out of the selection",
		"no server is named web-99: check the names and the region, or take them out of the selection",
	}, problems(t, doc, fleet(3)))

	doc.Spec.Select = document.Selection{Names: []string{"web-*", "db-*"}, Tags: []string{"role=web", "shard=9"}}
	assert.Subset(t, mustMake(t, doc, fleet(3)).Warnings, []string{
		"no server matches the name db-* of the selection",
		"no server has all the tags of the selection: role=web, shard=9",
	})
}

// TestExclusionThatProtectsNobody may be a slip, of which only a warning tells: or a standing guard.
func TestExclusionThatProtectsNobody(t *testing.T) {
	of := func(sel document.Selection) string {
		return strings.Join(mustMake(t, with(func(s *document.Spec) { s.Select = sel }), fleet(6)).Warnings, "\n")
	}
	misspelt := document.Exclusion{IDs: []string{uuid(9, 1)}, Names: []string{"web-1", "wbe-*", "web-02"}, Tags: []string{"norimage", "shard=9", "shard=2"}}
	warnings := of(document.Selection{Names: []string{"web-*"}, Exclude: misspelt})
	assert.Contains(t, warnings, "the selection excludes "+uuid(9, 1)+", web-1, wbe-*, which is no server that was found: make sure that what it should protect is not in the plan")
	assert.Contains(t, warnings, "the selection excludes the tag norimage, shard=9, which no server has: make sure that what it should protect is not in the plan")

	// An exclusion is used when it means a server that another entry means too, or one that is not selected.
	assert.NotContains(t, of(document.Selection{Names: []string{"web-*"}, Exclude: document.Exclusion{Names: []string{"web-05", "web-05*"}, Tags: []string{"shard=2"}}}), "excludes")
	assert.NotContains(t, of(document.Selection{Tags: []string{"shard=1"}, Exclude: document.Exclusion{Tags: []string{"shard=2"}}}), "excludes")
	assert.NotContains(t, of(document.Selection{IDs: []string{uuid(1, 1)}, Exclude: misspelt}), "excludes", "only the servers with the ids were read")
	// So are tags of the selection whose servers are all named too.
	assert.NotContains(t, of(document.Selection{Names: []string{"web-*"}, Tags: []string{"shard=2"}}), "has all the tags")
}

// TestNewServers by their age, whatever they show.
func TestNewServers(t *testing.T) {
	for name, test := range map[string]struct {
		created time.Time
		new     bool
	}{
		"not told":           {time.Time{}, false},
		"a minute ago":       {madeAt.Add(-time.Minute), true},
		"almost an hour ago": {madeAt.Add(-time.Hour + time.Second), true},
		"an hour ago":        {madeAt.Add(-time.Hour), false},
		"by another clock":   {madeAt.Add(time.Minute), true},
	} {
		inv := fleet(3)
		inv.Servers[1].CreatedAt = test.created
		plan := mustMake(t, with(func(s *document.Spec) { s.Select = document.Selection{Names: []string{"web-*"}} }), inv)
		if test.new {
			assert.Equal(t, []string{"web-01", "web-03"}, names(plan.Servers), name)
			assert.Contains(t, strings.Join(plan.Warnings, "\n"), "left out, as new or still being created: web-02.", name)
		} else {
			assert.Len(t, plan.Servers, 3, name)
			assert.NotContains(t, strings.Join(plan.Warnings, "\n"), "new", name)
		}
		plan = mustMake(t, with(func(s *document.Spec) { s.Select = document.Selection{IDs: []string{uuid(1, 2)}} }), inv)
		assert.Equal(t, []string{"web-02"}, names(plan.Servers), "%s: nobody else has its id", name)
	}
}

// TestServersStillBeingCreated are selected by nothing but their ids: among them may be the ones that the cloud makes for
// the time of a change, whatever their names.
func TestServersStillBeingCreated(t *testing.T) {
	inv := fleet(3)
	inv.Servers[1].Observation = rollout.Observation{Exists: true, Status: "BUILD", TaskState: "spawning"}
	for name, selects := range map[string]document.Selection{
		"tags":                   {Tags: []string{"role=web"}},
		"a glob":                 {Names: []string{"web-*"}},
		"a name that others had": {Names: []string{"web-01", "web-03"}, Tags: []string{"role=web"}},
	} {
		plan := mustMake(t, with(func(s *document.Spec) { s.Select, s.Select.Expect.Count = selects, new(2) }), inv)
		assert.Equal(t, []string{"web-01", "web-03"}, names(plan.Servers), name)
		assert.Empty(t, plan.Skipped, name)
		assert.Contains(t, plan.Warnings, "left out, as new or still being created: web-02. A server created less than an hour ago may be the cloud's own for the time of a change: select yours by their ids, or plan again later", name)
	}
	elsewhere := mustMake(t, with(func(s *document.Spec) {
		s.Select = document.Selection{Tags: []string{"role=web"}, Zones: []string{"eu-1a", "eu-1c"}}
	}), inv)
	assert.NotContains(t, strings.Join(elsewhere.Warnings, "\n"), "web-02", "it is in another zone")
	excluded := mustMake(t, with(func(s *document.Spec) {
		s.Select = document.Selection{Tags: []string{"role=web"}, Exclude: document.Exclusion{Names: []string{"web-02"}}}
	}), inv)
	assert.NotContains(t, strings.Join(excluded.Warnings, "\n"), "web-02", "nobody asked for it")

	byName := with(func(s *document.Spec) { s.Select = document.Selection{Names: []string{"web-01", "web-02"}} })
	assert.Equal(t, []string{"what is named web-02 is new or still being created, and may be the cloud's own for the time of a change: select it by its id, plan again when it is there and an hour old, or take it out of the selection"}, problems(t, byName, inv))
	inv.Servers[2].Name = "web-02"
	plan := mustMake(t, byName, inv)
	assert.Equal(t, []string{uuid(1, 1), uuid(1, 3)}, []string{plan.Servers[0].ID, plan.Servers[1].ID}, "the cloud may call its own as the server that is changed")

	spared := mustMake(t, with(func(s *document.Spec) {
		s.Select = document.Selection{Names: []string{"web-01", "web-02"}, Exclude: document.Exclusion{Tags: []string{"shard=7"}}}
	}), unfinished("shard=7"))
	assert.Equal(t, []string{"web-01"}, names(spared.Servers), "the exclusion comes first, as for a server that runs")
	assert.Empty(t, spared.Skipped)

	named := mustMake(t, with(func(s *document.Spec) {
		s.Select = document.Selection{Names: []string{"web-01", "*-02"}, Tags: []string{"shard=7"}}
	}), unfinished("shard=7"))
	assert.Equal(t, []string{"web-01"}, names(named.Servers))
	assert.NotContains(t, strings.Join(named.Warnings, "\n"), "the selection", "the name and the tags mean a server, which is only not there yet")

	only := with(func(s *document.Spec) { s.Select = document.Selection{Names: []string{"*"}} })
	inv.Servers = inv.Servers[1:2]
	assert.Equal(t, []string{"the selection is empty: no server has the ids, names or tags, or all of them are excluded; left out, as new or still being created: web-02"}, problems(t, only, inv))

	byID := func(unfit document.StateRule) document.Rollout {
		return with(func(s *document.Spec) {
			s.Select, s.Servers.Unfit = document.Selection{IDs: []string{uuid(1, 2)}}, unfit
		})
	}
	assert.Equal(t, []string{"1 busy server: web-02 (status BUILD, task spawning); wait until that is over, or say servers.unfit: skip"}, problems(t, byID(""), inv))
	plan = mustMake(t, byID(document.RuleSkip), inv)
	assert.Equal(t, []rollout.SkippedServer{{ID: uuid(1, 2), Name: "web-02", Reason: "is busy (status BUILD, task spawning)", Zone: "eu-1b", Status: "BUILD"}}, plan.Skipped)
}

// TestWholeProblemNamesAllStillBeingCreated, for what reads it is no person.
func TestWholeProblemNamesAllStillBeingCreated(t *testing.T) {
	inv := fleet(13)
	for i := range inv.Servers[1:] {
		inv.Servers[i+1].Observation = rollout.Observation{Exists: true, Status: "BUILD"}
	}
	_, err := planner.Make(with(func(s *document.Spec) { s.Select.Expect.Count = new(13) }), inv, madeAt)
	var found planner.Problems
	require.ErrorAs(t, err, &found)
	assert.Contains(t, found[0].Text, "exactly 13 is expected: web-01; left out, as new or still being created: web-02, web-03,")
	assert.Contains(t, found[0].Text, "web-11 and 2 more")
	assert.Contains(t, found[0].Whole, "web-11, web-12, web-13")
}

// unfinished are three servers of which web-02 is still being created, with a tag of its own.
func unfinished(tag string) rollout.Inventory {
	inv := fleet(3)
	inv.Servers[1].Observation = rollout.Observation{Exists: true, Status: "BUILD", TaskState: "spawning"}
	inv.Servers[1].Tags = []string{tag}
	return inv
}

// TestServersThatSomebodyChanges are busy, whatever the cloud shows of a change.
func TestServersThatSomebodyChanges(t *testing.T) {
	inv := fleet(3)
	inv.Servers[1].Observation.Status, inv.Servers[1].HeldBy = "SHUTOFF", "held by rollout march since noon"
	assert.Equal(t, []string{"1 busy server: web-02 (status SHUTOFF, held by rollout march since noon); wait until that is over, or say servers.unfit: skip"}, problems(t, documentOf(), inv))
	plan := mustMake(t, with(func(s *document.Spec) { s.Servers.Unfit = document.RuleSkip }), inv)
	assert.Equal(t, []string{"web-01", "web-03"}, names(plan.Servers))
	assert.Equal(t, "is busy (status SHUTOFF, held by rollout march since noon)", plan.Skipped[0].Reason)

	inv.Servers[1].Observation.ImageID = noble
	assert.Equal(t, []string{"1 busy server: web-02 (status SHUTOFF, held by rollout march since noon); wait until that is over, or say servers.unfit: skip"}, problems(t, documentOf(), inv),
		"it may show the image before it has it")

	inv = fleet(3)
	inv.HoldersUnknown = "no answer"
	assert.Contains(t, mustMake(t, documentOf(), inv).Warnings, "which servers others change at this moment is not known (no answer): when the turn of one comes, the lock on it decides")
}

// TestServersListedTwice, as a list read page by page while it changes may do, count once if they agree.
func TestServersListedTwice(t *testing.T) {
	inv := fleet(3)
	inv.Servers = append(inv.Servers, inv.Servers[1])
	assert.Len(t, mustMake(t, documentOf(), inv).Servers, 3)
	inv.Servers[3].Locked = true
	assert.Equal(t, []string{"the cloud listed 1 server more than once and differently (web-02): it changed meanwhile, plan again"}, problems(t, with(func(s *document.Spec) { s.Servers.Locked = document.RuleSkip }), inv))
}

func TestExpectedCount(t *testing.T) {
	for name, c := range map[string]struct {
		expect document.Expect
		want   string
	}{
		"exact":     {document.Expect{Count: new(12)}, ""},
		"too few":   {document.Expect{Count: new(13)}, "the selection comes to 12 servers and exactly 13 is expected: web-01, web-02"},
		"too many":  {document.Expect{Count: new(11)}, "exactly 11 is expected"},
		"none":      {document.Expect{Count: new(0)}, "exactly 0 is expected"},
		"min":       {document.Expect{Min: new(12)}, ""},
		"below min": {document.Expect{Min: new(13)}, "the selection comes to 12 servers and at least 13 is expected: web-01"},
		"max":       {document.Expect{Max: new(12)}, ""},
		"above max": {document.Expect{Min: new(1), Max: new(11)}, "the selection comes to 12 servers and at most 11 is expected: web-01, web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10 and 2 more"},
		"both":      {document.Expect{Min: new(12), Max: new(12)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inv := fleet(12)
			inv.Servers[4].Observation.ImageID = noble // skipped ones are counted
			doc := with(func(s *document.Spec) { s.Select.Expect = c.expect })
			if c.want == "" {
				assert.Len(t, mustMake(t, doc, inv).Skipped, 1)
				return
			}
			found := problems(t, doc, inv)
			require.Len(t, found, 1)
			assert.Contains(t, found[0], c.want)
		})
	}
}

// TestNothingSelected is refused; nothing left to change is a plan that says so.
func TestNothingSelected(t *testing.T) {
	want := "the selection is empty: no server has the ids, names or tags, or all of them are excluded"
	assert.Equal(t, []string{want}, problems(t, documentOf(), fleet(0)))
	assert.Equal(t, []string{want}, problems(t, with(func(s *document.Spec) { s.Select = document.Selection{} }), fleet(3)))

	assert.Equal(t, []string{want + " or in other zones"}, problems(t, with(func(s *document.Spec) { s.Select.Zones = []string{"eu-9"} }), fleet(3)))

	inv := fleet(3)
	for i := range inv.Servers {
		inv.Servers[i].Observation.ImageID = noble
	}
	plan := mustMake(t, with(func(s *document.Spec) {
		s.Spread = []document.SpreadKey{document.SpreadZone}
		s.Waves = []document.Wave{{Count: new(2)}, {UpTo: new(rollout.Whole)}}
		s.InFlight = document.Limit{Count: new(4), Percent: percent(t, "50%")}
		s.Budget.Tolerate.Percent = percent(t, "10%")
	}), inv)
	assert.Empty(t, plan.Servers)
	assert.NotNil(t, plan.Servers, "a list in JSON")
	assert.Len(t, plan.Skipped, 3)
	assert.Equal(t, []int{0, 0}, ends(plan))
	assert.Equal(t, 1, plan.Caps.InFlight)
	assert.Zero(t, plan.Estimate)
	assert.Equal(t, []string{"nothing to change: 3 servers selected and skipped"}, plan.Warnings)
}

// Edge cases of other engines (AWS SSM, Ansible, Nomad, Kubernetes) that are tested elsewhere or cannot occur here:
//   - percentages of few and of many servers, as such: rollout/percent_test.go
//   - minAvailable, also of a group that is below it already: there is no such field; caps count what a
//     rollout takes out of service, whatever else is out of service
//   - a tag that changes, or a server that begins to match, in mid-run: a plan is frozen and never selects again
//   - the image is there, but its disk was modified: the cloud does not show that; alreadyThere: change is for it
//   - locked when planned and unlocked later: such a server is not in the plan; plan again
//   - snapshot quotas: no snapshots are made
//   - one server in two plans: the lock on each server decides, when they are carried out
