package planner_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

// TestInFlight: shares round down, to at least 1, the smaller of two counts, and never more than there are.
func TestInFlight(t *testing.T) {
	for _, c := range []struct {
		n       int
		count   *int
		percent string
		want    int
	}{
		{24, nil, "", 1}, {24, new(5), "", 5}, {24, new(25), "", 24}, {24, nil, "100%", 24},
		{1, nil, "1%", 1}, {1, nil, "50%", 1}, {1, nil, "99%", 1}, {2, nil, "60%", 1}, {3, nil, "25%", 1}, {3, nil, "50%", 1},
		{9, nil, "10%", 1}, {10, nil, "33%", 3}, {6, nil, "20%", 1}, {10, nil, "99%", 9},
		{100, nil, "29%", 29}, {100, nil, "57%", 57}, {100, nil, "58%", 58}, {90, nil, "70%", 63},
		{1000, nil, "9.99%", 99}, {1001, nil, "9.99%", 99}, {24, nil, "0%", 1},
		{24, new(5), "10%", 2}, {24, new(2), "50%", 2}, {24, new(12), "50%", 12},
		{600, nil, "100%", 500}, {600, new(501), "", 500},
	} {
		doc := with(func(s *document.Spec) {
			s.InFlight.Count = c.count
			if c.percent != "" {
				s.InFlight.Percent = percent(t, c.percent)
			}
		})
		assert.Equal(t, c.want, mustMake(t, doc, fleet(c.n)).Caps.InFlight, "%+v", c)
	}
}

func TestCapsByZoneAndGroup(t *testing.T) {
	inv := fleet(11) // zones of 4, 4 and 3, groups of 4, 4 and 3
	inv.Servers[10].Tags = nil
	inv.Servers[9].Tags = []string{"shard"}
	inv.Servers[8].Observation.ImageID = noble // skipped: counted nowhere
	plan := mustMake(t, with(func(s *document.Spec) {
		s.InFlight.Count = new(6)
		s.PerZone = document.Limit{Percent: percent(t, "50%"), Count: new(2)}
		s.PerGroup = document.Group{Tag: "shard", Percent: percent(t, "30%")}
	}), inv)
	assert.Equal(t, []rollout.GroupCap{{Name: "eu-1a", Servers: 4, Cap: 2}, {Name: "eu-1b", Servers: 4, Cap: 2}, {Name: "eu-1c", Servers: 2, Cap: 1}}, plan.Caps.Zones)
	assert.Equal(t, []rollout.GroupCap{{Name: "", Servers: 2, Cap: 1}, {Name: "1", Servers: 4, Cap: 1}, {Name: "2", Servers: 4, Cap: 1}}, plan.Caps.Groups)
	assert.Contains(t, plan.Warnings, "2 servers without a value of the tag shard, counted as one group together: web-10, web-11")
	for _, s := range plan.Servers {
		if s.Name == "web-05" {
			assert.Equal(t, "2", s.Group)
		}
	}
}

// TestNoCapsWithoutBeingAskedFor: servers belong to no group then.
func TestNoCapsWithoutBeingAskedFor(t *testing.T) {
	plan := mustMake(t, documentOf(), fleet(11))
	assert.Empty(t, plan.Caps.Zones)
	assert.Empty(t, plan.Caps.Groups)
	assert.Empty(t, plan.Servers[0].Group)
}

// TestGroupOfOne has a cap of one: there is no smaller.
func TestGroupOfOne(t *testing.T) {
	inv := fleet(5)
	plan := mustMake(t, with(func(s *document.Spec) { s.PerGroup = document.Group{Tag: "shard", Count: new(1)} }), inv)
	assert.Equal(t, []rollout.GroupCap{{Name: "1", Servers: 4, Cap: 1}, {Name: "2", Servers: 1, Cap: 1}}, plan.Caps.Groups)
	assert.Empty(t, plan.Warnings, "a group of one cannot be spared")
}

func TestServerGroups(t *testing.T) {
	inv := fleet(4)
	inv.Servers[0].Groups = []string{"g2", "g1"}
	inv.Servers[1].Groups = []string{"g2"}
	inv.Servers[2].Groups = []string{"g2"}
	plan := mustMake(t, with(func(s *document.Spec) {
		s.PerGroup = document.Group{ServerGroup: true, Count: new(2)}
		s.InFlight.Count = new(2)
	}), inv)
	assert.Equal(t, []rollout.GroupCap{{Name: "", Servers: 1, Cap: 1}, {Name: "g1", Servers: 1, Cap: 1}, {Name: "g2", Servers: 2, Cap: 2}}, plan.Caps.Groups)
	assert.Contains(t, plan.Warnings, "1 server without a server group, counted as one group together: web-04")
	assert.Contains(t, plan.Warnings, "1 server in several server groups, counted in the first by id only: web-01")
	assert.Contains(t, plan.Warnings, "the cap by group lets every planned server of 1 group be out of service at once: g2")
}

// TestBudgetByGroupNeedsTheGroups, also without a cap on them: then the cap holds nothing back.
func TestBudgetByGroupNeedsTheGroups(t *testing.T) {
	plan := mustMake(t, with(func(s *document.Spec) { s.PerGroup.Tag, s.Budget.PerGroup = "shard", new(1) }), fleet(6))
	assert.Equal(t, []rollout.GroupCap{{Name: "1", Servers: 4, Cap: 4}, {Name: "2", Servers: 2, Cap: 2}}, plan.Caps.Groups)
	assert.Equal(t, 1, *plan.Budget.PerGroup)
}

func TestServersWithoutAZone(t *testing.T) {
	inv := fleet(3)
	inv.Servers[2].Zone = ""
	plan := mustMake(t, with(func(s *document.Spec) { s.PerZone.Count = new(1) }), inv)
	assert.Equal(t, []rollout.GroupCap{{Name: "", Servers: 1, Cap: 1}, {Name: "eu-1a", Servers: 1, Cap: 1}, {Name: "eu-1b", Servers: 1, Cap: 1}}, plan.Caps.Zones)
	assert.Contains(t, plan.Warnings, "1 server without a zone, counted as a zone of their own: web-03")
}

func TestBudget(t *testing.T) {
	for _, c := range []struct {
		n     int
		spec  document.Budget
		want  rollout.Budget
		warns string
	}{
		{24, document.Budget{}, rollout.Budget{Count: new(0), OnBreach: rollout.BreachPause}, ""},
		{24, document.Budget{Tolerate: document.Limit{Count: new(0)}, OnBreach: rollout.BreachAbort}, rollout.Budget{Count: new(0), OnBreach: rollout.BreachAbort}, ""},
		{24, document.Budget{Tolerate: document.Limit{Percent: percent(t, "10%")}}, rollout.Budget{Share: new(2), OnBreach: rollout.BreachPause}, ""},
		{100, document.Budget{Tolerate: document.Limit{Percent: percent(t, "29%")}}, rollout.Budget{Share: new(29), OnBreach: rollout.BreachPause}, "29 failures tolerated and 4 in flight"},
		{9, document.Budget{Tolerate: document.Limit{Percent: percent(t, "10%")}}, rollout.Budget{Share: new(0), OnBreach: rollout.BreachPause}, "tolerate 10% of 9 servers is none: the first failure counts as a breach"},
		{9, document.Budget{Tolerate: document.Limit{Percent: percent(t, "0%")}}, rollout.Budget{Share: new(0), OnBreach: rollout.BreachPause}, ""},
		{
			24, document.Budget{Tolerate: document.Limit{Count: new(3), Percent: percent(t, "10%")}, MinSample: 10, PerGroup: new(1), Admission: document.AdmissionStrict, SlowStart: true},
			rollout.Budget{Count: new(3), Share: new(2), MinSample: 10, PerGroup: new(1), OnBreach: rollout.BreachPause, Strict: true, SlowStart: true},
			"strict admission with 2 failures tolerated changes 3 at a time, fewer than the 4 in flight",
		},
		{24, document.Budget{Tolerate: document.Limit{Count: new(4)}}, rollout.Budget{Count: new(4), OnBreach: rollout.BreachPause}, "4 failures tolerated and 4 in flight: failed servers that are out of service can hold every slot"},
		{24, document.Budget{Tolerate: document.Limit{Count: new(24)}}, rollout.Budget{Count: new(24), OnBreach: rollout.BreachPause}, "24 failures tolerated among 24 servers: there is no budget, every server may fail"},
		{24, document.Budget{Tolerate: document.Limit{Percent: percent(t, "10%")}, MinSample: 25}, rollout.Budget{Share: new(2), MinSample: 25, OnBreach: rollout.BreachPause}, "minSample is 25 of 24 servers, so the percentage of failures never counts"},
		{24, document.Budget{Tolerate: document.Limit{Percent: percent(t, "10%")}, MinSample: 4}, rollout.Budget{Share: new(2), MinSample: 4, OnBreach: rollout.BreachPause}, "4 failures tolerated and 4 in flight"},
	} {
		doc := with(func(s *document.Spec) {
			s.Waves = []document.Wave{{Count: new(1)}, {UpTo: new(rollout.Whole)}}
			s.Budget, s.InFlight.Count, s.PerGroup.Tag = c.spec, new(4), "shard"
		})
		plan := mustMake(t, doc, fleet(c.n))
		assert.Equal(t, c.want, plan.Budget)
		if c.warns == "" {
			assert.Empty(t, plan.Warnings, "%+v", c.spec)
		} else {
			assert.Contains(t, fmt.Sprint(plan.Warnings), c.warns)
		}
	}
}

// TestWarnings that are about the document as a whole.
func TestWarnings(t *testing.T) {
	inv := fleet(12)
	inv.Images[0].Status = "deleted"
	inv.Servers[0].Observation.ImageID = noble2
	plan := mustMake(t, with(func(s *document.Spec) {
		s.API, s.InFlight.Count, s.Stop.Platform = "", new(12), true
		s.Budget.OnBreach, s.Login.PasswordFrom = rollout.BreachRollback, "env:REIMAGE_SECRET_PW"
		s.Deadline, s.Soak = document.Duration(5*time.Minute), document.Duration(time.Minute)
	}), inv)
	assert.Equal(t, []string{
		"there is one wave of all 12 servers: a small first wave would show a bad image on a few",
		"all 12 servers may be out of service at once",
		"the rollout is estimated to take 7m0s and pauses after 5m0s",
		"rolling back makes new disks from the previous images with the login and user data of this rollout, not with those from before",
		"1 server cannot be rolled back (web-01): the previous image is gone",
		"11 servers cannot be rolled back (web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10, web-11 and 1 more): image ubuntu-22.04 (" + jammy + ") has status deleted and must be active",
		"api v2: nothing says that image ubuntu-24.04 lacks Cloud-Init, which is no proof that it has it: the first wave is; api: v1 is for images without",
		"the present image of 1 server is gone, so firmware and architecture were not compared: web-01",
		"stop.platform gives up a fence against a change that arrives twice: docs/never-twice.md",
	}, plan.Warnings)
	assert.Empty(t, mustMake(t, documentOf(), fleet(10)).Warnings, "a careful document of ten servers")
	plan = mustMake(t, with(func(s *document.Spec) { s.Budget.OnBreach = rollout.BreachRollback }), fleet(3))
	assert.Equal(t, []string{"rolling back makes new disks from the previous images: it brings back the image, not what was on the lost disks"}, plan.Warnings)
}

// TestRollbackThatWouldBeRefused is said before anybody counts on it, with the reason, once for each image.
func TestRollbackThatWouldBeRefused(t *testing.T) {
	const windows, otherKey = "image windows-2022 (" + noble2 + ") is a Windows image", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	const noWindows, noPassword = "the API of edition huaweicloud changes no server to Windows (docs/editions.md)", "which keeps no password: nobody could log in; give a password or a key pair"
	huaweicloud := rollout.Edition{Name: "huaweicloud", NoWindows: true}
	key := func(s *document.Spec) { s.Login.KeyPair = "k" }
	for name, c := range map[string]struct {
		previous rollout.InventoryImage
		spec     func(*document.Spec)
		edition  rollout.Edition
		want     string // after the servers, "" for no such warning
	}{
		"to Windows where no server gets it": {rollout.InventoryImage{OSType: "Windows"}, key, huaweicloud, windows + ": " + noWindows},
		"to Windows where servers get it":    {rollout.InventoryImage{OSType: "Windows"}, key, rollout.Edition{}, ""},
		"to Windows without a login":         {rollout.InventoryImage{OSType: "Windows"}, nil, rollout.Edition{}, windows + ", " + noPassword},
		"to Windows for both reasons":        {rollout.InventoryImage{OSType: "Windows"}, nil, huaweicloud, windows + ": " + noWindows + "; " + windows + ", " + noPassword},
		"to Linux":                           {rollout.InventoryImage{OSType: "Linux"}, nil, huaweicloud, ""},
		"to an image with another key": {
			rollout.InventoryImage{Encrypted: true, EncryptionKeyID: noble}, func(s *document.Spec) { s.Disk.EncryptWith = otherKey }, rollout.Edition{},
			"image windows-2022 (" + noble2 + ") is encrypted with key " + noble + ", and so are its disks: key " + otherKey + " cannot be theirs; name none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.previous.ID, c.previous.Name, c.previous.Status = noble2, "windows-2022", rollout.ImageActive
			inv := fleet(5)
			inv.Images, inv.Edition = append(inv.Images, c.previous), c.edition
			inv.Servers[1].Observation.ImageID, inv.Servers[3].Observation.ImageID = noble2, noble2
			doc := with(func(s *document.Spec) { s.Budget.OnBreach = rollout.BreachRollback })
			if c.spec != nil {
				c.spec(&doc.Spec)
			}
			warnings := mustMake(t, doc, inv).Warnings[1:] // the first one is about every rollback
			if c.want == "" {
				assert.Empty(t, warnings)
			} else {
				assert.Equal(t, []string{"2 servers cannot be rolled back (web-02, web-04): " + c.want}, warnings)
			}
			doc.Spec.Budget.OnBreach = rollout.BreachPause
			assert.Empty(t, mustMake(t, doc, inv).Warnings, "nobody asks for it")
		})
	}
}

// TestFirstExample: the rollout that the README shows is one that nobody has to be warned of.
func TestFirstExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(readme), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	doc, err := spec.Parse("README.md", []byte(example))
	require.NoError(t, err)
	for _, n := range []int{20, 25, 30} {
		inv := fleet(n + 1)
		inv.Images[1].Name, inv.Servers[n].Tags = "base-2026-02", []string{"role=web", "noreimage"}
		plan := mustMake(t, doc, inv)
		assert.Len(t, plan.Servers, n)
		assert.Empty(t, plan.Warnings)
	}
}

// TestEstimate plays the schedule through with 6 minutes for each server.
func TestEstimate(t *testing.T) {
	const server = 6 * time.Minute
	for name, c := range map[string]struct {
		n    int
		edit func(*document.Spec)
		want time.Duration
	}{
		"one by one":       {24, func(*document.Spec) {}, 24 * server},
		"five at a time":   {24, func(s *document.Spec) { s.InFlight.Count = new(5) }, 5 * server},
		"all at once":      {24, func(s *document.Spec) { s.InFlight.Count = new(24) }, server},
		"soak holds slots": {4, func(s *document.Spec) { s.InFlight.Count = new(2); s.Soak = document.Duration(4 * time.Minute) }, 2 * 10 * time.Minute},
		"waves are barriers, empty ones nothing": {5, func(s *document.Spec) {
			s.InFlight.Count = new(4)
			s.Waves = []document.Wave{{Count: new(1), Bake: document.Duration(time.Hour)}, {Count: new(0), Bake: document.Duration(time.Hour)}, {UpTo: new(rollout.Whole), Bake: document.Duration(time.Minute)}}
		}, server + time.Hour + server + time.Minute},
		"zones": {9, func(s *document.Spec) { s.InFlight.Count = new(9); s.PerZone.Count = new(1) }, 3 * server},
		"groups": {9, func(s *document.Spec) {
			s.InFlight.Count = new(9)
			s.PerGroup = document.Group{Tag: "shard", Count: new(1)}
		}, 4 * server},
		"a blocked one lets pass": {8, func(s *document.Spec) {
			s.InFlight.Count = new(2)
			s.PerGroup = document.Group{Tag: "shard", Count: new(1)}
			s.Order = document.OrderName
		}, 4 * server},
		"slow start: 1, 2, 4, 8": {15, func(s *document.Spec) { s.InFlight.Count = new(15); s.Budget.SlowStart = true }, 4 * server},
		"slow start up to 3":     {12, func(s *document.Spec) { s.InFlight.Count = new(3); s.Budget.SlowStart = true }, 5 * server},
		"strict": {12, func(s *document.Spec) {
			s.InFlight.Count = new(12)
			s.Budget.Admission = document.AdmissionStrict
			s.Budget.Tolerate.Count = new(2)
		}, 4 * server},
		"strict lets go of the budget before the soak": {3, func(s *document.Spec) {
			s.InFlight.Count, s.Soak, s.Budget.Admission = new(3), document.Duration(time.Hour), document.AdmissionStrict
		}, 3*server + time.Hour},
		"strict by group": {8, func(s *document.Spec) {
			s.InFlight.Count, s.Budget.Admission, s.Budget.Tolerate.Count = new(8), document.AdmissionStrict, new(8)
			s.PerGroup.Tag, s.Budget.PerGroup = "shard", new(1)
		}, 2 * server},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, mustMake(t, with(c.edit), fleet(c.n)).Estimate)
		})
	}
}

// TestTooManyServers: a plan that no workflow could carry is no plan, and a cap that Temporal does not stand is lowered.
func TestTooManyServers(t *testing.T) {
	assert.Contains(t, problems(t, documentOf(), fleet(rollout.MaxServers+1)),
		"15001 servers are more than the 15000 of one rollout: select fewer, and make several rollouts of them")
	plan := mustMake(t, with(func(s *document.Spec) { s.InFlight.Count = new(600) }), fleet(600))
	assert.Contains(t, plan.Warnings, "600 servers in flight is more than one rollout can have: the cap is 500")
}
