package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// denied is a permission that the credentials lack.
func denied(op string) emulator.Fault {
	return emulator.Fault{Op: op, Kind: emulator.Refuse, Code: "Pdp.0001", Times: -1}
}

// byGroup has a plan read server groups, too.
func byGroup(s *document.Spec) { s.PerGroup = document.Group{ServerGroup: true, Count: new(1)} }

// TestPlanNamesMissingPermissions, each by itself and in any size of fleet: what a rollout needs and can be asked for
// without changing anything.
func TestPlanNamesMissingPermissions(t *testing.T) {
	for op, says := range map[string]string{
		emulator.OpServers:      "list servers: HTTP 403 Pdp.0001: The policy does not allow this operation. (the credentials need the action ecs:cloudServers:list in this project; if they have it in an enterprise project",
		emulator.OpImage:        "the credentials need the action ims:images:list",
		emulator.OpBlockDevice:  "the credentials need the action ecs:cloudServers:listServerBlockDevices",
		emulator.OpServerGroups: "the credentials need the action ecs:cloudServers:listServerGroups",
		emulator.OpServer:       "the credentials need the action ecs:cloudServers:get",
		emulator.OpJob:          "(the credentials may not make this call in this project: no action of its own is published for it, so look for what denies it in their policies, or give them a role with access to ECS)",
	} {
		for name, size := range map[string]int{"small": 12, "large": 500} {
			t.Run(op+" "+name, func(t *testing.T) {
				inLab(t, withFaults(fleetSized(size), denied(op)), func(l *lab) {
					end := l.makePlan(l.planOf(selectsEvery, byGroup))
					require.NoError(l, end.err)
					require.Len(l, end.result.Problems, 1)
					assert.Contains(l, end.result.Problems[0], "the credentials of profile default lack a permission: ")
					assert.Contains(l, end.result.Problems[0], says)
					assert.Less(l, end.took, time.Minute)
				})
			})
		}
	}
}

// TestPlanForACloudWithoutServerGroups: the region is right, or nothing would have been listed.
func TestPlanForACloudWithoutServerGroups(t *testing.T) {
	for _, none := range []emulator.Fault{{Kind: emulator.Refuse, Code: "APIGW.0101", Status: 404}, {Kind: emulator.BadGatewayHTML, Status: 404}} {
		none.Op, none.Times = emulator.OpServerGroups, -1
		inLab(t, withFaults(fleetSized(12), none), func(l *lab) {
			problems := l.problems(l.planOf(selectsEvery, byGroup))
			assert.Contains(l, problems, "perGroup.serverGroup: this cloud does not seem to list server groups; group by a tag (perGroup.tag): ")
			assert.Contains(l, problems, "HTTP 404")
			assert.NotContains(l, problems, "region")
		})
	}
}

// TestPlanNamesAllMissingPermissionsAtOnce, with other reasons against it unless these come from what could not be read.
func TestPlanNamesAllMissingPermissionsAtOnce(t *testing.T) {
	faults := []emulator.Fault{denied(emulator.OpImage), denied(emulator.OpServerGroups), denied(emulator.OpBlockDevice), denied(emulator.OpServer), denied(emulator.OpJob)}
	inLab(t, withFaults(fleetSized(12), faults...), func(l *lab) {
		l.update(func(s *emulator.Server) { s.Locked = true })
		assert.Len(l, l.makePlan(l.planOf(selectsEvery, byGroup)).result.Problems, len(faults), "one for each action, and nothing about an image that is there")
	})
	inLab(t, withFaults(fleetSized(12), faults[2:]...), func(l *lab) {
		l.update(func(s *emulator.Server) { s.Locked = true })
		says := l.problems(l.planOf(selectsEvery))
		assert.Contains(l, says, "1 locked server: "+l.server.Name)
		assert.Contains(l, says, "ecs:cloudServers:listServerBlockDevices")
		assert.Contains(l, says, "ecs:cloudServers:get")
		assert.Contains(l, says, "no action of its own is published for it, so look for what denies it in their policies, or give them a role with access to ECS")
	})
}

// TestPlanSaysWhatIsUnproven: nobody can ask for a change without making it, and what gets no answer holds up no plan.
func TestPlanSaysWhatIsUnproven(t *testing.T) {
	const writes = "stop (ecs:cloudServers:stop), start (ecs:cloudServers:start) and change (ecs:cloudServers:changeOS) servers is unproven until the first server"
	silent := emulator.Fault{Op: emulator.OpJob, Kind: emulator.ServerError, Times: -1}
	limited := emulator.Fault{Op: emulator.OpServer, Kind: emulator.Throttle, Times: -1}
	for says, faults := range map[string][]emulator.Fault{
		"that the credentials may " + writes:                                                   nil,
		"that the credentials may read a server (ecs:cloudServers:get), query jobs, " + writes: {silent, limited},
	} {
		inLab(t, withFaults(fleetSized(12), faults...), func(l *lab) {
			assert.Equal(l, []string{says}, l.plan(l.planOf(selectsWeb, oneByOne)).Warnings)
		})
	}
	unknown := emulator.Fault{Op: emulator.OpJob, Kind: emulator.Refuse, Code: "Ecs.9999", Status: 400}
	inLab(t, withFaults(fleetSized(12), unknown), func(l *lab) {
		assert.NotContains(l, l.plan(l.planOf(selectsWeb, oneByOne)).Warnings[0], "query jobs", "a word of its own for no such job")
	})
}

// oneByOne leaves nothing else to warn of.
func oneByOne(s *document.Spec) {
	s.API, s.Waves = "v2", []document.Wave{{Name: "canary", Count: new(1), Approval: true}, {Name: "rest", UpTo: new(rollout.Percent(10_000))}}
	s.InFlight = document.Limit{Count: new(1)}
}

// TestPreflightOfAnImageThatMayNotBeSeen: only an image that is gone is left out of the comparison.
func TestPreflightOfAnImageThatMayNotBeSeen(t *testing.T) {
	for code, says := range map[string]string{
		"Pdp.0001":   "the credentials of profile default lack a permission: read image ",
		"APIGW.0301": "the cloud refuses the credentials of profile default: read image ",
	} {
		status := map[string]int{"Pdp.0001": 403, "APIGW.0301": 401}[code]
		inLab(t, withFaults(stopped(), emulator.Fault{Op: emulator.OpImage, Kind: emulator.Refuse, Code: code, Status: status, After: 1}), func(l *lab) {
			failed := failsWith(l, l.preflight(l.question()).err, api.ErrCredentials, true)
			assert.Contains(l, failed.Message(), says+l.server.ImageID)
		})
	}
	t.Run("a server that shows no image", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.update(func(s *emulator.Server) { s.ImageID = "" })
			end := l.preflight(l.question())
			require.NoError(l, end.err)
			assert.Empty(l, end.result.Refusals)
			assert.Len(l, end.result.Notes, 1)
		})
	})
}
