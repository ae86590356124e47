package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/document"
)

// TestPlanAsAChildOfAnotherProgram: a workflow of another program, on a worker of its own, has a plan made that is large enough
// to be compressed.
func TestPlanAsAChildOfAnotherProgram(t *testing.T) {
	t.Parallel()
	const servers = 400
	lab := machine.NewLab(t, emulator.Options{Servers: servers})
	lab.StartWorker(nil)
	doc := document.Rollout{APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: "as-a-child"}}
	doc.Spec.Select.Names = []string{"*"}
	doc.Spec.Image.ID = lab.OtherImage(lab.Server("ACTIVE")).ID
	doc.Spec.Servers = document.States{Unfit: document.RuleSkip, Locked: document.RuleSkip, Error: document.RuleSkip}

	theirs, err := client.Dial(client.Options{HostPort: lab.Temporal.Address, DataConverter: api.DataConverter()})
	require.NoError(t, err)
	defer theirs.Close()
	queue := "theirs-" + lab.Queue
	w := worker.New(theirs, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, in api.PlanRolloutInput) (int, error) {
		ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{TaskQueue: lab.Queue})
		var planned api.PlanRolloutResult
		err := workflow.ExecuteChildWorkflow(ctx, api.PlanRolloutName, in).Get(ctx, &planned)
		if err != nil || planned.Plan == nil {
			return 0, err
		}
		return len(planned.Plan.Servers) + len(planned.Plan.Skipped), planned.Plan.Verify()
	}, workflow.RegisterOptions{Name: "Theirs"})
	require.NoError(t, w.Start())
	defer w.Stop()

	run, err := theirs.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, "Theirs", api.PlanRolloutInput{Document: doc})
	require.NoError(t, err)
	var planned int
	require.NoError(t, run.Get(t.Context(), &planned))
	assert.Equal(t, servers, planned)

	var completed bool
	for _, event := range lab.History(t.Context(), t, run).GetEvents() {
		if child := event.GetChildWorkflowExecutionCompletedEventAttributes(); child != nil {
			completed = true
			var plan api.PlanRolloutResult
			err := converter.GetDefaultDataConverter().FromPayloads(child.GetResult(), &plan)
			assert.ErrorContains(t, err, "encoding is not supported", "otherwise this test proves nothing")
		}
	}
	assert.True(t, completed)
}
