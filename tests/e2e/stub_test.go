package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
	"github.com/reimage/reimage/workflows"
)

// stubs are a rollout whose servers end when the test says so: real workflows on the real Temporal server, but
// their work is to wait for a signal. They have a queue and a worker of their own, so that the test can take
// away whoever serves the rollout and let its servers go on.
type stubs struct {
	lab  *harness.Lab
	plan rollout.Plan
	run  client.WorkflowRun
}

const endSignal = "end"

func newStubs(t *testing.T, lab *harness.Lab, plan rollout.Plan) *stubs {
	t.Helper()
	servers := worker.New(lab.Temporal.Client, lab.Queue+"-servers", worker.Options{DisableRegistrationAliasing: true})
	servers.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ api.ChangeOSInput) (rollout.ServerResult, error) {
		var result rollout.ServerResult
		workflow.GetSignalChannel(ctx, endSignal).Receive(ctx, &result)
		return result, nil
	}, workflow.RegisterOptions{Name: api.ChangeOSName})
	require.NoError(t, servers.Start())
	t.Cleanup(servers.Stop)
	return &stubs{lab: lab, plan: plan}
}

// serve starts a worker of the rollout. Stop takes it away.
func (s *stubs) serve() worker.Worker {
	s.lab.T.Helper()
	w := worker.New(s.lab.Temporal.Client, s.lab.Queue, worker.Options{
		DisableRegistrationAliasing: true, Interceptors: []interceptor.WorkerInterceptor{&toTheirQueue{queue: s.lab.Queue + "-servers"}},
	})
	w.RegisterWorkflowWithOptions(workflows.Rollout, workflow.RegisterOptions{Name: api.RolloutName})
	require.NoError(s.lab.T, w.Start())
	return w
}

// end ends a server.
func (s *stubs) end(server int, result rollout.ServerResult) {
	s.lab.T.Helper()
	id := api.ChangeOSID(s.plan.Project, s.plan.Servers[server].ID)
	require.NoError(s.lab.T, s.lab.Temporal.Client.SignalWorkflow(s.lab.T.Context(), id, "", endSignal, result))
}

// done is how a server ends that was changed.
func (s *stubs) done() rollout.ServerResult {
	return rollout.ServerResult{End: rollout.Done, After: rollout.Observation{
		Fingerprint: rollout.Fingerprint{ImageID: s.plan.Change.ImageID, VolumeID: "a-new-one"}, Exists: true, Status: rollout.StatusActive,
	}}
}

// await waits until the history has so many events of the type.
func (s *stubs) await(kind enums.EventType, n int) {
	s.lab.T.Helper()
	s.lab.Eventually(kind.String(), func() bool { return len(s.events(kind)) >= n })
}

// events are the events of the type.
func (s *stubs) events(kind enums.EventType) []*history.HistoryEvent {
	s.lab.T.Helper()
	var found []*history.HistoryEvent
	for _, event := range s.lab.History(s.lab.T.Context(), s.lab.T, s.run).GetEvents() {
		if event.GetEventType() == kind {
			found = append(found, event)
		}
	}
	return found
}

// toTheirQueue sends the servers' workflows to a queue of their own.
type toTheirQueue struct {
	interceptor.WorkerInterceptorBase
	queue string
}

func (q *toTheirQueue) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &queueInbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, queue: q.queue}
}

type queueInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	queue string
}

func (i *queueInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&queueOutbound{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, queue: i.queue})
}

type queueOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	queue string
}

func (o *queueOutbound) ExecuteChildWorkflow(ctx workflow.Context, childType string, args ...any) workflow.ChildWorkflowFuture {
	options := workflow.GetChildWorkflowOptions(ctx)
	options.TaskQueue = o.queue
	return o.Next.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), childType, args...)
}
