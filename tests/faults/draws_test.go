package faults_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
)

// TestSchedulesDrawEverything: what no seed draws is never tried. The draws of a thousand seeds are named here, each by
// what it is about.
func TestSchedulesDrawEverything(t *testing.T) {
	drawn := map[string]int{}
	note := func(about string, value any) { drawn[fmt.Sprintf("%s: %v", about, value)]++ }
	var want []string
	expect := func(about string, values ...any) {
		for _, value := range values {
			want = append(want, fmt.Sprintf("%s: %v", about, value))
		}
	}
	for seed := range uint64(1000) {
		s := faults.NewSchedule(seed)
		note("workers", s.Workers)
		e := s.Cloud.Edition
		note("rebuild view", e.RebuildView)
		note("busy code", e.BusyCode)
		note("unknown job", e.UnknownJob)
		note("job shape", e.JobShape)
		note("throttled with 503", e.ThrottleWith503)
		note("power state", e.PowerStateShutdown)
		note("no hard over soft", e.NoHardOverSoft)
		note("started is success", e.StartedIsSuccess)
		note("stopped only", e.StoppedOnly)
		note("lag", s.Cloud.Timing.Lag > 0)
		note("lead", s.Cloud.Timing.Lead.Median > 0)
		note("limit of calls", s.Cloud.CallsPerSecond > 0)
		for _, server := range s.Cloud.Fleet {
			note("server", server.Status)
			note("zone", server.Zone)
			note("ignores ACPI", server.IgnoresACPI)
			note("paid by the year", server.ChargingMode == "1")
		}
		for _, f := range s.Cloud.Faults {
			note("fault", f.Kind)
			note("fault of", f.Op)
			note(string(f.Kind), f.Variant)
			note("refused with", f.Status)
		}
		for _, c := range s.Crashes {
			note("blow", c.Blow)
			note("point", c.At)
		}
		for _, h := range s.Hands {
			note("by hand", h.Deed)
			note("by hand, to a server", h.Server != "")
		}
		cloud, err := emulator.New(s.Cloud)
		require.NoError(t, err)
		plan := s.Plan(cloud)
		note("waves", len(plan.Waves))
		note("cap", plan.Caps.InFlight)
		note("caps by zone", len(plan.Caps.Zones) > 0)
		note("caps by group", len(plan.Caps.Groups) > 0)
		note("count others", plan.Caps.CountOthers)
		for _, other := range plan.Others {
			note("other server", other.Status)
		}
		for _, other := range plan.Skipped {
			note("skipped server", other.Status)
		}
		note("on breach", plan.Budget.OnBreach)
		note("count", plan.Budget.Count != nil)
		note("share", plan.Budget.Share != nil)
		note("per group", plan.Budget.PerGroup != nil)
		note("strict", plan.Budget.Strict)
		note("slow start", plan.Budget.SlowStart)
		note("soak", plan.Soak > 0)
		note("power", plan.Change.Power)
		note("hard stop", plan.Change.AllowHardStop)
		note("stopped by the platform", plan.Change.WithStopServer)
		for _, wave := range plan.Waves {
			note("approval", wave.Approval)
			note("bake", wave.Bake > 0)
		}
	}
	for _, about := range []string{
		"throttled with 503", "no hard over soft", "started is success", "stopped only", "lag", "lead", "limit of calls", "ignores ACPI", "paid by the year",
		"by hand, to a server", "caps by zone", "caps by group", "count others", "count", "share", "per group", "strict", "slow start", "soak", "hard stop",
		"stopped by the platform", "approval", "bake",
	} {
		expect(about, true, false)
	}
	expect("workers", 1, 2)
	expect("waves", 1, 2, 3)
	expect("cap", 1, 2, 3, 4, 5)
	expect("rebuild view", "rebuild", "shutoff")
	expect("busy code", "Ecs.0603", "Ecs.0100")
	expect("unknown job", "400", "404")
	expect("job shape", "flat", "sub_jobs")
	expect("power state", 3, 4)
	expect("server", rollout.StatusActive, rollout.StatusShutoff, rollout.StatusError)
	expect("other server", rollout.StatusActive, rollout.StatusShutoff, rollout.StatusError)
	expect("skipped server", rollout.StatusActive, rollout.StatusShutoff, rollout.StatusError)
	expect("zone", "eu-1a", "eu-1b")
	expect("power", rollout.PowerAsBefore, rollout.PowerOn, rollout.PowerOff)
	expect("on breach", rollout.BreachPause, rollout.BreachAbort, rollout.BreachRollback)
	expect("refused with", 401, 403)
	expect("job_fail", emulator.VariantIntact, emulator.VariantChanged, emulator.VariantLost)
	expect("job_stuck", "", emulator.VariantPendingPayment)
	expect("volume_gap", emulator.VariantNone, emulator.VariantTwo)
	expect("fault of", emulator.OpChangeOS, emulator.OpStop, emulator.OpStart, emulator.OpServer, emulator.OpServers, emulator.OpJob, emulator.OpBlockDevice, emulator.OpImage, emulator.OpAny)
	for _, kind := range emulator.FaultKinds() {
		expect("fault", kind)
	}
	for _, blow := range faults.Blows() {
		expect("blow", blow)
	}
	for _, point := range faults.Points() {
		expect("point", point)
	}
	for _, deed := range faults.Deeds() {
		expect("by hand", deed)
	}
	for _, one := range want {
		assert.Positive(t, drawn[one], one)
	}
	for _, one := range slices.Sorted(maps.Keys(drawn)) {
		t.Logf("%6d  %s", drawn[one], one)
	}
}
