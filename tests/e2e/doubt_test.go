package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestAnswerLost loses the cloud's answer in every way, before and after the change was accepted. Either
// way the server is changed exactly once.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []emulator.FaultKind{
		"drop_before", "drop_after", "hang_before", "hang_after", "server_error", "bad_gateway_html", "bad_gateway_after",
		"flow_202", "no_job_id", "cut_body", "throttle", "throttle_1503",
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Faults: []emulator.Fault{{Op: "changeos", Kind: kind, Times: 1}}})
			lab.StartWorker(nil)
			before := lab.Server("SHUTOFF")
			image := lab.OtherImage(before)
			run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
			requireDoneOnce(t, lab, before, image, lab.Result(run))
			lab.Replay(run)
		})
	}
}

// TestServerViewOfTheShutoffEdition keeps the server SHUTOFF while its disk is replaced and loses the answer:
// neither a second request nor an early verdict may come of it.
func TestServerViewOfTheShutoffEdition(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{
		Edition: emulator.Edition{RebuildView: "shutoff"},
		Speed:   4,
		// Many settle times long, so the view alone would mislead.
		Timing: emulator.Timing{ChangeOS: emulator.Span{Median: 4 * time.Minute}},
		Faults: []emulator.Fault{{Op: "changeos", Kind: "drop_after", Times: 1}},
	})
	lab.StartWorker(nil)
	before := lab.Server("SHUTOFF")
	image := lab.OtherImage(before)
	run := lab.Start(before.ID, rollout.Change{ImageID: image.ID})
	requireDoneOnce(t, lab, before, image, lab.Result(run))
	assert.Equal(t, 1, requests(lab, changeOSv2), "the time of its last work gives the change away, and nothing is sent again")
	lab.Replay(run)
}

// TestJobs covers what jobs can do instead of succeeding.
func TestJobs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault emulator.Fault
		end   rollout.ServerEnd
	}{
		{"fails with the old disk", emulator.Fault{Kind: "job_fail", Variant: "intact"}, rollout.FailedIntact},
		{"fails with a new disk", emulator.Fault{Kind: "job_fail", Variant: "changed"}, rollout.FailedChanged},
		{"fails without a disk", emulator.Fault{Kind: "job_fail", Variant: "lost"}, rollout.FailedLost},
		{"is forgotten", emulator.Fault{Kind: "job_forgotten"}, rollout.Done},
		{"the server vanishes", emulator.Fault{Kind: "vanish"}, rollout.Vanished},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.fault.Op = "changeos"
			lab := machine.NewLab(t, emulator.Options{Faults: []emulator.Fault{test.fault}})
			lab.StartWorker(nil)
			before := lab.Server("SHUTOFF")
			run := lab.Start(before.ID, rollout.Change{ImageID: lab.OtherImage(before).ID})
			result := lab.Result(run)
			assert.Equal(t, test.end, result.End, result.Reason)
			assert.Equal(t, 1, lab.Accepted(before.ID))
			after, exists := lab.Cloud.Server(before.ID)
			require.Equal(t, exists, result.After.Exists)
			assert.Equal(t, after.SystemVolumeID, result.After.VolumeID, "the report shows what is really there")
			lab.Replay(run)
		})
	}
}
