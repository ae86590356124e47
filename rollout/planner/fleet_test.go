package planner_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// The images of the tests.
const (
	jammy  = "0a7c1e52-58c4-4a2b-9d0e-3f6b7c8d9e0f" // what the fleets run
	noble  = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2" // what they get
	noble2 = "99999999-0000-4000-8000-000000000000"
)

var madeAt = time.Date(2026, 10, 10, 20, 0, 0, 0, time.UTC)

// uuid is an id that is the same each time.
func uuid(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

func images() []rollout.InventoryImage {
	return []rollout.InventoryImage{
		{ID: jammy, Name: "ubuntu-22.04", Status: "active", OSType: "Linux", Type: "gold", VirtEnv: "FusionCompute", MinDiskGB: 10},
		{ID: noble, Name: "ubuntu-24.04", Status: "active", OSType: "Linux", Type: "private", VirtEnv: "FusionCompute", MinDiskGB: 20, MinRAMMB: 1024},
	}
}

// fleet are n running servers web-01, web-02, ... in three zones, with groups of four.
func fleet(n int) rollout.Inventory {
	inv := rollout.Inventory{Project: "0605767e5780d5762f4cc01a6b2a2d4d", Images: images()}
	for i := range n {
		inv.Servers = append(inv.Servers, rollout.InventoryServer{
			ID: uuid(1, i+1), Name: fmt.Sprintf("web-%02d", i+1),
			Observation: rollout.Observation{
				Exists: true, Status: rollout.StatusActive,
				Fingerprint: rollout.Fingerprint{ImageID: jammy, VolumeID: uuid(2, i+1)},
			},
			Zone: "eu-1" + string(rune('a'+i%3)), Tags: []string{"role=web", fmt.Sprintf("shard=%d", i/4+1)},
			RAMMB: 4096, DiskGB: 40, DataDisks: i % 2,
		})
	}
	return inv
}

// document selects every server named web-* and changes one after the other.
func documentOf() document.Rollout {
	return document.Rollout{
		APIVersion: document.APIVersion, Kind: document.Kind,
		Metadata: document.Metadata{Name: "web-noble"},
		Spec:     document.Spec{Select: document.Selection{Names: []string{"web-*"}}, Image: document.Image{ID: noble}, API: "v2"},
	}
}

// with is the document after a change.
func with(edit func(*document.Spec)) document.Rollout {
	doc := documentOf()
	edit(&doc.Spec)
	return doc
}

func percent(t testing.TB, text string) *rollout.Percent {
	t.Helper()
	p, err := rollout.ParsePercent(text)
	require.NoError(t, err)
	return &p
}

func mustMake(t testing.TB, doc document.Rollout, inv rollout.Inventory) rollout.Plan {
	t.Helper()
	plan, err := planner.Make(doc, inv, madeAt)
	require.NoError(t, err)
	require.NoError(t, plan.Verify())
	return plan
}

// problems are what Make says against a plan.
func problems(t testing.TB, doc document.Rollout, inv rollout.Inventory) []string {
	t.Helper()
	plan, err := planner.Make(doc, inv, madeAt)
	var found planner.Problems
	require.ErrorAs(t, err, &found)
	require.Error(t, plan.Verify(), "no plan together with problems")
	var texts []string
	for _, problem := range found {
		texts = append(texts, problem.Text)
	}
	return texts
}

func names(servers []rollout.PlannedServer) []string {
	got := []string{}
	for _, s := range servers {
		got = append(got, s.Name)
	}
	return got
}

func ends(plan rollout.Plan) []int {
	var got []int
	for _, w := range plan.Waves {
		got = append(got, w.End)
	}
	return got
}
