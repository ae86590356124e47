package planner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

func TestImageIsPinned(t *testing.T) {
	for name, image := range map[string]spec.Image{
		"by id": {ID: noble}, "by an id in capitals": {ID: "7D3C9F60-3F0B-4A57-8A1D-0F4BE2F1C9D2"}, "by name": {Name: "ubuntu-24.04"},
	} {
		inv := fleet(1)
		inv.Images = append(inv.Images, rollout.InventoryImage{ID: noble2, Name: "ubuntu-24.04", Status: "queued"}, inv.Images[1])
		plan := mustMake(t, with(func(s *spec.Spec) { s.Image = image }), inv)
		assert.Equal(t, noble, plan.Change.ImageID, name)
		assert.Equal(t, "ubuntu-24.04", plan.ImageName, name)
		assert.Equal(t, "ubuntu-22.04", plan.Servers[0].ImageName, name)
	}
}

func TestImageThatCannotBeChosen(t *testing.T) {
	for want, c := range map[string]struct {
		image spec.Image
		more  []rollout.InventoryImage
	}{
		"image " + noble2 + " does not exist in this region or is not shared with this project": {spec.Image{ID: noble2}, nil},
		"no image is named \"ubuntu-26.04\" in this region: check the name, or give the id":     {spec.Image{Name: "ubuntu-26.04"}, nil},
		"no image named \"old\" is active: there is " + noble2 + " (private, deleted)":          {spec.Image{Name: "old"}, []rollout.InventoryImage{{ID: noble2, Name: "old", Type: "private", Status: "deleted"}}},
		"2 active images are named \"ubuntu-24.04\": give the id of one of " + noble + " (gold, active), " + noble2 + " (private, active)": {
			spec.Image{Name: "ubuntu-24.04"}, []rollout.InventoryImage{{ID: noble2, Name: "ubuntu-24.04", Type: "private", Status: "active"}},
		},
	} {
		inv := fleet(2)
		inv.Images = append(inv.Images, c.more...)
		assert.Equal(t, []string{want}, problems(t, with(func(s *spec.Spec) { s.Image = c.image }), inv))
	}
	inv := fleet(2)
	inv.Images[1].OSType = "Windows"
	doc := with(func(s *spec.Spec) { s.API, s.Login.KeyPair = "v1", "k" })
	assert.Equal(t, []string{"image ubuntu-24.04 is a Windows image without Cloudbase-Init (API v1): it takes a password, not a key pair"}, problems(t, doc, inv))
}

// TestChangeOfThePlan is what the document asks for.
func TestChangeOfThePlan(t *testing.T) {
	plan := mustMake(t, document(), fleet(1))
	assert.Equal(t, rollout.Change{ImageID: noble, API: rollout.APIv2, Power: rollout.PowerAsBefore, Deadline: time.Hour}, plan.Change)

	plan = mustMake(t, with(func(s *spec.Spec) {
		s.API, s.BYOL, s.AutoPay, s.Power = "v1", true, new(false), rollout.PowerOff
		s.Login = spec.Login{KeyPair: "fleet-key", KeyOwner: "me"}
		s.Disk.EncryptWith = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
		s.Stop = spec.Stop{AllowHard: true, Platform: true}
		s.Servers.AlreadyThere = spec.RuleChange
		s.ServerDeadline = spec.Duration(90 * time.Minute)
	}), fleet(1))
	assert.Equal(t, rollout.Change{
		ImageID: noble, API: rollout.APIv1, BYOL: true, AutoPay: new(false), Power: rollout.PowerOff,
		Login: rollout.Login{KeyPair: "fleet-key", UserID: "me"}, Encrypted: new(true), EncryptionKeyID: "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
		AllowHardStop: true, WithStopServer: true, EvenIfSameImage: true, Deadline: 90 * time.Minute,
	}, plan.Change)

	plan = mustMake(t, with(func(s *spec.Spec) { s.UserDataFrom = "file:init.yaml"; s.API = "auto" }), fleet(1))
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, rollout.SecretRef("file:init.yaml"), plan.Change.UserDataFrom)
	plan = mustMake(t, with(func(s *spec.Spec) { s.Login.PasswordFrom = "env:PW"; s.API = "" }), fleet(1))
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, rollout.SecretRef("env:PW"), plan.Change.Login.PasswordFrom)
}

func TestHeadAndTimesOfThePlan(t *testing.T) {
	plan := mustMake(t, document(), fleet(1))
	assert.Equal(t, 30*time.Minute, plan.BusyWait, "by default")
	doc := with(func(s *spec.Spec) {
		s.Busy.Wait, s.Soak, s.Deadline = new(spec.Duration(0)), spec.Duration(time.Minute), spec.Duration(24*time.Hour)
	})
	doc.Metadata.Reason = "CVE-2026-1"
	plan = mustMake(t, doc, fleet(1))
	assert.Equal(t, []any{rollout.PlanVersion, "web-noble", "CVE-2026-1", fleet(0).Project}, []any{plan.Version, plan.Name, plan.Reason, plan.Project})
	assert.Zero(t, plan.BusyWait, "skipped at once")
	assert.Equal(t, []time.Duration{time.Minute, 24 * time.Hour}, []time.Duration{plan.Soak, plan.Deadline})
}
