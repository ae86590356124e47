package planner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// unfitness is a way in which a server, or the image for it, does not fit.
type unfitness struct {
	server func(*rollout.InventoryServer)
	image  func(*rollout.InventoryImage) // the new one
	says   string                        // when it is skipped
	refuse string                        // when the plan is refused over it
}

func unfits() map[string]unfitness {
	status := func(status, task string) func(*rollout.InventoryServer) {
		return func(s *rollout.InventoryServer) { s.Observation.Status, s.Observation.TaskState = status, task }
	}
	return map[string]unfitness{
		"no system disk": {
			server: func(s *rollout.InventoryServer) { s.Observation.VolumeID = "" },
			says:   "has no system disk (status ACTIVE)",
			refuse: "1 server without a system disk: web-02 (status ACTIVE); a change of OS needs one: it may be lost in a failed change, ask the cloud's support, or say servers.unfit: skip",
		},
		"frozen": {server: func(s *rollout.InventoryServer) { s.Frozen = true }, says: "is frozen by the account", refuse: "1 frozen server: web-02; settle that"},
		"spot":   {server: func(s *rollout.InventoryServer) { s.Spot = true }, says: "is a spot server", refuse: "1 spot server: web-02; the cloud does not"},
		"task under way": {
			server: status("ACTIVE", "powering-off"), says: "is busy (status ACTIVE, task powering-off)",
			refuse: "1 busy server: web-02 (status ACTIVE, task powering-off); wait until that is over, or say servers.unfit: skip",
		},
		"rebuilding":     {server: status("REBUILD", "rebuild_spawning"), says: "is busy (status REBUILD, task rebuild_spawning)", refuse: "1 busy server"},
		"rebooting":      {server: status("REBOOT", ""), says: "is busy (status REBOOT)", refuse: "1 busy server: web-02 (status REBOOT);"},
		"unknown status": {server: status("UNKNOWN", ""), says: "is busy (status UNKNOWN)", refuse: "1 busy server"},
		"paused":         {server: status("PAUSED", ""), says: "has a status in which the OS cannot be changed (status PAUSED)", refuse: "1 server in a status in which the OS cannot be changed: web-02 (status PAUSED);"},
		"suspended":      {server: status("SUSPENDED", ""), says: "(status SUSPENDED)", refuse: "web-02 (status SUSPENDED)"},
		"shelved":        {server: status("SHELVED_OFFLOADED", ""), says: "(status SHELVED_OFFLOADED)", refuse: "web-02 (status SHELVED_OFFLOADED)"},
		"rescue":         {server: status("RESCUE", ""), says: "(status RESCUE)", refuse: "web-02 (status RESCUE)"},
		"resize to be verified": {
			server: status("VERIFY_RESIZE", ""), says: "(status VERIFY_RESIZE)", refuse: "web-02 (status VERIFY_RESIZE)",
		},
		"small disk": {
			server: func(s *rollout.InventoryServer) { s.DiskGB = 19 },
			says:   "has too small a system disk (19 GB, the image needs 20 GB)",
			refuse: "1 server with too small a system disk: web-02 (19 GB, the image needs 20 GB); enlarge",
		},
		"little memory": {
			server: func(s *rollout.InventoryServer) { s.RAMMB = 1023 },
			says:   "has too little memory (1023 MB, the image needs 1024 MB)", refuse: "1 server with too little memory: web-02 (1023 MB",
		},
		"firmware": {
			server: func(s *rollout.InventoryServer) { s.Observation.ImageID = noble2 },
			says:   "boots with other firmware (uefi, the image needs bios)", refuse: "1 server with other firmware than the image needs: web-02 (uefi, the image needs bios)",
		},
		"architecture": {
			server: func(s *rollout.InventoryServer) { s.Observation.ImageID = uuid(3, 1) },
			says:   "is of another processor architecture (ARM, the image is for x86)", refuse: "1 server of another processor architecture than the image: web-02 (ARM, the image is for x86);",
		},
		"prepaid and marketplace": {
			server: func(s *rollout.InventoryServer) { s.Prepaid = true },
			image:  func(i *rollout.InventoryImage) { i.Type = "market" },
			says:   "is paid by the year or month", refuse: "1 server paid by the year or month: web-02; the cloud refuses marketplace images for those (Ecs.0510)",
		},
		"prepaid on a marketplace image": {
			server: func(s *rollout.InventoryServer) { s.Prepaid, s.Observation.ImageID = true, uuid(3, 2) },
			says:   "is paid by the year or month, for which the cloud refuses a marketplace image (it runs a marketplace image)",
			refuse: "1 server paid by the year or month: web-02 (it runs a marketplace image); the cloud refuses marketplace images for those (Ecs.0510)",
		},
	}
}

// TestUnfitServers are refused with the whole plan, or skipped one by one; nothing else.
func TestUnfitServers(t *testing.T) {
	for name, c := range unfits() {
		t.Run(name, func(t *testing.T) {
			inv := fleet(3)
			inv.Images = append(inv.Images,
				rollout.InventoryImage{ID: noble2, Name: "uefi", Status: "active", Firmware: "uefi"},
				rollout.InventoryImage{ID: uuid(3, 1), Name: "arm", Status: "active", ARM: true},
				rollout.InventoryImage{ID: uuid(3, 2), Name: "market", Status: "active", Type: "market"})
			c.server(&inv.Servers[1])
			if c.image != nil {
				c.image(&inv.Images[1])
			}
			found := problems(t, documentOf(), inv)
			require.Len(t, found, 1)
			assert.Contains(t, found[0], c.refuse)

			plan := mustMake(t, with(func(s *document.Spec) { s.Servers.Unfit = document.RuleSkip }), inv)
			require.Len(t, plan.Skipped, 1)
			assert.Equal(t, inv.Servers[1].ID, plan.Skipped[0].ID)
			assert.Contains(t, plan.Skipped[0].Reason, c.says)
			assert.Equal(t, []string{"web-01", "web-03"}, names(plan.Servers))
		})
	}
}

// TestEqualReasonsAreSaidOnce: what is true of all servers of a problem is not repeated with each.
func TestEqualReasonsAreSaidOnce(t *testing.T) {
	inv := fleet(12)
	inv.Images[1].ARM = true
	assert.Equal(t, []string{
		"12 servers of another processor architecture than the image (x86, the image is for ARM): web-01, web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10 and 2 more; choose an image for it, or say servers.unfit: skip",
	}, problems(t, documentOf(), inv))

	inv = fleet(3)
	inv.Servers[0].DiskGB, inv.Servers[1].DiskGB = 18, 19
	inv.Servers[1].Locked, inv.Servers[2].Locked = true, true
	inv.Servers[1].LockedBy, inv.Servers[2].LockedBy = "ORDER", "ORDER"
	assert.Equal(t, []string{
		"2 locked servers: web-02 by ORDER, web-03 by ORDER; unlock first, reimage never does, or say servers.locked: skip",
		"2 servers with too small a system disk: web-01 (18 GB, the image needs 20 GB), web-02 (19 GB, the image needs 20 GB); enlarge the disk or choose a smaller image, or say servers.unfit: skip",
	}, problems(t, documentOf(), inv))
}

// TestWhatFits although it is at the limit, or not known.
func TestWhatFits(t *testing.T) {
	inv := fleet(6)
	inv.Servers[0].DiskGB, inv.Servers[0].RAMMB = 20, 1024
	inv.Servers[1].DiskGB, inv.Servers[1].RAMMB = 0, 0
	inv.Servers[2].Observation.ImageID = noble2 // not in the inventory
	inv.Servers[5].Observation.ImageID = ""
	inv.Servers[3].Prepaid = true
	inv.Servers[4].Observation.Status = rollout.StatusShutoff
	inv.Images[0].Firmware, inv.Images[1].VirtEnv = "bios", ""
	plan := mustMake(t, documentOf(), inv)
	assert.Len(t, plan.Servers, 6)
	assert.Contains(t, plan.Warnings, "the present image of 1 server is gone, so firmware and architecture were not compared: web-03")
	assert.Contains(t, plan.Warnings, "which image 1 server runs is not shown, so firmware and architecture were not compared: web-06")
	rolls := mustMake(t, with(func(s *document.Spec) { s.Budget.OnBreach = rollout.BreachRollback }), inv)
	assert.Contains(t, rolls.Warnings, "1 server cannot be rolled back (web-06): which image it runs is not shown")
	assert.Contains(t, plan.Warnings, "1 server paid by the year or month may wait until somebody pays a price difference, without autoPay: web-04")
	assert.NotContains(t, strings.Join(mustMake(t, with(func(s *document.Spec) { s.AutoPay = new(true) }), inv).Warnings, "\n"), "price difference")
	inv.Images[1].Type = "shared"
	assert.Contains(t, mustMake(t, documentOf(), inv).Warnings, "a shared image for 1 server paid by the year or month: the documents forbid marketplace images only, the error itself (Ecs.0510) says more: web-04")
}

// TestStateRules: what the document says about a state is done, and by default the careful thing.
func TestStateRules(t *testing.T) {
	const changed, skipped, refused = "changed", "skipped", "refused"
	states := map[string]func(*rollout.InventoryServer){
		"there":   func(s *rollout.InventoryServer) { s.Observation.ImageID = strings.ToUpper(noble) },
		"stopped": func(s *rollout.InventoryServer) { s.Observation.Status = rollout.StatusShutoff },
		"locked":  func(s *rollout.InventoryServer) { s.Locked, s.LockedBy = true, "ORDER" },
		"error":   func(s *rollout.InventoryServer) { s.Observation.Status = rollout.StatusError },
		"locked, in ERROR": func(s *rollout.InventoryServer) {
			s.Locked, s.Observation.Status = true, rollout.StatusError
		},
		"locked, there": func(s *rollout.InventoryServer) { s.Locked, s.Observation.ImageID = true, noble },
		"there, in ERROR": func(s *rollout.InventoryServer) {
			s.Observation.ImageID, s.Observation.Status = noble, rollout.StatusError
		},
		"there, without a disk": func(s *rollout.InventoryServer) {
			s.Observation.ImageID, s.Observation.VolumeID = noble, ""
		},
		"there, being rebuilt": func(s *rollout.InventoryServer) {
			s.Observation.ImageID, s.Observation.Status = noble, rollout.StatusRebuild
		},
	}
	for _, c := range []struct {
		state string
		rules document.States
		want  string
		says  string
	}{
		{"there", document.States{}, skipped, "runs the image already"},
		{"there", document.States{AlreadyThere: document.RuleSkip}, skipped, "runs the image already"},
		{"there", document.States{AlreadyThere: document.RuleChange}, changed, ""},
		{"stopped", document.States{}, changed, ""},
		{"stopped", document.States{Stopped: document.RuleChange}, changed, ""},
		{"stopped", document.States{Stopped: document.RuleSkip}, skipped, "is stopped"},
		{"stopped", document.States{Stopped: document.RuleRefuse}, refused, "1 stopped server: web-02; start first, or say servers.stopped: change or skip"},
		{"locked", document.States{}, refused, "1 locked server: web-02 by ORDER; unlock first, reimage never does, or say servers.locked: skip"},
		{"locked", document.States{Locked: document.RuleSkip}, skipped, "is locked by ORDER"},
		{"error", document.States{}, refused, "1 server in ERROR: web-02; look what happened"},
		{"error", document.States{Error: document.RuleSkip}, skipped, "is in ERROR"},
		{"error", document.States{Error: document.RuleChange}, changed, ""},
		{"locked, in ERROR", document.States{Locked: document.RuleSkip}, skipped, "is locked"},
		{"locked, in ERROR", document.States{Locked: document.RuleSkip, Error: document.RuleSkip}, skipped, "is locked; is in ERROR"},
		{"locked, in ERROR", document.States{Error: document.RuleChange}, refused, "1 locked server: web-02;"},
		{"locked, there", document.States{}, skipped, "runs the image already"},
		{"locked, there", document.States{AlreadyThere: document.RuleChange}, refused, "1 locked server"},
		{"there, in ERROR", document.States{}, refused, "1 server in ERROR"},
		{"there, without a disk", document.States{}, refused, "1 server without a system disk"},
		{"there, being rebuilt", document.States{}, refused, "1 busy server"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.state, c.rules), func(t *testing.T) {
			inv := fleet(3)
			states[c.state](&inv.Servers[1])
			doc := with(func(s *document.Spec) { s.Servers = c.rules })
			switch c.want {
			case refused:
				found := problems(t, doc, inv)
				require.Len(t, found, 1)
				assert.Contains(t, found[0], c.says)
			case skipped:
				plan := mustMake(t, doc, inv)
				assert.Len(t, plan.Servers, 2)
				assert.Equal(t, []rollout.SkippedServer{{
					ID: inv.Servers[1].ID, Name: "web-02", Reason: c.says, Zone: "eu-1b", Status: inv.Servers[1].Observation.Status,
				}}, plan.Skipped)
			default:
				assert.ElementsMatch(t, []string{"web-01", "web-02", "web-03"}, names(mustMake(t, doc, inv).Servers))
			}
		})
	}
}

// TestProblemsComeAllAtOnce, one sentence for each kind, naming ten servers at most.
func TestProblemsComeAllAtOnce(t *testing.T) {
	inv := fleet(26)
	for i := range 12 {
		inv.Servers[i].Locked = true
	}
	for i := 12; i < 24; i++ {
		inv.Servers[i].Spot = true
	}
	inv.Images[1].Status, inv.Images[1].VirtEnv = "queued", "Ironic"
	doc := with(func(s *document.Spec) {
		s.Select.IDs, s.Select.Expect.Max = []string{uuid(9, 9)}, new(20)
		s.Waves = []document.Wave{{Count: new(1)}}
		s.Login = document.Login{KeyPair: "k", PasswordFrom: "env:REIMAGE_SECRET_P"}
	})
	found := problems(t, doc, inv)
	require.Len(t, found, 8, "%s", strings.Join(found, "\n"))
	for i, says := range []string{
		"image ubuntu-24.04 (" + noble + ") has status queued and must be active",
		"is of type Ironic: only FusionCompute images",
		"a key pair and a password exclude each other",
		"no server has the id " + uuid(9, 9),
		"the selection comes to 26 servers and at most 20 is expected",
		"12 locked servers: web-01, web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10 and 2 more; unlock first",
		"12 spot servers: web-13,",
		"the waves come to 1 of 26 servers and leave out 25:",
	} {
		assert.Contains(t, found[i], says)
	}
	for _, sentence := range found {
		assert.NotContains(t, sentence, "\n")
	}

	_, err := planner.Make(doc, inv, madeAt)
	whole, ok := errors.AsType[planner.Problems](err)
	require.True(t, ok)
	assert.Contains(t, whole[5].Whole, "12 locked servers: web-01, web-02, web-03, web-04, web-05, web-06, web-07, web-08, web-09, web-10, web-11, web-12; unlock first")
	assert.Equal(t, whole[0].Text, whole[0].Whole)
}
