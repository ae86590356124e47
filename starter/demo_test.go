package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/planner"
)

// TestDemoPlan: the fleet of the demo is rolled in the three waves that the README promises.
func TestDemoPlan(t *testing.T) {
	inv := rollout.Inventory{Project: "p", Images: []rollout.InventoryImage{
		{ID: oldImage, Name: "old", Status: "active"}, {ID: testImage, Name: emulator.TargetImageName, Status: "active"},
	}}
	for _, server := range demoFleet() {
		inv.Servers = append(inv.Servers, rollout.InventoryServer{ID: uuid.NewString(), Name: server.Name, Zone: server.Zone, Tags: server.Tags, Observation: rollout.Observation{
			Exists: true, Status: rollout.StatusActive, Fingerprint: rollout.Fingerprint{ImageID: oldImage, VolumeID: uuid.NewString()},
		}})
	}
	plan, err := planner.Make(demoDocument(), inv, time.Now())
	require.NoError(t, err)
	require.Len(t, plan.Waves, 3)
	assert.Equal(t, []int{3, 6, demoServers}, []int{plan.Waves[0].End, plan.Waves[1].End, plan.Waves[2].End})
}

// TestFleetEvidence: the demo ends with the report and the account of the cloud, and proves nothing when a
// single figure is not as it should be.
func TestFleetEvidence(t *testing.T) {
	proven := fleetEvidence{
		End: rollout.CompletedWithFailures, Servers: demoServers, Done: demoServers - 2, Failed: 2, OnNewImage: demoServers - 1,
		ChangeOSAccepted: demoServers, MostOutOfService: demoInFlight, InFlightCap: demoInFlight, WorkersKilled: 1, APICalls: 700, RolloutEvents: 300, ServerEvents: 41.6, Seconds: 33,
	}
	p := rollout.Progress{Name: demoRollout, Phase: rollout.PhaseEnded, End: proven.End, Waves: []rollout.WaveProgress{{Name: "canary"}, {Name: "early"}, {Name: "rest"}}}
	proven.report = report.New(p, nil, nil, time.Now())
	var out bytes.Buffer
	proven.print(&out)
	assert.Contains(t, out.String(), "Rollout demo-fleet: completed-with-failures\n")
	assert.Regexp(t, `(?s)\nWaves\n  canary .*\n  early .*\n  rest `, out.String())
	assert.Contains(t, out.String(), `
Evidence, from the cloud's own ledger
  servers            24, of them 23 with the new image on a new system disk
  changeos accepted: 24, twice for one server: 0
  out of service     6 at most, allowed 6
  workers killed     1 in the middle; the next one finished the rollout
  API calls          700
  history events     300 of the rollout, 42 of each server
  took               33 seconds
`)
	assert.True(t, proven.proven())
	for what, spoil := range map[string]func(*fleetEvidence){
		"another end":       func(e *fleetEvidence) { e.End = rollout.Completed },
		"one fewer done":    func(e *fleetEvidence) { e.Done-- },
		"another failure":   func(e *fleetEvidence) { e.Failed++ },
		"not on the image":  func(e *fleetEvidence) { e.OnNewImage = e.Done - 1 },
		"accepted too much": func(e *fleetEvidence) { e.ChangeOSAccepted++ },
		"accepted twice":    func(e *fleetEvidence) { e.AcceptedTwice = 1 },
		"too many out":      func(e *fleetEvidence) { e.MostOutOfService++ },
		"no worker killed":  func(e *fleetEvidence) { e.WorkersKilled = 0 },
	} {
		spoilt := proven
		spoil(&spoilt)
		assert.False(t, spoilt.proven(), what)
	}
}
