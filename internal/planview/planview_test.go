package planview_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/planview"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

const (
	jammy = "0a7c1e52-58c4-4a2b-9d0e-3f6b7c8d9e0f"
	noble = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
)

func inventory(n int) rollout.Inventory {
	inv := rollout.Inventory{Project: "0605767e5780d5762f4cc01a6b2a2d4d", Profile: "web", Edition: rollout.Edition{Name: "otc"}, Images: []rollout.InventoryImage{
		{ID: jammy, Name: "ubuntu-22.04", Status: "active"}, {ID: noble, Name: "ubuntu-24.04", Status: "active"},
	}}
	for i := range n {
		inv.Servers = append(inv.Servers, rollout.InventoryServer{
			ID: fmt.Sprintf("00000001-0000-4000-8000-%012d", i+1), Name: fmt.Sprintf("web-%02d", i+1),
			Observation: rollout.Observation{Exists: true, Status: rollout.StatusActive, Fingerprint: rollout.Fingerprint{
				ImageID: jammy, VolumeID: fmt.Sprintf("00000002-0000-4000-8000-%012d", i+1),
			}},
			Zone: "eu-1" + string(rune('a'+i%3)), Tags: []string{fmt.Sprintf("shard=%d", i/8+1)}, DiskGB: 40, DataDisks: i % 3,
		})
	}
	return inv
}

func documentOf(edit func(*document.Spec)) document.Rollout {
	doc := document.Rollout{Metadata: document.Metadata{Name: "web-noble"}, Spec: document.Spec{
		Select: document.Selection{Names: []string{"*"}}, Image: document.Image{ID: noble}, API: "v2",
	}}
	edit(&doc.Spec)
	return doc
}

func plan(t *testing.T, doc document.Rollout, inv rollout.Inventory) rollout.Plan {
	t.Helper()
	made, err := planner.Make(doc, inv, time.Date(2026, 10, 10, 20, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	return made
}

func printed(t *testing.T, p rollout.Plan) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, planview.Print(&out, p))
	return out.String()
}

// TestPlansAsTheyAreShown compares with testdata. REIMAGE_UPDATE=1 writes it anew.
func TestPlansAsTheyAreShown(t *testing.T) {
	fleet := func() rollout.Plan {
		inv := inventory(26)
		inv.Servers[3].Observation.ImageID = noble
		inv.Servers[7].Locked, inv.Servers[7].LockedBy = true, "ORDER"
		inv.Servers[8].Observation.Status = rollout.StatusShutoff
		inv.Servers[9].Observation.ImageID, inv.Servers[9].DiskGB = "99999999-0000-4000-8000-000000000000", 0
		doc := documentOf(func(s *document.Spec) {
			s.API, s.Login = "auto", document.Login{KeyPair: "fleet-key"}
			s.Servers.Locked = document.RuleSkip
			s.Waves = []document.Wave{
				{Name: "canary", Count: new(2), Bake: document.Duration(30 * time.Minute), Approval: true},
				{Name: "some", UpTo: new(rollout.Percent(2500)), Bake: document.Duration(10 * time.Minute)},
				{Name: "rest", UpTo: new(rollout.Whole)},
			}
			s.InFlight = document.Limit{Count: new(6), Percent: new(rollout.Percent(2500))}
			s.PerZone, s.PerGroup = document.Limit{Count: new(2)}, document.Group{Tag: "shard", Percent: new(rollout.Percent(2500))}
			s.Budget = document.Budget{Tolerate: document.Limit{Count: new(3), Percent: new(rollout.Percent(1000))}, MinSample: 5, PerGroup: new(1), SlowStart: true}
			s.Soak, s.Deadline = document.Duration(2*time.Minute), document.Duration(12*time.Hour)
		})
		doc.Metadata.Reason = "CVE-2026-1234"
		return plan(t, doc, inv)
	}
	for name, made := range map[string]rollout.Plan{
		"fleet":      fleet(),
		"one-server": plan(t, documentOf(func(*document.Spec) {}), inventory(1)),
		"one-of-three-is-down": func() rollout.Plan {
			inv := inventory(4)
			inv.Servers[2].Observation.Status = rollout.StatusShutoff
			inv.Servers[3].Observation.Status = rollout.StatusError
			return plan(t, documentOf(func(s *document.Spec) {
				s.Select.Names = []string{"web-01", "web-02", "web-03"}
				s.InFlight.Count, s.PerGroup = new(3), document.Group{Tag: "shard", Count: new(1)}
			}), inv)
		}(),
		"selected-waves": func() rollout.Plan {
			return plan(t, documentOf(func(s *document.Spec) {
				s.Spread = []document.SpreadKey{document.SpreadZone, "tag:shard"}
				s.Waves = []document.Wave{
					{Name: "canary", Select: &document.WaveSelection{Tags: []string{"shard=1"}, Zones: []string{"eu-1a", "eu-1b"}}, Count: new(2), Bake: document.Duration(time.Hour)},
					{Name: "db", Select: &document.WaveSelection{Names: []string{"db-*"}}}, {Name: "rest"},
				}
			}), inventory(9))
		}(),
		"nothing-to-change": func() rollout.Plan {
			inv := inventory(2)
			inv.Servers[0].Observation.ImageID, inv.Servers[1].Observation.ImageID = noble, noble
			return plan(t, documentOf(func(*document.Spec) {}), inv)
		}(),
		"every-option": func() rollout.Plan {
			inv := inventory(4)
			inv.Servers[1].Name, inv.Servers[2].Name = "web-01", ""
			return plan(t, documentOf(func(s *document.Spec) {
				s.API, s.Login, s.Disk.EncryptWith, s.BYOL, s.AutoPay = "v1", document.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}, "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", true, new(true)
				s.Stop, s.Power, s.Servers.AlreadyThere = document.Stop{AllowHard: true, Platform: true}, rollout.PowerOff, document.RuleChange
				s.Waves = []document.Wave{{Name: "canary", Count: new(1)}, {Name: "none", UpTo: new(rollout.Percent(100))}, {Name: "rest", Count: new(3)}}
				s.Budget = document.Budget{Tolerate: document.Limit{Percent: new(rollout.Percent(2500))}, MinSample: 2, OnBreach: rollout.BreachRollback, Admission: document.AdmissionStrict}
				s.Busy.Wait, s.ServerDeadline = new(document.Duration(0)), document.Duration(90*time.Minute)
			}), inv)
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", name+".txt")
			got := printed(t, made)
			if os.Getenv("REIMAGE_UPDATE") == "1" {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "REIMAGE_UPDATE=1 writes it")
			assert.Equal(t, string(want), got, "REIMAGE_UPDATE=1 writes it anew")
		})
	}
}

// TestLongPlansAreShownWhole: every server has its line, and every disk that is lost its id.
func TestLongPlansAreShownWhole(t *testing.T) {
	inv := inventory(2000)
	made := plan(t, documentOf(func(*document.Spec) {}), inv)
	text := printed(t, made)
	assert.Equal(t, 2000, strings.Count(text, planview.Verb))
	for _, s := range made.Servers {
		require.Contains(t, text, "loses "+s.Before.VolumeID)
	}
	assert.Contains(t, text, "\n2000 to re-image, 0 skipped; 2000 system disks will be lost, 1999 data disks stay\n")
}

// TestTextOfOthersStaysInItsLine: names are chosen by whoever made the server, and whatever else stands in a plan came
// from a cloud or a file.
func TestTextOfOthersStaysInItsLine(t *testing.T) {
	inv := inventory(2)
	inv.Servers[0].Name = "web\n\x1b[2K\tdb\u202e"
	made := plan(t, documentOf(func(*document.Spec) {}), inv)
	made.Reason = "a\nb"
	text := printed(t, made)
	assert.Contains(t, text, "  web [2K db  ")
	assert.Contains(t, text, "web-noble: a b\n")
	assert.NotContains(t, text, "\x1b")

	const hostile = "\x1b[2Jx\n\u202ey\v\f"
	lines := strings.Count(text, "\n")
	for _, field := range []*string{
		&made.Name, &made.Project, &made.Digest, &made.ImageName, &made.Change.ImageID, (*string)(&made.Change.API), &made.Change.Login.KeyPair,
		(*string)(&made.Change.UserDataFrom), &made.Waves[0].Name, &made.Servers[0].ID, &made.Servers[0].Name, &made.Servers[0].Zone,
		&made.Servers[0].Status, &made.Servers[0].Before.VolumeID, &made.Servers[0].Before.ImageID, &made.Servers[0].ImageName,
	} {
		*field = hostile
	}
	text = printed(t, made)
	assert.Equal(t, lines+1, strings.Count(text, "\n"), "its status has a line of its own now: it is down")
	for _, steers := range []string{"\x1b", "\u202e", "\v", "\f"} {
		assert.NotContains(t, text, steers)
	}
}

// TestPrintTellsOfAFullDisk instead of showing half a plan as a whole one.
func TestPrintTellsOfAFullDisk(t *testing.T) {
	assert.ErrorIs(t, planview.Print(full{}, plan(t, documentOf(func(*document.Spec) {}), inventory(1))), errFull)
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
