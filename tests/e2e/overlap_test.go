package e2e

import (
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

// TestRolloutsThatMeet lets two rollouts want the same servers at the same time, each in its turn the one that comes
// too late. One skips at once what the other holds; the other waits, and finds servers that have been changed
// meanwhile. No server is changed twice, whatever the images are, and each says what really became of its servers.
func TestRolloutsThatMeet(t *testing.T) {
	t.Parallel()
	for name, sameImage := range map[string]bool{"one image": true, "two images": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Servers: 9})
			one, two := lab.Plan("meets-one-"+name[:3], 3, 9), lab.Plan("meets-two-"+name[:3], 3, 9)
			one.BusyWait, two.BusyWait = 0, time.Hour
			two.Budget.Count = ptr(6)
			if !sameImage {
				two.Change.ImageID = otherImage(t, lab, one)
			}
			require.NoError(t, one.Seal())
			require.NoError(t, two.Seal())
			ones, twos, last := one.Servers[:3], one.Servers[3:6], one.Servers[6:]
			gate := newGate(t, lab, one.Servers)
			lab.StartWorker(gate.worker())

			first := lab.Roll(api.RolloutInput{Plan: one})
			awaitInFlight(lab, first, ones)
			second := lab.Roll(api.RolloutInput{Plan: two})
			awaitInFlight(lab, second, twos)
			for _, server := range servers(t, lab, second)[:3] {
				assert.Equal(t, rollout.Busy, server.State, server.Name)
				assert.Contains(t, server.Reason, "busy: held by rollout "+one.Name+" since ", server.Name)
				assert.Zero(t, server.Attempts, "%s: a lock that was not had is no attempt", server.Name)
			}

			gate.open(ones)
			awaitInFlight(lab, first, last)
			for _, server := range servers(t, lab, first)[3:6] {
				assert.Equal(t, rollout.Skipped, server.End, server.Name)
				assert.Contains(t, server.Reason, "busy: held by rollout "+two.Name+" since ", server.Name)
			}
			assert.Equal(t, 3, accepted(lab, one), "only those that the gate let through")

			gate.open(twos)
			gate.open(last)
			a, b := lab.Rolled(first), lab.Rolled(second)
			assert.Equal(t, rollout.Completed, a.End)
			assert.Equal(t, rollout.Counts{Servers: 9, Done: 6, Skipped: 3}, a.Counts)
			// It found six servers changed: as it wanted it, or with a disk that is not its to destroy.
			end, counts, tooLate, why := rollout.Completed, rollout.Counts{Servers: 9, Done: 3, Skipped: 6}, rollout.Skipped, "it is on the image already"
			if !sameImage {
				end, counts, tooLate, why = rollout.CompletedWithFailures, rollout.Counts{Servers: 9, Done: 3, Failed: 6}, rollout.NotStarted, "has changed since it was looked at"
			}
			assert.Equal(t, end, b.End)
			assert.Equal(t, counts, b.Counts)
			for i, server := range servers(t, lab, second) {
				if 3 <= i && i < 6 {
					assert.Equal(t, rollout.Done, server.End, server.Name)
				} else {
					assert.Equal(t, tooLate, server.End, server.Name)
					assert.Contains(t, server.Reason, why, server.Name)
				}
			}
			for i, server := range one.Servers {
				after, _ := lab.Cloud.Server(server.ID)
				want := one.Change.ImageID
				if 3 <= i && i < 6 {
					want = two.Change.ImageID
				}
				assert.Equal(t, want, after.ImageID, server.Name)
				assert.Equal(t, 1, lab.Accepted(server.ID), "%s: changes accepted", server.Name)
			}
			lab.ReplayRuns(first)
			lab.ReplayRuns(second)
		})
	}
}

// awaitInFlight waits until exactly these servers of a rollout are in flight, and it holds the lock of each. A rollout
// says so of a server that it is about to start, too, when another one may yet come first.
func awaitInFlight(lab *harness.Lab, run client.WorkflowRun, want []rollout.PlannedServer) {
	lab.T.Helper()
	lab.Await(run, "exactly the expected servers in flight", func(p rollout.Progress) bool {
		if len(p.InFlight) != len(want) {
			return false
		}
		for i, server := range p.InFlight {
			if server.ID != want[i].ID || !holds(lab, run, p.Project, server.ID) {
				return false
			}
		}
		return true
	})
}

// holds is true while the rollout's own workflow changes the server.
func holds(lab *harness.Lab, run client.WorkflowRun, project, server string) bool {
	description, err := lab.Temporal.Client.DescribeWorkflowExecution(lab.T.Context(), api.ChangeOSID(project, server), "")
	info := description.GetWorkflowExecutionInfo()
	return err == nil && info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING && info.GetParentExecution().GetWorkflowId() == run.GetID()
}

// servers are the servers of a rollout, in the order of its plan.
func servers(t *testing.T, lab *harness.Lab, run client.WorkflowRun) []rollout.ServerProgress {
	t.Helper()
	answer, err := lab.Temporal.Client.QueryWorkflow(t.Context(), run.GetID(), "", api.ServersQuery, api.ServersPage{Limit: api.MaxServersPage})
	require.NoError(t, err)
	var page api.ServersAnswer
	require.NoError(t, answer.Get(&page))
	return page.Servers
}

// accepted is how many changes the cloud has accepted for the servers of a plan.
func accepted(lab *harness.Lab, plan rollout.Plan) int {
	n := 0
	for _, server := range plan.Servers {
		n += lab.Accepted(server.ID)
	}
	return n
}

// otherImage is an image that fits the servers and that they run neither before nor after the plan.
func otherImage(t *testing.T, lab *harness.Lab, plan rollout.Plan) string {
	t.Helper()
	for _, image := range lab.Cloud.Images() {
		if image.Name == "Ubuntu 24.04 server 64bit" {
			require.NotEqual(t, plan.Change.ImageID, image.ID)
			require.NotEqual(t, plan.Servers[0].Before.ImageID, image.ID)
			return image.ID
		}
	}
	require.FailNow(t, "the emulator has no such image")
	return ""
}
