package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
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

// TestStatusTellsOfAPayment: an order that waits for one looks like any other wait, and only a human can end it.
func TestStatusTellsOfAPayment(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 1, Faults: []emulator.Fault{
		{Op: "changeos", Kind: "job_stuck", Variant: "pending_payment", Delay: 30 * time.Minute}, // a minute
	}})
	lab.StartWorker(nil)
	plan := lab.Plan("unpaid", 1, 1)
	run := lab.Roll(workflows.RolloutInput{Plan: plan})
	server := plan.Servers[0]

	var one string
	lab.Eventually("the server's status tells of the payment", func() bool {
		one = machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue).Out
		return strings.Contains(one, "which begins when its order is paid: pay it in the cloud's console, or cancel it there")
	})
	assert.Contains(t, one, server.Name+" ("+server.ID+"): wait since ")
	assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--output", "json", "--task-queue", lab.Queue).Out, `"job_status": "PENDING_PAYMENT"`)
	assert.Contains(t, machine.CLI(t, "status", "unpaid").Out, "unpaid: pay or cancel its order")
	assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--wait", "--task-queue", lab.Queue).ErrOut, "which begins when its order is paid")

	assert.Equal(t, rollout.Completed, lab.Rolled(run).End, "somebody has paid")
}

// TestPaymentThatNobodyMakes: the order waits at the deadline and may be paid and carried out at any time
// after it. The server is not done, its disk is not safe, and starting it would only disturb.
func TestPaymentThatNobodyMakes(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Faults: []emulator.Fault{{Op: "changeos", Kind: "job_stuck", Variant: "pending_payment"}}})
	lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	ran := machine.CLI(t, "server", before.ID, "--image", lab.OtherImage(before).ID, "--deadline", "10s", "--yes", "--output", "json", "--task-queue", lab.Queue)

	assert.Equal(t, 2, ran.Code)
	var result rollout.ServerResult
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &result))
	assert.NotContains(t, []rollout.ServerEnd{rollout.Done, rollout.FailedIntact, rollout.NotStarted, rollout.Skipped}, result.End, result.Reason)
	assert.Contains(t, result.Reason, "PENDING_PAYMENT: pay its order in the cloud's console, or cancel it there, before the server is tried again")
	for _, write := range lab.Cloud.Ledger().Servers[before.ID].Writes {
		assert.NotEqual(t, emulator.OpStart, write.Op, "nothing else is asked of a server with an open order")
	}
	assert.Equal(t, 1, lab.Accepted(before.ID))
	lab.Replay(machine.Temporal.Client.GetWorkflow(t.Context(), workflows.ChangeOSID(emulator.DefaultProjectID, before.ID), ""))
}
