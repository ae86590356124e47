package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// pastRun is what the history of a run tells of one that locks a server.
type pastRun struct {
	firstRunID string           // of the workflow, before it was reset
	names      map[int64]string // of the activities, by the event that scheduled them
	named      []string         // the runs that somebody says nothing comes of any more
	isCheck    bool             // of a dismissal, which it is not
	forgets    []string         // the same, once the word was taken
	change     rollout.Change
	asBefore   string // the status that "as before" meant, when the change was not the first
	name       string // of the server
	before     rollout.Observation
	touches    bool                   // it may have changed the power of the server
	submits    bool                   // it may have sent the change
	jobID      string                 // of the change, or of the one that somebody says nothing comes of
	job        contract.PollJobResult // as it was last heard
	jobHeard   time.Time
	result     *rollout.ServerResult
	unreadable string // the first event that could not be decoded
	isGone     bool   // Temporal has deleted it, maybe while it was read
}

// readRun reads the history of a run. Of one that Temporal forgets meanwhile it is what was read. What cannot be decoded is no error:
// that stays so, and a human may know more.
func readRun(ctx context.Context, t Temporal, lockID, runID string) (pastRun, error) {
	read := pastRun{names: map[int64]string{}}
	for events := t.GetWorkflowHistory(ctx, lockID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		switch {
		case isA[*serviceerror.NotFound](err):
			read.isGone = true
			return read, nil
		case err != nil:
			return pastRun{}, untoldOf(lockID, err)
		}
		if err := read.event(event); err != nil && read.unreadable == "" {
			read.unreadable = fmt.Sprintf("event %d cannot be decoded: %v", event.GetEventId(), err)
		}
	}
	return read, nil
}

func (r *pastRun) event(e *history.HistoryEvent) error {
	if started := e.GetWorkflowExecutionStartedEventAttributes(); started != nil {
		return r.started(started)
	}
	if scheduled := e.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
		r.scheduled(e.GetEventId(), scheduled.GetActivityType().GetName())
	}
	if completed := e.GetActivityTaskCompletedEventAttributes(); completed != nil {
		return r.completed(e.GetEventTime().AsTime(), r.names[completed.GetScheduledEventId()], completed.GetResult())
	}
	if failed := e.GetActivityTaskFailedEventAttributes(); failed != nil {
		r.failed(r.names[failed.GetScheduledEventId()], failed.GetFailure().GetApplicationFailureInfo())
	}
	if completed := e.GetWorkflowExecutionCompletedEventAttributes(); completed != nil {
		if r.isCheck {
			return nil
		}
		r.forgets = r.named
		return r.ended(completed.GetResult())
	}
	if cancelled := e.GetWorkflowExecutionCanceledEventAttributes(); cancelled.GetDetails() != nil {
		return r.ended(cancelled.GetDetails())
	}
	return nil
}

func (r *pastRun) started(e *history.WorkflowExecutionStartedEventAttributes) error {
	r.firstRunID = e.GetOriginalExecutionRunId()
	name := e.GetWorkflowType().GetName()
	r.isCheck = name == api.CheckDismissalName
	if name == api.ForgetChangeName || r.isCheck {
		var in api.ForgetChangeInput
		err := decode(e.GetInput(), &in)
		r.named, r.jobID = in.Runs, in.JobID
		return err
	}
	var in struct { // of a change
		Change   rollout.Change `json:"change"`
		AsBefore string         `json:"as_before"`
	}
	err := decode(e.GetInput(), &in)
	r.change, r.asBefore = in.Change, in.AsBefore
	return err
}

func (r *pastRun) scheduled(event int64, name string) {
	r.names[event] = name
	switch name {
	case contract.SubmitChangeOS:
		r.submits, r.touches = true, true
	case contract.StopIfNeeded, contract.RestorePower:
		r.touches = true
	}
}

func (r *pastRun) completed(at time.Time, name string, result *common.Payloads) error {
	switch name {
	case contract.Preflight:
		var found contract.PreflightResult
		err := decode(result, &found)
		r.name, r.before, r.asBefore = found.Name, found.Before, cmp.Or(found.AsBefore, r.asBefore)
		return err
	case contract.SubmitChangeOS:
		var accepted contract.SubmitChangeOSResult
		err := decode(result, &accepted)
		r.jobID = accepted.JobID
		return err
	case contract.PollJob:
		r.jobHeard = at
		return decode(result, &r.job)
	}
	return nil
}

// failed goes by the proof that a submission ends with. What is not final says nothing, and neither does a server that is
// gone: it may be so after a request in doubt.
func (r *pastRun) failed(name string, how *failure.ApplicationFailureInfo) {
	if name != contract.SubmitChangeOS || !how.GetNonRetryable() {
		return
	}
	switch how.GetType() {
	case api.ErrRefused, api.ErrInvalid, api.ErrCredentials, api.ErrForeignDisk, api.ErrGivenUp, api.ErrRecalled:
		r.submits = false
	}
}

func (r *pastRun) ended(result *common.Payloads) error {
	var end rollout.ServerResult
	if err := decode(result, &end); err != nil {
		return err
	}
	r.result = &end
	return nil
}

func decode(payloads *common.Payloads, into any) error {
	return api.DataConverter().FromPayloads(payloads, into)
}

// mayHaveSent is false when nothing of the run can have been accepted, or, without a job that tells more, its server has
// told that nothing more comes.
func (r *pastRun) mayHaveSent() bool {
	if !r.submits || r.jobID != "" || r.result == nil {
		return r.submits
	}
	switch r.result.End {
	case rollout.FailedChanged, rollout.FailedLost, rollout.Vanished: // one that is looked at again was not gone
		return true
	}
	return false
}

// jobOver goes by the job and not by the server, which may show the image because somebody else put it there, but for a
// job that had begun. One that the cloud did not know is asked for again: what said so need not have been the cloud.
func (r *pastRun) jobOver() bool {
	return r.jobID != "" && (r.job.End == contract.JobSucceeded || r.job.End == contract.JobFailed || r.job.Status == "RUNNING" && r.came())
}

// came is true when the change was seen to come. What was seen before its order was paid is somebody else's.
func (r *pastRun) came() bool {
	return r.result != nil && r.result.End == rollout.Done && r.job.Status != api.JobAwaitsPayment
}

// underWaySince is when the job was still seen to be worked on. Zero for never.
func (r *pastRun) underWaySince() time.Time {
	if contract.UnderWay(r.job.Status) {
		return r.jobHeard
	}
	return time.Time{}
}
