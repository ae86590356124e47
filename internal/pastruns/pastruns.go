// Package pastruns stands in for what Temporal keeps of the runs of a workflow that locks a server, in tests without a
// Temporal server.
package pastruns

import (
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
)

// Run is one run.
type Run struct {
	ID      string
	Began   time.Time
	Running bool
	Forgets bool // it is the word of a human
	Submits bool // SubmitChangeOS was scheduled
	// Before is the disk that was to be replaced.
	Before rollout.Fingerprint
	// Accepted is with what it completed. Nil for not.
	Accepted *activities.SubmitChangeOSResult
	// Result is how the run ended. Nil for without one.
	Result *rollout.ServerResult
	Broken bool  // its result cannot be read
	Err    error // what reading the history ends with
}

// Info describes the run of a workflow.
func (r Run) Info(workflowID string) *workflow.WorkflowExecutionInfo {
	status := enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	switch {
	case r.Running:
		status = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	case r.Result == nil && !r.Broken:
		status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	}
	name := "ChangeOS"
	if r.Forgets {
		name = activities.ForgetChangeName
	}
	return &workflow.WorkflowExecutionInfo{
		Type: &common.WorkflowType{Name: name}, Execution: &common.WorkflowExecution{WorkflowId: workflowID, RunId: r.ID}, Status: status, StartTime: timestamppb.New(r.Began),
	}
}

// History has those events of the run that tell what was sent.
func (r Run) History() client.HistoryEventIterator {
	all := activity(5, activities.PreflightName, nil, activities.PreflightResult{Name: "one"})
	switch {
	case r.Accepted != nil:
		all = append(all, activity(15, activities.SubmitChangeOSName, activities.SubmitChangeOSInput{Before: r.Before}, *r.Accepted)...)
	case r.Submits:
		all = append(all, activity(15, activities.SubmitChangeOSName, activities.SubmitChangeOSInput{Before: r.Before}, nil)...)
	}
	switch {
	case r.Broken:
		all = append(all, completed("not a result"))
	case r.Result != nil:
		all = append(all, completed(*r.Result))
	}
	return &events{all: all, err: r.Err}
}

func completed(result any) *history.HistoryEvent {
	return &history.HistoryEvent{EventId: 40, Attributes: &history.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
		WorkflowExecutionCompletedEventAttributes: &history.WorkflowExecutionCompletedEventAttributes{Result: payloads(result)},
	}}
}

func activity(id int64, name string, input, result any) []*history.HistoryEvent {
	scheduled := &history.HistoryEvent{EventId: id, Attributes: &history.HistoryEvent_ActivityTaskScheduledEventAttributes{
		ActivityTaskScheduledEventAttributes: &history.ActivityTaskScheduledEventAttributes{ActivityType: &common.ActivityType{Name: name}, Input: payloads(input)},
	}}
	if result == nil {
		return []*history.HistoryEvent{scheduled}
	}
	return []*history.HistoryEvent{scheduled, {EventId: id + 2, Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
		ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{ScheduledEventId: id, Result: payloads(result)},
	}}}
}

func payloads(value any) *common.Payloads {
	encoded, err := converter.GetDefaultDataConverter().ToPayloads(value)
	if err != nil {
		panic(err) // a defect of the test
	}
	return encoded
}

// events are read one by one, and at the end comes the error, if there is one.
type events struct {
	all []*history.HistoryEvent
	err error
}

func (e *events) HasNext() bool { return len(e.all) > 0 || e.err != nil }

func (e *events) Next() (*history.HistoryEvent, error) {
	if len(e.all) == 0 {
		return nil, e.err
	}
	next := e.all[0]
	e.all = e.all[1:]
	return next, nil
}
