package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
)

// TestStepsPerSecondOfAllWorkers: two workers with a limit of two steps a second keep to it together. Twenty steps are
// asked for at once. Temporal splits a queue in four, lets one step begin at once in each part and a quarter of the limit
// after that, so in six seconds no more than sixteen can begin. How slow they are in the end proves nothing and may be
// anything; without the limit they begin within a second, and with one for each worker within four.
func TestStepsPerSecondOfAllWorkers(t *testing.T) {
	t.Parallel()
	const steps, most = 20, 16
	lab := machine.NewLab(t, emulator.Options{})
	for range 2 {
		lab.StartWorker(map[string]string{"REIMAGE_ACTIVITIES_PER_SECOND": "2"})
	}
	var runs []client.WorkflowRun
	for i := range steps {
		run, err := lab.Temporal.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			ID: fmt.Sprintf("%s/%d", lab.Queue, i), TaskQueue: lab.Queue,
		}, api.DoctorName, contract.DiagnoseInput{})
		require.NoError(t, err)
		runs = append(runs, run)
	}
	var asked, begun []time.Time // as Temporal notes it
	for _, run := range runs {
		require.NoError(t, run.Get(t.Context(), nil))
		for _, event := range lab.History(t.Context(), t, run).GetEvents() {
			switch event.GetEventType() {
			case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
				asked = append(asked, event.GetEventTime().AsTime())
			case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
				begun = append(begun, event.GetEventTime().AsTime())
			}
		}
	}
	require.Len(t, begun, steps)
	first := slices.MinFunc(asked, time.Time.Compare)
	slices.SortFunc(begun, time.Time.Compare)
	assert.GreaterOrEqual(t, begun[most].Sub(first), 6*time.Second, "until the step after the %dth began; all: %s", most, begun)
}
