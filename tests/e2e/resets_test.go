package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestResetsAnywhere resets a change to each of its workflow tasks, while it is under way and after its end, and what
// comes of that once more. Whatever the cloud does, no change is accepted while an earlier one is open, and a second only
// after one whose job has failed.
func TestResetsAnywhere(t *testing.T) {
	const underWay, inAll = 4, 10 // servers that are reset before their change is over, and all
	onChange := func(kind emulator.FaultKind, variant string) emulator.Fault {
		return emulator.Fault{Op: emulator.OpChangeOS, Kind: kind, Variant: variant, Times: -1}
	}
	unpaid := onChange(emulator.JobStuck, "pending_payment")
	for name, test := range map[string]struct {
		faults []emulator.Fault
		most   int // changes of a server that are accepted
	}{
		"all is well":                     {nil, 1},
		"its answer is lost":              {[]emulator.Fault{onChange(emulator.DropAfter, "")}, 1},
		"its job fails":                   {[]emulator.Fault{onChange(emulator.JobFail, "")}, 3},
		"its order is not paid":           {[]emulator.Fault{unpaid}, 1},
		"nor is it, and no answer tells":  {[]emulator.Fault{unpaid, onChange(emulator.DropAfter, "")}, 1},
		"its job fails, and nobody tells": {[]emulator.Fault{onChange(emulator.JobFail, ""), onChange(emulator.DropAfter, "")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := machine.NewLab(t, emulator.Options{Servers: inAll, Faults: test.faults})
			whole.StartWorker(nil)
			for i, server := range whole.Cloud.Servers() {
				require.NoError(t, whole.Cloud.Update(server.ID, func(s *emulator.Server) { s.Status, s.ChargingMode = "SHUTOFF", "1" }))
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					t.Parallel()
					lab := *whole
					lab.T = t
					run := lab.Start(server.ID, rollout.Change{ImageID: lab.OtherImage(server).ID, Deadline: 15 * time.Second, Power: rollout.PowerOn})
					to := i
					if lab.Eventually("it is accepted", func() bool { return lab.Accepted(server.ID) == 1 }); i >= underWay {
						lab.Result(run)
						to -= underWay
					}
					for range 2 {
						run = resetTo(t, run, finished(t, &lab, run, to))
						lab.Result(run)
						lab.Replay(run)
					}
					account := lab.Cloud.Ledger().Servers[server.ID]
					assert.LessOrEqual(t, account.ChangeOSAccepted, test.most)
					for _, write := range account.Writes {
						assert.Empty(t, write.Beside, write.Op)
					}
				})
			}
		})
	}
}

// finished is the event that finished a task of a workflow, or its last one when it has not that many.
func finished(t *testing.T, lab *harness.Lab, run client.WorkflowRun, task int) int64 {
	t.Helper()
	var tasks []int64
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			tasks = append(tasks, event.GetEventId())
		}
	}
	require.NotEmpty(t, tasks)
	return tasks[min(task, len(tasks)-1)]
}
