package planner_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

func TestDriftOfServers(t *testing.T) {
	server := func(edit func(*rollout.InventoryServer)) func(*rollout.Inventory) {
		return func(inv *rollout.Inventory) { edit(&inv.Servers[1]) }
	}
	for name, c := range map[string]struct {
		edit func(*rollout.Inventory)
		what string // empty when it is no drift
	}{
		"nothing":                         {func(*rollout.Inventory) {}, ""},
		"gone":                            {func(inv *rollout.Inventory) { inv.Servers = append(inv.Servers[:1], inv.Servers[2:]...) }, "web-02 is gone"},
		"does not exist":                  {server(func(s *rollout.InventoryServer) { s.Observation = rollout.Observation{} }), "web-02 is gone"},
		"another server of the same name": {server(func(s *rollout.InventoryServer) { s.ID = uuid(1, 99) }), "web-02 is gone"},
		"another disk":                    {server(func(s *rollout.InventoryServer) { s.Observation.VolumeID = uuid(7, 7) }), "web-02 has another system disk: " + uuid(7, 7) + ", not " + uuid(2, 2)},
		"no disk":                         {server(func(s *rollout.InventoryServer) { s.Observation.VolumeID = "" }), "web-02 has no system disk any more (it was " + uuid(2, 2) + ")"},
		"another image":                   {server(func(s *rollout.InventoryServer) { s.Observation.ImageID = noble2 }), "web-02 runs another image: " + noble2 + ", not " + jammy},
		"no image":                        {server(func(s *rollout.InventoryServer) { s.Observation.ImageID = "" }), "web-02 runs another image: none, not " + jammy},
		"re-imaged by hand": {server(func(s *rollout.InventoryServer) {
			s.Observation.ImageID, s.Observation.VolumeID = noble, uuid(7, 7)
		}), "web-02 has another system disk: " + uuid(7, 7) + ", not " + uuid(2, 2) + ", runs another image: " + noble + ", not " + jammy},
		"being rebuilt": {server(func(s *rollout.InventoryServer) { s.Observation.Status = rollout.StatusRebuild }), "web-02 gets a new system disk at this moment"},
		"in ERROR":      {server(func(s *rollout.InventoryServer) { s.Observation.Status = "ERROR" }), "web-02 is in ERROR now"},
		"locked":        {server(func(s *rollout.InventoryServer) { s.Locked, s.LockedBy = true, "ORDER" }), "web-02 is locked now by ORDER"},
		"spot":          {server(func(s *rollout.InventoryServer) { s.Spot = true }), "web-02 is a spot server now"},
		"frozen":        {server(func(s *rollout.InventoryServer) { s.Frozen = true }), "web-02 is frozen by the account now"},
		"stopped":       {server(func(s *rollout.InventoryServer) { s.Observation.Status = "SHUTOFF" }), ""},
		"renamed":       {server(func(s *rollout.InventoryServer) { s.Name = "web-x" }), ""},
		"another tag":   {server(func(s *rollout.InventoryServer) { s.Tags = nil }), ""},
		"a new one":     {func(inv *rollout.Inventory) { inv.Servers = append(inv.Servers, fleet(9).Servers[8]) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan, inv := mustMake(t, documentOf(), fleet(3)), fleet(3)
			c.edit(&inv)
			var want []rollout.Drift
			if c.what != "" {
				want = []rollout.Drift{{ServerID: uuid(1, 2), Name: "web-02", What: c.what}}
			}
			assert.Equal(t, want, planner.Drift(plan, inv))
		})
	}
}

// TestServerPlannedInErrorDoesNotDrift by being in ERROR.
func TestServerPlannedInErrorDoesNotDrift(t *testing.T) {
	inv := fleet(3)
	inv.Servers[1].Observation.Status = rollout.StatusError
	plan := mustMake(t, with(func(s *document.Spec) { s.Servers.Error = document.RuleChange }), inv)
	assert.Empty(t, planner.Drift(plan, inv))
}

func TestDriftOfImage(t *testing.T) {
	plan, inv := mustMake(t, documentOf(), fleet(3)), fleet(3)
	inv.Images[1].Status = "deactivated"
	assert.Equal(t, []rollout.Drift{{Name: "ubuntu-24.04", What: "image ubuntu-24.04 (" + noble + ") has status deactivated and must be active"}}, planner.Drift(plan, inv))
	inv.Images, inv.Servers = inv.Images[:1], inv.Servers[:2]
	assert.Equal(t, []rollout.Drift{
		{Name: "ubuntu-24.04", What: "image ubuntu-24.04 (" + noble + ") is gone"},
		{ServerID: uuid(1, 3), Name: "web-03", What: "web-03 is gone"},
	}, planner.Drift(plan, inv))
}

// Whoever runs the worker may have named another edition since the plan was made.
func TestDriftOfEdition(t *testing.T) {
	plan, inv := mustMake(t, with(func(s *document.Spec) { s.Login = document.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PW"} }), fleet(3)), fleet(3)
	inv.Edition = rollout.Edition{Name: "otc", NoAdminPass: true}
	assert.Equal(t, []rollout.Drift{{
		Name: "ubuntu-24.04",
		What: "the API of edition otc sets no passwords: log in with a key pair, login.keyPair or --key-pair (docs/editions.md)",
	}}, planner.Drift(plan, inv))
}
