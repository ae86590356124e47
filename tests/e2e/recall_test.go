package e2e

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

var (
	recallServers = flag.Int("recall-servers", 40, "how many servers are in flight when the rollout of TestAbortRecallsWhatWasNotSubmitted is aborted")
	recallCalls   = flag.String("recall-calls", "15", "how many calls a second its worker may make")
)

// recallLimit is how long after a command was accepted a server may still be stopped or changed.
const recallLimit = 2 * time.Second

// TestAbortRecallsWhatWasNotSubmitted aborts a rollout with every server in flight and half of them submitted. Within
// two seconds nothing more is stopped and no change is sent; what was stopped runs again with its old disk.
func TestAbortRecallsWhatWasNotSubmitted(t *testing.T) {
	t.Parallel()
	n := *recallServers
	lab := recallLab(t, n, 30*time.Second, *recallCalls)
	plan := lab.Plan("abort-recalls", n, n)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	half := func() bool { return countWrites(lab, emulator.OpChangeOS, time.Time{}) >= n/2 }
	require.Eventually(t, half, harness.Patience, 500*time.Millisecond, "half of the changes were accepted")

	asked := time.Now()
	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Abort})
	answered := time.Since(asked)
	require.NoError(t, err)
	t.Logf("%d in flight, %d submitted: answered after %s", n, countWrites(lab, emulator.OpChangeOS, time.Time{}), answered)
	result := lab.Rolled(run)

	accepted := commandAccepted(t, lab, run, string(rollout.Abort))
	stops, changes := countWrites(lab, emulator.OpStop, accepted.Add(recallLimit)), countWrites(lab, emulator.OpChangeOS, accepted.Add(recallLimit))
	t.Logf("%d in flight: accepted after %s, answered after %s; since it was accepted: %s; %s; ended after %s",
		n, accepted.Sub(asked), answered, writesSince(lab, accepted), result.Counts, time.Since(accepted))
	assert.Zero(t, stops, "stops after the abort")
	assert.Zero(t, changes, "changes after the abort")
	assert.Equal(t, rollout.Aborted, result.End)
	requireUntouchedOrDone(t, lab, result, plan.Servers)
	lab.ReplayRuns(run)
}

// TestAFailureHoldsAndThenRecalls: the first job of many in flight fails. No further server is stopped from two seconds
// after that on, minutes before the verdict; and from two seconds after the verdict on no change is sent.
func TestAFailureHoldsAndThenRecalls(t *testing.T) {
	t.Parallel()
	const n = 20
	lab := recallLab(t, n, 3*time.Second, "5", emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: emulator.VariantIntact, Times: 1})
	run := lab.Roll(api.RolloutInput{Plan: lab.Plan("failure-recalls", n, n)})
	paused := lab.Await(run, "the pause", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused && len(p.InFlight) == 0 })

	var suspected time.Time
	for _, entry := range paused.Log {
		if strings.HasPrefix(entry.What, "starts nothing until it is known whether ") {
			suspected = entry.At
		}
	}
	require.False(t, suspected.IsZero(), "%v", paused.Log)
	require.Len(t, paused.Failures, 1)
	assert.True(t, suspected.Before(paused.Failures[0].EndedAt))
	assert.Zero(t, countWrites(lab, emulator.OpStop, suspected.Add(recallLimit)), "stops after the job failed")
	assert.Zero(t, countWrites(lab, emulator.OpChangeOS, paused.Failures[0].EndedAt.Add(recallLimit)), "changes after the verdict")
	changed := countWrites(lab, emulator.OpChangeOS, time.Time{}) - 1
	assert.Equal(t, rollout.Counts{Servers: n, Done: changed, Failed: 1, Pending: n - changed - 1}, paused.Counts)
	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Abort})
	require.NoError(t, err)
	assert.Equal(t, rollout.Counts{Servers: n, Done: changed, Failed: 1, NotStarted: n - changed - 1}, lab.Rolled(run).Counts)
	lab.ReplayRuns(run)
}

// recallLab has a worker that makes so few calls that servers are at every step at once.
func recallLab(t *testing.T, n int, change time.Duration, calls string, faults ...emulator.Fault) *harness.Lab {
	t.Helper()
	lab := machine.NewLab(t, emulator.Options{
		Servers: n, Speed: 1, Faults: faults, Timing: emulator.Timing{
			Stop: emulator.Span{Median: 3 * time.Second}, Start: emulator.Span{Median: 2 * time.Second}, ChangeOS: emulator.Span{Median: change},
		},
	})
	// Hundreds that look five times a second would leave no call for the next step.
	lab.StartWorker(map[string]string{"REIMAGE_CALLS_PER_SECOND": calls, "REIMAGE_POLL_INTERVAL": "1s"})
	return lab
}

// countWrites counts the writes of a kind that the cloud accepted after a time.
func countWrites(lab *harness.Lab, op string, after time.Time) (n int) {
	for _, write := range untilSubmitted(lab) {
		if write.Op == op && write.Time.After(after) {
			n++
		}
	}
	return n
}

// untilSubmitted are the writes to each server up to the acceptance of its change: after that it is finished, and one that
// was stopped before is stopped again.
func untilSubmitted(lab *harness.Lab) (all []emulator.Write) {
	for _, server := range lab.Cloud.Ledger().Servers {
		for _, write := range server.Writes {
			all = append(all, write)
			if write.Op == emulator.OpChangeOS {
				break
			}
		}
	}
	return all
}

// writesSince lists the stops and changes that the cloud accepted after a time, and how long after it.
func writesSince(lab *harness.Lab, since time.Time) string {
	found := "stops and changes"
	for _, write := range untilSubmitted(lab) {
		if write.Op != emulator.OpStart && write.Time.After(since) {
			found += fmt.Sprintf(" %s %s", write.Op, write.Time.Sub(since).Round(10*time.Millisecond))
		}
	}
	return found
}

// commandAccepted is when Temporal accepted the command.
func commandAccepted(t *testing.T, lab *harness.Lab, run client.WorkflowRun, kind string) time.Time {
	t.Helper()
	for _, history := range lab.Runs(run) {
		for _, event := range history.GetEvents() {
			update := event.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput()
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED && update.GetName() == kind {
				return event.GetEventTime().AsTime()
			}
		}
	}
	require.FailNow(t, "the command was not accepted")
	return time.Time{}
}

// requireUntouchedOrDone holds every server against the report: done with one change, or as before and with its power.
func requireUntouchedOrDone(t *testing.T, lab *harness.Lab, result api.RolloutResult, before []rollout.PlannedServer) {
	t.Helper()
	changed, n := 0, len(before)
	for _, planned := range before {
		if server, ok := lab.Cloud.Server(planned.ID); assert.True(t, ok) && lab.Accepted(planned.ID) == 0 {
			assert.Equal(t, planned.Before.VolumeID, server.SystemVolumeID, server.Name)
			assert.Equal(t, planned.Status, server.Status, "%s has the power that it had", server.Name)
			assert.Empty(t, server.TaskState, server.Name)
		}
	}
	for id, account := range lab.Cloud.Ledger().Servers {
		server, ok := lab.Cloud.Server(id)
		require.True(t, ok)
		assert.LessOrEqual(t, account.ChangeOSAccepted, 1, server.Name)
		changed += account.ChangeOSAccepted
	}
	assert.Equal(t, rollout.Counts{Servers: n, Done: changed, NotStarted: n - changed}, result.Counts)
}
