// Package pastruns stands in for what Temporal keeps of the runs of a workflow that locks a server, in tests without a
// Temporal server.
package pastruns

import (
	"cmp"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// Run is one run.
type Run struct {
	ID      string
	First   string // the run from which it was first reset. Empty for not
	Base    string // the run from which it was reset last. Empty for the first
	Began   time.Time
	Running bool
	Closed  time.Time // zero for not told
	// Forgets are the runs of which it is the word of a human that nothing comes. Nil for a change.
	Forgets []string
	// IsCheck is true when it only checked whether that word would be taken.
	IsCheck bool
	// About is the job that the word is about.
	About string
	// Change is what was asked for.
	Change rollout.Change
	// AsBefore is the status that "as before" means, for a change that is not the first.
	AsBefore string
	// Name and Before are the server as the look saw it.
	Name   string
	Before rollout.Observation
	// FoundAsBefore is the status that "as before" means by the look itself.
	FoundAsBefore string
	Stops         bool // StopIfNeeded was scheduled, or RestorePower
	Submits       bool // SubmitChangeOS was scheduled
	// Failed is with what it failed. Nil for not.
	Failed error
	// Accepted is with what it completed. Nil for not.
	Accepted *contract.SubmitChangeOSResult
	// Job is with what PollJob completed, and Heard when. The zero value is for not.
	Job   contract.PollJobResult
	Heard time.Time
	// Result is how the run ended. Nil for without one.
	Result    *rollout.ServerResult
	Cancelled bool  // the result is that of a change that was cancelled
	Broken    bool  // its result cannot be decoded
	Err       error // what reading the history ends with
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
	info := &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: workflowID, RunId: r.ID}, Status: status, StartTime: timestamppb.New(r.Began),
	}
	if !r.Closed.IsZero() {
		info.CloseTime = timestamppb.New(r.Closed)
	}
	return info
}

// History has those events of the run that tell what was sent.
func (r Run) History() client.HistoryEventIterator {
	all := r.begun()
	if r.First != "" {
		all = append(all, &history.HistoryEvent{EventId: 8, Attributes: &history.HistoryEvent_WorkflowTaskFailedEventAttributes{
			WorkflowTaskFailedEventAttributes: &history.WorkflowTaskFailedEventAttributes{Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW, BaseRunId: cmp.Or(r.Base, r.First)},
		}})
	}
	if r.Stops {
		all = append(all, activity(10, contract.StopIfNeeded, nil)...)
	}
	switch {
	case r.Accepted != nil:
		all = append(all, activity(15, contract.SubmitChangeOS, *r.Accepted)...)
	case r.Failed != nil:
		all = append(append(all, activity(15, contract.SubmitChangeOS, nil)...), failed(15, r.Failed))
	case r.Submits:
		all = append(all, activity(15, contract.SubmitChangeOS, nil)...)
	}
	if r.Job.End != "" {
		heard := activity(20, contract.PollJob, r.Job)
		heard[1].EventTime = timestamppb.New(r.Heard)
		all = append(all, heard...)
	}
	switch {
	case r.Broken:
		all = append(all, completed("not a result"))
	case r.Cancelled:
		all = append(all, cancelled(*r.Result))
	case r.Result != nil:
		all = append(all, completed(*r.Result))
	}
	return &events{all: all, err: r.Err}
}

// Untold is a history that cannot be read.
func Untold(err error) client.HistoryEventIterator { return &events{err: err} }

// begun are the start and the look.
func (r Run) begun() []*history.HistoryEvent {
	if len(r.Forgets) > 0 {
		name := api.ForgetChangeName
		if r.IsCheck {
			name = api.CheckDismissalName
		}
		return []*history.HistoryEvent{r.started(name, api.ForgetChangeInput{Runs: r.Forgets, JobID: r.About})}
	}
	input := map[string]any{"change": r.Change, "as_before": r.AsBefore} // what matters of a api.ChangeOSInput
	return append([]*history.HistoryEvent{r.started("ChangeOS", input)}, activity(5, contract.Preflight, contract.PreflightResult{Name: r.Name, Before: r.Before, AsBefore: r.FoundAsBefore})...)
}

func (r Run) first() string { return cmp.Or(r.First, r.ID) }

func (r Run) started(name string, input any) *history.HistoryEvent {
	return &history.HistoryEvent{EventId: 1, Attributes: &history.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &history.WorkflowExecutionStartedEventAttributes{WorkflowType: &common.WorkflowType{Name: name}, Input: payloads(input), OriginalExecutionRunId: r.first()},
	}}
}

func completed(result any) *history.HistoryEvent {
	return &history.HistoryEvent{EventId: 40, Attributes: &history.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
		WorkflowExecutionCompletedEventAttributes: &history.WorkflowExecutionCompletedEventAttributes{Result: payloads(result)},
	}}
}

func cancelled(details any) *history.HistoryEvent {
	return &history.HistoryEvent{EventId: 40, Attributes: &history.HistoryEvent_WorkflowExecutionCanceledEventAttributes{
		WorkflowExecutionCanceledEventAttributes: &history.WorkflowExecutionCanceledEventAttributes{Details: payloads(details)},
	}}
}

func activity(id int64, name string, result any) []*history.HistoryEvent {
	scheduled := &history.HistoryEvent{EventId: id, Attributes: &history.HistoryEvent_ActivityTaskScheduledEventAttributes{
		ActivityTaskScheduledEventAttributes: &history.ActivityTaskScheduledEventAttributes{ActivityType: &common.ActivityType{Name: name}},
	}}
	if result == nil {
		return []*history.HistoryEvent{scheduled}
	}
	return []*history.HistoryEvent{scheduled, {EventId: id + 2, Attributes: &history.HistoryEvent_ActivityTaskCompletedEventAttributes{
		ActivityTaskCompletedEventAttributes: &history.ActivityTaskCompletedEventAttributes{ScheduledEventId: id, Result: payloads(result)},
	}}}
}

func failed(scheduled int64, err error) *history.HistoryEvent {
	return &history.HistoryEvent{EventId: scheduled + 2, Attributes: &history.HistoryEvent_ActivityTaskFailedEventAttributes{
		ActivityTaskFailedEventAttributes: &history.ActivityTaskFailedEventAttributes{
			ScheduledEventId: scheduled, Failure: temporal.GetDefaultFailureConverter().ErrorToFailure(err),
		},
	}}
}

func payloads(value any) *common.Payloads {
	encoded, err := api.DataConverter().ToPayloads(value)
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
