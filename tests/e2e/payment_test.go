package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestStatusTellsOfAPayment: an order that waits for one looks like any other wait, and only a human can end it.
func TestStatusTellsOfAPayment(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 1, Faults: []emulator.Fault{
		{Op: "changeos", Kind: "job_stuck", Variant: "pending_payment", Delay: 30 * time.Minute}, // a minute
	}})
	lab.StartWorker(nil)
	plan := lab.Plan("unpaid", 1, 1)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	server := plan.Servers[0]
	watch := machine.Command(t, "watch", "unpaid") // as a build log
	watch.Start()

	var one string
	lab.Eventually("the server's status tells of the payment", func() bool {
		one = machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue).Out
		return strings.Contains(one, "which begins when its order is paid: pay it in the cloud's console, or cancel it there")
	})
	assert.Contains(t, one, server.Name+" ("+server.ID+") of rollout unpaid: wait since ")
	assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--output", "json", "--task-queue", lab.Queue).Out, `"job_status": "PENDING_PAYMENT"`)
	assert.Contains(t, machine.CLI(t, "status", "unpaid").Out, "unpaid: pay or cancel its order")
	assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--wait", "--task-queue", lab.Queue).ErrOut, "which begins when its order is paid")

	assert.Contains(t, watch.Wait().Out, "unpaid: "+server.Name+" ("+server.ID+") begins when its order is paid: pay it in the cloud's console, or cancel it there; it is judged at ")
	assert.Equal(t, rollout.Completed, lab.Rolled(run).End, "somebody has paid")
}

// unpaid is a cloud in which nobody pays the order of the first change.
func unpaid() emulator.Options {
	return emulator.Options{Faults: []emulator.Fault{{Op: "changeos", Kind: "job_stuck", Variant: "pending_payment", Times: 1}}}
}

// TestPaymentThatNobodyMakes: the order waits at the deadline and may be paid and carried out at any time after it. The
// server is not done, its disk is not safe, and another change would be a second order, until a human says that nothing
// comes of the first.
func TestPaymentThatNobodyMakes(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unpaid())
	lab.StartWorker(nil)
	before := lab.Server("ACTIVE")
	run := func(args ...string) (harness.Ran, rollout.ServerResult) {
		ran := machine.CLI(t, append(append([]string{"server"}, args...), "--yes", "--output", "json", "--task-queue", lab.Queue)...)
		var result rollout.ServerResult
		if ran.Out != "" {
			require.NoError(t, json.Unmarshal([]byte(ran.Out), &result))
		}
		return ran, result
	}
	change := []string{before.ID, "--image", lab.OtherImage(before).ID, "--deadline", "10s"}

	ran, first := run(change...)
	assert.Equal(t, 2, ran.Code)
	assert.Equal(t, rollout.FailedChanged, first.End, first.Reason)
	assert.Contains(t, first.Reason, "PENDING_PAYMENT: pay its order in the cloud's console, or cancel it there and say so with reimage server forget "+before.ID+", before the server is tried again")
	for _, write := range lab.Cloud.Ledger().Servers[before.ID].Writes {
		assert.NotEqual(t, emulator.OpStart, write.Op, "nothing else is asked of a server with an open order")
	}
	lab.Replay(machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, before.ID), ""))

	ran, _ = run(change...)
	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.ErrOut, "has an earlier change that may still come: its job "+first.JobID+" is PENDING_PAYMENT")
	document := filepath.Join(t.TempDir(), "rollout.yaml")
	require.NoError(t, os.WriteFile(document, []byte("apiVersion: reimage/v1\nkind: Rollout\nmetadata: {name: anew}\nspec:\n  select: {ids: ["+before.ID+"]}\n"+
		"  image: {id: "+lab.OtherImage(before).ID+"}\n  servers: {stopped: change}\n"), 0o600))
	planned := machine.CLI(t, "plan", "-f", document, "--task-queue", lab.Queue)
	assert.Equal(t, 1, planned.Code)
	stands := machine.CLI(t, "server", "status", before.ID, "--task-queue", lab.Queue)
	assert.Contains(t, stands.ErrOut, "job "+first.JobID+" (workflow changeos/"+emulator.DefaultProjectID+"/"+before.ID+", run ")
	assert.Contains(t, stands.ErrOut, ") was not seen to its end, as judged at ", "though the latest run was refused for it")
	assert.Contains(t, planned.ErrOut, "1 server with an earlier change that may still come: "+before.Name+" (its job "+first.JobID+" is PENDING_PAYMENT)")
	assert.Equal(t, 1, lab.Accepted(before.ID), "nobody has ordered twice")

	asked := machine.Command(t, "server", "forget", before.ID, "--by", "ina", "--task-queue", lab.Queue).Run("no\n")
	assert.Equal(t, 1, asked.Code)
	assert.Contains(t, asked.ErrOut, "Type yes if nothing more comes of them (an unpaid order: it is cancelled)", "nothing stands against it")
	assert.Contains(t, asked.ErrOut, "no consent was given")
	lab.Replay(machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, before.ID), ""))
	ran, _ = run(change...)
	assert.Contains(t, ran.ErrOut, "has an earlier change that may still come", "a check dismisses nothing")
	ran, forgotten := run("forget", before.ID, "--by", "ina", "--comment", "order 4711 is cancelled")
	assert.Equal(t, 0, ran.Code)
	assert.Equal(t, rollout.FailedChanged, forgotten.End, "what was seen of it stays")
	assert.Equal(t, "nothing more comes of its change, says ina (order 4711 is cancelled)", forgotten.Reason)
	lab.Replay(machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, before.ID), ""))
	assert.Contains(t, machine.CLI(t, "server", "status", before.ID, "--task-queue", lab.Queue).Out, "says ina")
	ran = machine.CLI(t, "server", "forget", before.ID, "--yes", "--by", "ina", "--output", "json", "--task-queue", lab.Queue)
	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.Out, `"error": "nothing to forget: `)
	assert.Contains(t, ran.ErrOut, "nothing to forget: server "+before.ID+" has no pending change")

	ran, last := run(change...)
	assert.Equal(t, 0, ran.Code)
	assert.Contains(t, ran.ErrOut, "is stopped since an earlier change, before which it ran, and will be left running; --power off leaves it stopped")
	assert.Equal(t, rollout.Done, last.End, last.Reason)
	after, _ := lab.Cloud.Server(before.ID)
	assert.Equal(t, "ACTIVE", after.Status)
	assert.Equal(t, 2, lab.Accepted(before.ID))
}

// TestRetryOfAnOpenOrder: a rollout sends no second one either, however often somebody retries.
func TestRetryOfAnOpenOrder(t *testing.T) {
	t.Parallel()
	options := unpaid()
	options.Servers = 1
	lab := machine.NewLab(t, options)
	lab.StartWorker(nil)
	plan := lab.Plan("open-order", 1, 1)
	plan.Change.Deadline = 10 * time.Second
	require.NoError(t, plan.Seal())
	server := plan.Servers[0]
	run := lab.Roll(api.RolloutInput{Plan: plan})
	paused := func(attempt int) rollout.ServerProgress {
		t.Helper()
		p := lab.Await(run, "it has failed and pauses", func(p rollout.Progress) bool {
			return p.Phase == rollout.PhasePaused && p.Failed == 1 && p.Failures[0].Attempts == attempt
		})
		return p.Failures[0]
	}
	retry := func() (warning string) {
		t.Helper()
		ran := machine.CLI(t, "retry", plan.Name, server.Name, "--by", "ina")
		require.Equal(t, 0, ran.Code)
		require.Equal(t, 0, machine.CLI(t, "resume", plan.Name, "--by", "ina").Code)
		return ran.ErrOut
	}

	assert.Contains(t, paused(1).Reason, "PENDING_PAYMENT")
	for attempt := 2; attempt <= 3; attempt++ {
		assert.Contains(t, retry(), "its earlier change may still come, and until that is over it is not changed again: reimage doctor --server "+server.ID)
		again := paused(attempt)
		assert.Equal(t, rollout.FailedChanged, again.End, "it is what it was")
		assert.Contains(t, again.Reason, "has an earlier change that may still come: its job ")
		assert.Contains(t, again.Reason, "reimage server forget "+server.ID+"; before that: it shows its old system disk", "what to do is not cut")
	}
	assert.Contains(t, machine.CLI(t, "status", plan.Name).Out, "reimage server forget "+server.ID)
	assert.Equal(t, 1, lab.Accepted(server.ID))

	require.Equal(t, 0, machine.CLI(t, "server", "forget", server.ID, "--yes", "--by", "ina", "--task-queue", lab.Queue).Code)
	stands := machine.CLI(t, "status", plan.Name).Out
	assert.NotContains(t, stands, "when nothing comes of its change any more", "it is forgotten")
	assert.NotContains(t, stands, "in vain")
	assert.Contains(t, stands, "no change of it that may still come is known any more (reimage server status "+server.ID+" tells of the last)")
	assert.Empty(t, retry())
	assert.Equal(t, rollout.Completed, lab.Rolled(run).End)
	after, _ := lab.Cloud.Server(server.ID)
	assert.Equal(t, server.Status, after.Status, "as before the first attempt")
	assert.Equal(t, 2, lab.Accepted(server.ID))
	lab.ReplayRuns(run)
}

// TestRolloutThatWaitsForTheHolder: the server is being changed alone when the rollout begins, and waits. By the time
// that its first attempt begins, there is an open order, of which no plan could tell.
func TestRolloutThatWaitsForTheHolder(t *testing.T) {
	t.Parallel()
	options := unpaid()
	options.Servers = 1
	lab := machine.NewLab(t, options)
	lab.StartWorker(nil)
	plan := lab.Plan("waits-for-holder", 1, 1)
	server, change := plan.Servers[0], plan.Change
	change.Deadline = 10 * time.Second
	alone := lab.Start(server.ID, change)
	lab.AwaitStep(alone, api.StepWait)
	run := lab.Roll(api.RolloutInput{Plan: plan})

	assert.Equal(t, rollout.FailedChanged, lab.Result(alone).End)
	failed := lab.Await(run, "the server is refused", func(p rollout.Progress) bool { return p.Failed == 1 }).Failures[0]
	assert.Equal(t, rollout.NotStarted, failed.End)
	assert.Contains(t, failed.Reason, "has an earlier change that may still come: its job ")
	assert.Equal(t, 1, lab.Accepted(server.ID))
}

// TestResetBehindAnOpenOrder: the first run has the job. The reset one follows it and sends nothing, whichever task it was reset
// to, and another change is refused.
func TestResetBehindAnOpenOrder(t *testing.T) {
	for name, finished := range map[string]int64{"before the look": 4, "behind the look": 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, unpaid())
			lab.StartWorker(nil)
			server := lab.Server("SHUTOFF")
			require.NoError(t, lab.Cloud.Update(server.ID, func(s *emulator.Server) { s.ChargingMode = "1" }))
			image := lab.OtherImage(server).ID
			first := lab.Start(server.ID, rollout.Change{ImageID: image, Deadline: 20 * time.Second, AutoPay: new(true)})
			lab.AwaitStep(first, api.StepWait)
			again := lab.Result(resetTo(t, first, finished))
			assert.Equal(t, rollout.FailedChanged, again.End)
			assert.Contains(t, again.Reason, "PENDING_PAYMENT")

			ran := machine.CLI(t, "server", server.ID, "--image", image, "--yes", "--task-queue", lab.Queue)
			assert.Equal(t, 1, ran.Code)
			assert.Contains(t, ran.ErrOut, "is PENDING_PAYMENT; ")
			assert.Equal(t, 1, lab.Accepted(server.ID))
		})
	}
}

// TestForgetWhatIsPaid: the order is paid after the deadline, and then the change comes, whatever anybody says.
func TestForgetWhatIsPaid(t *testing.T) {
	t.Parallel()
	options := unpaid()
	options.Faults[0].Delay = 30 * time.Minute // a minute
	lab := machine.NewLab(t, options)
	lab.StartWorker(nil)
	server := lab.Server("SHUTOFF")
	ended := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: lab.OtherImage(server).ID, Deadline: 10 * time.Second}))
	require.Equal(t, rollout.FailedChanged, ended.End, ended.Reason)
	lab.Eventually("it is paid", func() bool {
		now, _ := lab.Cloud.Server(server.ID)
		return now.TaskState != "" || now.SystemVolumeID != server.SystemVolumeID
	})
	args := []string{"server", "forget", server.ID, "--by", "ina", "--task-queue", lab.Queue}
	asked := machine.Command(t, args...).Run("yes\n")
	assert.Equal(t, 1, asked.Code)
	assert.Regexp(t, "is not forgotten: its job "+ended.JobID+" is (RUNNING: wait for its end|over \\(succeeded\\))", asked.ErrOut)
	assert.NotContains(t, asked.ErrOut, "Type yes", "it is refused before anybody is asked")
	forget := machine.CLI(t, append(args, "--yes")...)
	assert.Equal(t, 1, forget.Code)
	assert.Regexp(t, "is not forgotten: its job "+ended.JobID+" is (RUNNING: wait for its end|over \\(succeeded\\))", forget.ErrOut)
	assert.Contains(t, machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue).Out, "the change may still come", "a word that was not taken hides no change")
}

// TestDeletedHistoryIsTheLastWayOut, of a change whose job the cloud answers with trouble for good: a word is refused then, after five minutes.
func TestDeletedHistoryIsTheLastWayOut(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, unpaid())
	lab.StartWorker(nil)
	server := lab.Server("SHUTOFF")
	image := lab.OtherImage(server).ID
	change := []string{"server", server.ID, "--image", image, "--yes", "--deadline", "15s", "--task-queue", lab.Queue}
	require.Equal(t, 2, machine.CLI(t, change...).Code)
	trouble, err := http.NewRequestWithContext(t.Context(), http.MethodPut, lab.URL+"/_emulator/faults", strings.NewReader(
		`{"faults": [{"op": "job", "kind": "refuse", "status": 403, "code": "Pdp.0001", "times": -1}]}`))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(trouble)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)

	refused := machine.CLI(t, change...)
	assert.Equal(t, 1, refused.Code)
	assert.Contains(t, refused.ErrOut, "lack a permission: read job ")
	stands := machine.CLI(t, "server", "status", server.ID, "--task-queue", lab.Queue)
	named := regexp.MustCompile(`\(workflow (\S+), run (\S+)\)`).FindStringSubmatch(stands.ErrOut)
	require.Len(t, named, 3, stands.ErrOut)

	_, err = machine.Temporal.Client.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &common.WorkflowExecution{WorkflowId: named[1], RunId: named[2]},
	})
	require.NoError(t, err)
	lab.Cloud.ClearFaults()
	lab.Eventually("the change is forgotten and another one is made", func() bool { return machine.CLI(t, change...).Code == 0 })
	assert.Equal(t, 2, lab.Accepted(server.ID))
}

// TestForgetSeveral takes one word for all, and none when there is something against one.
func TestForgetSeveral(t *testing.T) {
	t.Parallel()
	options := unpaid()
	options.Faults[0].Times = 2
	lab := machine.NewLab(t, options)
	lab.StartWorker(nil)
	servers := lab.Cloud.Servers()
	one, other, third := servers[0], servers[1], servers[2]
	for _, server := range []emulator.Server{one, other} {
		ended := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: lab.OtherImage(server).ID, Deadline: 10 * time.Second, WithStopServer: true}))
		require.Equal(t, rollout.FailedChanged, ended.End, ended.Reason)
	}
	forget := func(ids ...string) harness.Ran {
		return machine.CLI(t, append([]string{"server", "forget", "--by", "ina", "--yes", "--output", "json", "--task-queue", lab.Queue}, ids...)...)
	}
	refused := forget(one.ID, third.ID, "web-01")
	assert.Equal(t, 1, refused.Code)
	assert.Contains(t, refused.ErrOut, "web-01")
	refused = forget(one.ID, third.ID)
	assert.Equal(t, 1, refused.Code)
	assert.Contains(t, refused.ErrOut, "nothing to forget: no change of server "+third.ID)
	assert.Contains(t, refused.Out, "none of them is forgotten")

	ran := forget(one.ID, other.ID)
	require.Equal(t, 0, ran.Code, ran.ErrOut)
	words := json.NewDecoder(strings.NewReader(ran.Out))
	for _, server := range []emulator.Server{one, other} {
		var word rollout.ServerResult
		require.NoError(t, words.Decode(&word))
		assert.Equal(t, server.ID, word.ServerID)
		assert.Contains(t, word.Reason, "says ina")
	}
	assert.False(t, words.More())
}
