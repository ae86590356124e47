package planner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

func TestImageIsPinned(t *testing.T) {
	for name, image := range map[string]document.Image{
		"by id": {ID: noble}, "by an id in capitals": {ID: "7D3C9F60-3F0B-4A57-8A1D-0F4BE2F1C9D2"}, "by name": {Name: "ubuntu-24.04"},
	} {
		inv := fleet(1)
		inv.Images = append(inv.Images, rollout.InventoryImage{ID: noble2, Name: "ubuntu-24.04", Status: "queued"}, inv.Images[1])
		plan := mustMake(t, with(func(s *document.Spec) { s.Image = image }), inv)
		assert.Equal(t, noble, plan.Change.ImageID, name)
		assert.Equal(t, "ubuntu-24.04", plan.ImageName, name)
		assert.Equal(t, "ubuntu-22.04", plan.Servers[0].ImageName, name)
	}
}

func TestImageThatCannotBeChosen(t *testing.T) {
	for want, c := range map[string]struct {
		image document.Image
		more  []rollout.InventoryImage
	}{
		"image " + noble2 + " does not exist in this region or is not shared with this project": {document.Image{ID: noble2}, nil},
		"no image is named \"ubuntu-26.04\" in this region: check the name, or give the id":     {document.Image{Name: "ubuntu-26.04"}, nil},
		"no image named \"old\" is active: there is " + noble2 + " (private, deleted)":          {document.Image{Name: "old"}, []rollout.InventoryImage{{ID: noble2, Name: "old", Type: "private", Status: "deleted"}}},
		"2 active images are named \"ubuntu-24.04\": give the id of one of " + noble + " (private, active), " + noble2 + " (private, active)": {
			document.Image{Name: "ubuntu-24.04"}, []rollout.InventoryImage{{ID: noble2, Name: "ubuntu-24.04", Type: "private", Status: "active"}},
		},
	} {
		inv := fleet(2)
		inv.Images = append(inv.Images, c.more...)
		assert.Equal(t, []string{want}, problems(t, with(func(s *document.Spec) { s.Image = c.image }), inv))
	}
}

// TestImageThatNoServerGets: what is known of the image, and of the cloud, is said before anything starts.
func TestImageThatNoServerGets(t *testing.T) {
	const image, otherKey = "image ubuntu-24.04 (" + noble + ") ", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	windows := func(i *rollout.InventoryImage) { i.OSType = "Windows" }
	for want, c := range map[string]struct {
		image   func(*rollout.InventoryImage)
		spec    func(*document.Spec)
		edition rollout.Edition
	}{
		"has status saving and must be active":                                          {image: func(i *rollout.InventoryImage) { i.Status = "saving" }},
		"is of type DataImage: only FusionCompute images are system images for servers": {image: func(i *rollout.InventoryImage) { i.VirtEnv = "DataImage" }},
		"is a full-server image, with data disks: a change of OS takes a system disk image, make one of the server": {
			image: func(i *rollout.InventoryImage) { i.Whole = true },
		},
		"is encrypted with key " + noble2 + ", and so are its disks: key " + otherKey + " cannot be theirs; name none": {
			image: func(i *rollout.InventoryImage) { i.Encrypted, i.EncryptionKeyID = true, noble2 },
			spec:  func(s *document.Spec) { s.Disk.EncryptWith = otherKey },
		},
		"is a Windows image without Cloudbase-Init (API v1): it takes a password, not a key pair": {
			image: windows, spec: func(s *document.Spec) { s.API, s.Login.KeyPair = "v1", "k" },
		},
		"is a Windows image, which keeps no password: nobody could log in; give a password or a key pair": {image: windows},
		"is a Windows image: the API of edition huaweicloud changes no server to Windows (docs/editions.md)": {
			image: windows, spec: func(s *document.Spec) { s.Login.KeyPair = "k" }, edition: rollout.Edition{Name: "huaweicloud", NoWindows: true},
		},
	} {
		inv := fleet(2)
		c.image(&inv.Images[1])
		inv.Edition = c.edition
		doc := documentOf()
		if c.spec != nil {
			c.spec(&doc.Spec)
		}
		assert.Equal(t, []string{image + want}, problems(t, doc, inv))
	}
}

// TestImageInDoubt: what nobody can tell refuses nothing, and is said.
func TestImageInDoubt(t *testing.T) {
	login := func(s *document.Spec) { s.Login.KeyPair = "k" }
	for name, c := range map[string]struct {
		image func(*rollout.InventoryImage)
		spec  func(*document.Spec)
		want  []string
	}{
		"nothing": {func(*rollout.InventoryImage) {}, func(*document.Spec) {}, nil},
		"encrypted": {
			func(i *rollout.InventoryImage) { i.Encrypted, i.EncryptionKeyID = true, noble2 }, login,
			[]string{"image ubuntu-24.04 is encrypted, and so are the disks made from it: while its key " + noble2 + " is disabled none can be made"},
		},
		"encrypted with the same key": {
			func(i *rollout.InventoryImage) { i.Encrypted, i.EncryptionKeyID = true, noble2 }, func(s *document.Spec) { s.Disk.EncryptWith = noble2 },
			[]string{"image ubuntu-24.04 is encrypted, and so are the disks made from it: while its key " + noble2 + " is disabled none can be made"},
		},
		"public": {
			func(i *rollout.InventoryImage) { i.Type = "gold" }, func(*document.Spec) {},
			[]string{"image ubuntu-24.04 is public and no login is given: the documents allow that for private images only, and nobody may be able to log in"},
		},
		"public with a login":        {func(i *rollout.InventoryImage) { i.Type = "gold" }, login, nil},
		"public, a password follows": {func(i *rollout.InventoryImage) { i.Type, i.PasswordLater = "gold", true }, func(*document.Spec) {}, nil},
		"Windows, a password follows": {
			func(i *rollout.InventoryImage) { i.OSType, i.PasswordLater = "Windows", true }, func(*document.Spec) {}, nil,
		},
		"Windows with user data": {
			func(i *rollout.InventoryImage) { i.OSType = "Windows" }, func(s *document.Spec) { s.UserDataFrom = "file:init.yaml" },
			[]string{"image ubuntu-24.04 is a Windows image and only user data is given: the documents know user data as a login for Linux only"},
		},
		"no injection over v2": {
			func(i *rollout.InventoryImage) { i.NoInjection = true }, login,
			[]string{`image ubuntu-24.04 carries __support_fc_inject "true", by the documents a sign that it lacks Cloud-Init, which API v2 needs: try it on one server first`},
		},
		"no injection over v1": {func(i *rollout.InventoryImage) { i.NoInjection = true }, func(s *document.Spec) { s.API = "v1" }, nil},
	} {
		inv := fleet(2)
		c.image(&inv.Images[1])
		assert.Equal(t, c.want, mustMake(t, with(c.spec), inv).Warnings, name)
	}
}

// TestAPIAuto is settled by what is known, never in silence, and refused when the facts contradict each other.
func TestAPIAuto(t *testing.T) {
	auto := func(s *document.Spec) { s.API = "auto" }
	otc := rollout.Edition{Name: "otc", V2Only: true}

	plan := mustMake(t, with(auto), fleet(2))
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, []string{"api v2: nothing says that image ubuntu-24.04 lacks Cloud-Init, which is no proof that it has it: the first wave is; api: v1 is for images without"}, plan.Warnings)

	inv := fleet(2)
	inv.Edition = otc
	plan = mustMake(t, with(auto), inv)
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, []string{"api v2: the API of edition otc has no other version"}, plan.Warnings)

	inv.Images[1].NoInjection = true
	plan = mustMake(t, with(auto), inv)
	assert.Equal(t, []string{
		"api v2: the API of edition otc has no other version",
		`image ubuntu-24.04 carries __support_fc_inject "true", by the documents a sign that it lacks Cloud-Init, which API v2 needs: try it on one server first`,
	}, plan.Warnings)

	inv.Edition = rollout.Edition{}
	found := problems(t, with(auto), inv)
	require.Len(t, found, 1)
	assert.Contains(t, found[0], `api: auto cannot tell what image ubuntu-24.04 (`+noble+`) needs: it carries __support_fc_inject "true"`)
	assert.Contains(t, found[0], "write api: v2 if it has Cloud-Init or Cloudbase-Init, api: v1 if not")
	for _, api := range []rollout.API{rollout.APIv1, rollout.APIv2} {
		plan = mustMake(t, with(func(s *document.Spec) { s.API = string(api) }), inv)
		assert.Equal(t, api, plan.Change.API, "what is written is followed")
	}
}

// TestEditionThatCannot refuses everything at once, and says what to write instead.
func TestEditionThatCannot(t *testing.T) {
	inv := fleet(2)
	inv.Edition = rollout.Edition{
		Name: "otc", StrictKeyName: true, NoAdminPass: true, StoppedOnly: true, NoMode: true, V2Only: true, NoAutoPay: true, NoEncryption: true, NoWindows: true,
	}
	wrong := func(s *document.Spec) {
		s.API, s.AutoPay, s.Stop.Platform = "v1", new(false), true
		s.Login.PasswordFrom, s.Disk.EncryptWith = "env:REIMAGE_SECRET_PW", noble2
	}
	assert.Equal(t, []string{
		"the API of edition otc sets no passwords: log in with a key pair, login.keyPair or --key-pair (docs/editions.md)",
		"the API of edition otc does not stop a running server: leave out stop.platform, or --platform-stop, and reimage stops it (docs/editions.md)",
		"the API of edition otc has no version 1: write api: v2, or --api v2, with an image that has Cloud-Init (docs/editions.md)",
		"the API of edition otc pays nothing: leave out autoPay, or --auto-pay (docs/editions.md)",
		"the API of edition otc takes no key for the disk: leave out disk.encryptWith, or --encrypt-with (docs/editions.md)",
	}, problems(t, with(wrong), inv))
	assert.Equal(t, []string{"the API of edition otc demands a key pair: write login.keyPair, or --key-pair (docs/editions.md)"}, problems(t, documentOf(), inv))

	inv.Images = inv.Images[:1]
	assert.Len(t, problems(t, with(wrong), inv), 6, "beside an image that is not there")

	inv.Images = images()
	inv.Servers[0].Prepaid = true
	plan := mustMake(t, with(func(s *document.Spec) { s.Login.KeyPair = "k" }), inv)
	assert.Empty(t, plan.Warnings, "nothing about a payment that this cloud does not know")

	inv.Servers[0].LeftStopped = true
	assert.Equal(t, []string{"1 server stopped since an earlier change, before which it ran, will be left running; power: off leaves it stopped: web-01"},
		mustMake(t, with(func(s *document.Spec) { s.Login.KeyPair = "k" }), inv).Warnings)
	off := mustMake(t, with(func(s *document.Spec) { s.Login.KeyPair, s.Power = "k", rollout.PowerOff }), inv)
	assert.Empty(t, off.Warnings)
	inv.Servers[0].Observation.ImageID = noble
	there := mustMake(t, with(func(s *document.Spec) { s.Login.KeyPair = "k" }), inv)
	require.Len(t, there.Skipped, 1)
	assert.Contains(t, there.Warnings, "1 server on the image already, left stopped by an earlier change: start in the cloud's console: web-01")

	inv.Edition = rollout.Edition{Name: "kuala-lumpur", StoppedOnly: true}
	assert.Len(t, problems(t, with(func(s *document.Spec) { s.Stop.Platform = true }), inv), 1, "a mode that would be refused")
	inv.Edition = rollout.Edition{}
	mustMake(t, with(wrong), inv)
}

// TestChangeOfThePlan is what the document asks for.
func TestChangeOfThePlan(t *testing.T) {
	plan := mustMake(t, documentOf(), fleet(1))
	assert.Equal(t, rollout.Change{ImageID: noble, API: rollout.APIv2, Power: rollout.PowerAsBefore, Deadline: time.Hour}, plan.Change)

	plan = mustMake(t, with(func(s *document.Spec) {
		s.API, s.BYOL, s.AutoPay, s.Power = "v1", true, new(false), rollout.PowerOff
		s.Login = document.Login{KeyPair: "fleet-key", KeyOwner: "me"}
		s.Disk.EncryptWith = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
		s.Stop = document.Stop{AllowHard: true, Platform: true}
		s.Servers.AlreadyThere = document.RuleChange
		s.ServerDeadline = document.Duration(90 * time.Minute)
	}), fleet(1))
	assert.Equal(t, rollout.Change{
		ImageID: noble, API: rollout.APIv1, BYOL: true, AutoPay: new(false), Power: rollout.PowerOff,
		Login: rollout.Login{KeyPair: "fleet-key", UserID: "me"}, Encrypted: new(true), EncryptionKeyID: "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
		AllowHardStop: true, WithStopServer: true, EvenIfSameImage: true, Deadline: 90 * time.Minute,
	}, plan.Change)

	plan = mustMake(t, with(func(s *document.Spec) { s.UserDataFrom = "file:init.yaml"; s.API = "auto" }), fleet(1))
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, rollout.SecretRef("file:init.yaml"), plan.Change.UserDataFrom)
	plan = mustMake(t, with(func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_PW"; s.API = "" }), fleet(1))
	assert.Equal(t, rollout.APIv2, plan.Change.API)
	assert.Equal(t, rollout.SecretRef("env:REIMAGE_SECRET_PW"), plan.Change.Login.PasswordFrom)
}

func TestHeadAndTimesOfThePlan(t *testing.T) {
	plan := mustMake(t, documentOf(), fleet(1))
	assert.Equal(t, 30*time.Minute, plan.BusyWait, "by default")
	doc := with(func(s *document.Spec) {
		s.Busy.Wait, s.Soak, s.Deadline = new(document.Duration(0)), document.Duration(time.Minute), document.Duration(24*time.Hour)
	})
	doc.Metadata.Reason = "CVE-2026-1"
	plan = mustMake(t, doc, fleet(1))
	assert.Equal(t, []any{rollout.PlanVersion, "web-noble", "CVE-2026-1", fleet(0).Project}, []any{plan.Version, plan.Name, plan.Reason, plan.Project})
	assert.Zero(t, plan.BusyWait, "skipped at once")
	assert.Equal(t, []time.Duration{time.Minute, 24 * time.Hour}, []time.Duration{plan.Soak, plan.Deadline})
}
