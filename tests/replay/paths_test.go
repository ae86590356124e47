package replay

import (
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// path is one way through a workflow, driven on real parts.
type path struct {
	name   string
	cloud  emulator.Options
	status string // of the server that is changed
	change rollout.Change
	// soak watches the health of the server for so long. Zero asks for no health.
	soak time.Duration
	// during acts while the change runs.
	during func(*harness.Lab, *stack.Worker, client.WorkflowRun)
	end    rollout.ServerEnd // empty for a change that ends as canceled
	// dismiss records the dismissal of the change once it has ended, and not the change.
	dismiss bool
}

// health is what the application of a server has to answer.
func health() *rollout.Health {
	return &rollout.Health{Checks: []rollout.HealthCheck{
		{Type: rollout.CheckHTTP, Port: 8080, Path: "/health", Address: rollout.AddressFixed, StableFor: time.Second, Within: 8 * time.Second},
	}}
}

func paths() []path {
	fault := func(kind emulator.FaultKind, variant string) emulator.Options {
		return emulator.Options{Faults: []emulator.Fault{{Op: emulator.OpChangeOS, Kind: kind, Variant: variant}}}
	}
	slow := emulator.Options{Speed: 6}
	return []path{
		{name: "changeos-done", status: "ACTIVE", end: rollout.Done},
		{name: "changeos-job-failed", status: "ACTIVE", cloud: fault(emulator.JobFail, emulator.VariantIntact), end: rollout.FailedIntact},
		{name: "changeos-submit-unknown-accepted", status: "SHUTOFF", cloud: fault(emulator.DropAfter, ""), end: rollout.Done},
		{name: "changeos-submit-unknown-not-accepted", status: "SHUTOFF", cloud: fault(emulator.DropBefore, ""), end: rollout.Done},
		{name: "changeos-refused", status: "SHUTOFF", cloud: emulator.Options{Faults: []emulator.Fault{
			{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Status: 400, Code: "Ecs.0021", Message: "The EVS quota is used up."},
		}}, end: rollout.FailedIntact},
		{name: "changeos-powered-off", status: "ACTIVE", change: rollout.Change{Power: rollout.PowerOff}, end: rollout.Done},
		{name: "changeos-cancelled", status: "ACTIVE", cloud: slow, during: func(lab *harness.Lab, _ *stack.Worker, run client.WorkflowRun) {
			lab.AwaitStep(run, api.StepStop)
			require.NoError(lab.T, lab.Temporal.Client.CancelWorkflow(lab.T.Context(), run.GetID(), run.GetRunID()))
		}},
		{name: "changeos-cancelled-too-late", status: "ACTIVE", cloud: slow, during: func(lab *harness.Lab, _ *stack.Worker, run client.WorkflowRun) {
			lab.AwaitStep(run, api.StepWait)
			require.NoError(lab.T, lab.Temporal.Client.CancelWorkflow(lab.T.Context(), run.GetID(), run.GetRunID()))
		}, end: rollout.Done},
		{name: "changeos-worker-killed", status: "ACTIVE", cloud: slow, during: func(lab *harness.Lab, worker *stack.Worker, run client.WorkflowRun) {
			lab.AwaitStep(run, api.StepWait)
			require.NoError(lab.T, worker.Kill())
			lab.StartWorker(nil)
		}, end: rollout.Done},
		{name: "changeos-unpaid", status: "ACTIVE", cloud: fault(emulator.JobStuck, emulator.VariantPendingPayment), change: rollout.Change{Deadline: 10 * time.Second}, end: rollout.FailedChanged},
		{name: "changeos-healthy", status: "SHUTOFF", cloud: emulator.Options{Applications: true}, soak: 3 * time.Second, end: rollout.Done},
		{name: "changeos-unhealthy", status: "ACTIVE", cloud: emulator.Options{Applications: true, Faults: []emulator.Fault{
			{Op: emulator.OpApplication, Kind: emulator.AppDead, Times: -1},
		}}, soak: 3 * time.Second, end: rollout.FailedUnhealthy},
		{name: "dismiss-change", status: "SHUTOFF", cloud: fault(emulator.JobStuck, emulator.VariantPendingPayment), change: rollout.Change{Deadline: 10 * time.Second}, end: rollout.FailedChanged, dismiss: true},
	}
}
