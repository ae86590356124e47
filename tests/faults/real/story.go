package real

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
)

// reader reads in the history of one run of a rollout what the rollout did and what it learned, by its own clock.
type reader struct {
	t      testing.TB
	plan   rollout.Plan
	events []*history.HistoryEvent

	now      time.Time      // of the workflow task that acts
	heard    []faults.Event // what the next workflow task learns
	story    []faults.Event
	children []child
}

// read goes through the history. What a workflow task does stands behind its end, and what the next one learns, too.
func (r *reader) read() {
	for _, event := range r.events {
		switch event.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			r.act(event.GetWorkflowTaskCompletedEventAttributes())
		case enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			r.start(event)
		case enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
			started := event.GetChildWorkflowExecutionStartedEventAttributes().GetWorkflowExecution()
			r.children = append(r.children, child{serverOf(started.GetWorkflowId()), started.GetRunId()})
		case enums.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
			completed := event.GetChildWorkflowExecutionCompletedEventAttributes()
			var result rollout.ServerResult
			r.decode(completed.GetResult(), &result)
			r.hear(completed.GetWorkflowExecution().GetWorkflowId(), result)
		case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			r.adopted(event.GetActivityTaskCompletedEventAttributes())
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
			r.obey(event.GetWorkflowExecutionUpdateCompletedEventAttributes())
		}
	}
}

// act begins what a workflow task does: it knows all that was heard by then.
func (r *reader) act(task *history.WorkflowTaskCompletedEventAttributes) {
	r.now = r.event(task.GetStartedEventId()).GetEventTime().AsTime()
	for _, e := range r.heard {
		e.At = r.now
		r.story = append(r.story, e)
	}
	r.heard = nil
}

func (r *reader) start(event *history.HistoryEvent) {
	for _, later := range r.events[event.GetEventId():] {
		if later.GetStartChildWorkflowExecutionFailedEventAttributes().GetInitiatedEventId() == event.GetEventId() {
			return // somebody else held the server
		}
	}
	var order api.ChangeOSInput
	r.decode(event.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetInput(), &order)
	r.story = append(r.story, faults.Event{At: r.now, What: faults.Started, Server: order.ServerID, Back: order.Change.ImageID != r.plan.Change.ImageID})
}

func (r *reader) hear(workflowID string, result rollout.ServerResult) {
	r.heard = append(r.heard, faults.Event{What: faults.Heard, Server: serverOf(workflowID), Result: result})
}

// adopted hears of a server that an earlier run had started.
func (r *reader) adopted(completed *history.ActivityTaskCompletedEventAttributes) {
	scheduled := r.event(completed.GetScheduledEventId()).GetActivityTaskScheduledEventAttributes()
	if scheduled.GetActivityType().GetName() != contract.AwaitServer {
		return
	}
	var in contract.AwaitServerInput
	var end contract.AwaitServerResult
	r.decode(scheduled.GetInput(), &in)
	r.decode(completed.GetResult(), &end)
	if end.Result == nil {
		end.Result = new(rollout.ServerResult)
	}
	r.hear(in.WorkflowID, *end.Result)
}

// obey notes a command that was carried out.
func (r *reader) obey(completed *history.WorkflowExecutionUpdateCompletedEventAttributes) {
	if completed.GetOutcome().GetSuccess() == nil {
		return
	}
	accepted := r.event(completed.GetAcceptedEventId()).GetWorkflowExecutionUpdateAcceptedEventAttributes()
	e := faults.Event{At: r.now, What: faults.Commanded}
	r.decode(accepted.GetAcceptedRequest().GetInput().GetArgs(), &e.Command)
	r.story = append(r.story, e)
}

func (r *reader) event(id int64) *history.HistoryEvent { return r.events[id-1] }

func (r *reader) decode(payloads *commonpb.Payloads, into any) {
	r.t.Helper()
	require.NoError(r.t, api.DataConverter().FromPayloads(payloads, into))
}

func serverOf(workflowID string) string { return workflowID[strings.LastIndex(workflowID, "/")+1:] }
