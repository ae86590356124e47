package rollout_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

func sealed(t testing.TB) rollout.Plan {
	t.Helper()
	plan := rollout.Plan{
		Version: rollout.PlanVersion, Name: "web", MadeAt: time.Date(2026, 10, 10, 20, 0, 0, 0, time.UTC),
		Change:  rollout.Change{ImageID: newImage},
		Servers: []rollout.PlannedServer{{ID: "1", Name: "web-01 <&> é", Before: rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}}},
		Waves:   []rollout.Wave{{Name: "all", End: 1}},
		Budget:  rollout.Budget{Count: new(0)},
	}
	require.NoError(t, plan.Seal())
	return plan
}

// TestSealedPlanIsVerified, however often it is sealed, and after it was in an indented file.
func TestSealedPlanIsVerified(t *testing.T) {
	plan := sealed(t)
	assert.Len(t, plan.Digest, 64)
	require.NoError(t, plan.Verify())
	again := plan
	require.NoError(t, again.Seal())
	assert.Equal(t, plan.Digest, again.Digest, "the digest does not count itself")

	text, err := json.MarshalIndent(plan, "", "  ")
	require.NoError(t, err)
	var read rollout.Plan
	require.NoError(t, json.Unmarshal(text, &read))
	assert.NoError(t, read.Verify())
}

func TestEditedPlanIsNotVerified(t *testing.T) {
	for name, edit := range map[string]func(*rollout.Plan){
		"another server":    func(p *rollout.Plan) { p.Servers[0].ID = "2" },
		"another disk":      func(p *rollout.Plan) { p.Servers[0].Before.VolumeID = newDisk },
		"a server more":     func(p *rollout.Plan) { p.Servers = append(p.Servers, p.Servers[0]) },
		"no budget":         func(p *rollout.Plan) { p.Budget.Count = nil },
		"another budget":    func(p *rollout.Plan) { p.Budget.Count = new(1) },
		"an approval less":  func(p *rollout.Plan) { p.Waves[0].Approval = true },
		"another digest":    func(p *rollout.Plan) { p.Digest = "0" + p.Digest[1:] + "0" },
		"no digest":         func(p *rollout.Plan) { p.Digest = "" },
		"a digest of hands": func(p *rollout.Plan) { p.Digest = "deadbeef" },
	} {
		t.Run(name, func(t *testing.T) {
			plan := sealed(t)
			edit(&plan)
			assert.ErrorIs(t, plan.Verify(), rollout.ErrEdited)
		})
	}
}

// TestPlanOfAnotherVersionIsNotVerified, even when its digest fits.
func TestPlanOfAnotherVersionIsNotVerified(t *testing.T) {
	for _, version := range []int{0, rollout.PlanVersion + 1} {
		plan := sealed(t)
		plan.Version = version
		require.NoError(t, plan.Seal())
		err := plan.Verify()
		assert.ErrorContains(t, err, "and this program carries out version")
		assert.NotErrorIs(t, err, rollout.ErrEdited)
	}
}

// TestPlanThatNoPlannerMadeIsNotVerified, even when its digest fits: who follows its waves would reach past the
// servers, never reach some, or change one twice.
func TestPlanThatNoPlannerMadeIsNotVerified(t *testing.T) {
	for name, edit := range map[string]func(*rollout.Plan){
		"no waves":          func(p *rollout.Plan) { p.Waves = nil },
		"a wave beyond":     func(p *rollout.Plan) { p.Waves[0].End = 2 },
		"beyond and back":   func(p *rollout.Plan) { p.Waves = []rollout.Wave{{Name: "two", End: 2}, {Name: "one", End: 1}} },
		"a wave of none":    func(p *rollout.Plan) { p.Waves[0].End = 0 },
		"a wave before all": func(p *rollout.Plan) { p.Waves = []rollout.Wave{{Name: "none", End: -1}, {Name: "all", End: 1}} },
		"a wave before":     func(p *rollout.Plan) { p.Waves = append(p.Waves, rollout.Wave{Name: "less"}) },
		"two waves, a name": func(p *rollout.Plan) { p.Waves = append(p.Waves, p.Waves[0]) },
		"a server twice":    func(p *rollout.Plan) { p.Servers = append(p.Servers, p.Servers[0]); p.Waves[0].End = 2 },
	} {
		plan := sealed(t)
		edit(&plan)
		require.NoError(t, plan.Seal())
		assert.ErrorContains(t, plan.Verify(), "no planner made this plan", name)
	}
}
