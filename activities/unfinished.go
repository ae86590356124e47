package activities

import (
	"context"
	"fmt"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/rollout"
)

// ForgetChangeName is the name under which the workflow is registered that stands for the word of a human.
const ForgetChangeName = "ForgetChange"

// SentChange is a change of a server that was sent, as the history of the workflow that locked the server tells it.
type SentChange struct {
	// JobID is the cloud's job. Empty when the answer was lost.
	JobID string
	// Before is the system disk that it was to replace.
	Before rollout.Fingerprint
	// Result is how it ended. Nil when its workflow left no result.
	Result *rollout.ServerResult
}

// Over is true when the result itself says that nothing comes of the change any more.
func (c *SentChange) Over() bool { return c.Result != nil && c.Result.End != rollout.FailedChanged }

// stopped is true when the server is off because the change took its power and ended without giving it back.
func (c *SentChange) stopped(now rollout.Observation) bool {
	return c.Result != nil && c.Result.Before.Status == rollout.StatusActive && c.Result.Left != rollout.StatusActive &&
		now.Status == rollout.StatusShutoff && now.VolumeID == c.Result.Before.VolumeID
}

// LatestSent is the latest change that was sent to a server and that Temporal still knows, nil for none. A run that
// is under way is none: it holds the lock itself. The run except is passed over.
//
// The newest run is read by the lock itself. Only when it sent nothing are the others looked for in Temporal's list,
// which may serve no more than ten questions a second.
func LatestSent(ctx context.Context, t Temporal, lockID, except string) (*SentChange, error) {
	described, err := t.DescribeWorkflowExecution(ctx, lockID, "")
	switch {
	case isA[*serviceerror.NotFound](err):
		return nil, nil
	case err != nil:
		return nil, untoldOf(lockID, err)
	}
	newest := described.GetWorkflowExecutionInfo()
	if newest.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING && newest.GetExecution().GetRunId() != except {
		return nil, nil
	}
	sent, err := sentBy(ctx, t, newest, except)
	if err != nil || sent != nil {
		return sent, err
	}
	page, err := t.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "WorkflowId = '" + lockID + "'", PageSize: 100, // more than anybody tries in the time that Temporal keeps them
	})
	if err != nil {
		return nil, untoldOf(lockID, err)
	}
	runs := page.GetExecutions()
	slices.SortStableFunc(runs, func(a, b *workflow.WorkflowExecutionInfo) int {
		return b.GetStartTime().AsTime().Compare(a.GetStartTime().AsTime())
	})
	for _, run := range runs {
		if run.GetExecution().GetRunId() == newest.GetExecution().GetRunId() {
			continue
		}
		if sent, err := sentBy(ctx, t, run, except); err != nil || sent != nil {
			return sent, err
		}
	}
	return nil, nil
}

func untoldOf(lockID string, err error) error {
	return again(ErrCloud, fmt.Errorf("Temporal does not tell of earlier changes (workflow %s): %w", lockID, err), 0)
}

// sentBy reads what a run has sent, nil for nothing.
func sentBy(ctx context.Context, t Temporal, run *workflow.WorkflowExecutionInfo, except string) (*SentChange, error) {
	lockID, runID := run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId()
	if runID == except {
		return nil, nil
	}
	read := runReader{forgets: run.GetType().GetName() == ForgetChangeName}
	for events := t.GetWorkflowHistory(ctx, lockID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		switch {
		case isA[*serviceerror.NotFound](err): // Temporal has just forgotten it
			return nil, nil
		case err != nil:
			return nil, untoldOf(lockID, err)
		}
		if err := read.event(event); err != nil {
			return nil, fmt.Errorf("event %d of workflow %s (run %s) cannot be read: %w", event.GetEventId(), lockID, runID, err)
		}
	}
	return read.sent(), nil
}

// runReader reads the history of one run.
type runReader struct {
	forgets bool
	submits map[int64]bool // where SubmitChangeOS was scheduled
	before  rollout.Fingerprint
	jobID   string
	result  *rollout.ServerResult
}

func (r *runReader) event(e *history.HistoryEvent) error {
	if scheduled := e.GetActivityTaskScheduledEventAttributes(); scheduled.GetActivityType().GetName() == SubmitChangeOSName {
		if r.submits == nil {
			r.submits = map[int64]bool{}
		}
		r.submits[e.GetEventId()] = true
		var in SubmitChangeOSInput
		if err := decode(scheduled.GetInput(), &in); err != nil {
			return err
		}
		r.before = in.Before
	}
	if completed := e.GetActivityTaskCompletedEventAttributes(); r.submits[completed.GetScheduledEventId()] {
		var accepted SubmitChangeOSResult
		if err := decode(completed.GetResult(), &accepted); err != nil {
			return err
		}
		r.jobID = accepted.JobID
	}
	if completed := e.GetWorkflowExecutionCompletedEventAttributes(); completed != nil {
		r.result = &rollout.ServerResult{}
		return decode(completed.GetResult(), r.result)
	}
	return nil
}

func decode(payloads *common.Payloads, into any) error {
	return connect.DataConverter().FromPayloads(payloads, into)
}

// sent is nil when nothing of the run can have been accepted, or its server itself has told that it was.
func (r *runReader) sent() *SentChange {
	switch sent := (&SentChange{JobID: r.jobID, Before: r.before, Result: r.result}); {
	case r.forgets && r.result != nil:
		return sent
	case len(r.submits) > 0 && (r.jobID != "" || !sent.Over()):
		return sent
	}
	return nil
}

// unfinished says why a change that was sent may still come to a server. Empty when it may not.
func (s site) unfinished(ctx context.Context, sent *SentChange, now rollout.Observation) (string, error) {
	switch {
	case sent == nil || sent.Over():
		return "", nil
	case sent.JobID == "" && now.VolumeID == sent.Before.VolumeID:
		return "the cloud's answer was lost, and it was not seen to come", nil
	case sent.JobID == "":
		return "", nil
	}
	job, err := s.Cloud.Job(ctx, sent.JobID)
	switch {
	case isNotFound(err):
		return "", nil // jobs that are over are deleted after a day
	case isAnswer(err):
		return fmt.Sprintf("of its job %s the cloud does not tell: %s", sent.JobID, err), nil
	case err != nil || job.Final():
		return "", err
	}
	return fmt.Sprintf("its job %s is %s", sent.JobID, job.Status), nil
}

// unfinished notes which of the planned servers have an earlier change that is not over. Asked are those of which the
// server itself may show nothing: an order that is not paid is one of a server paid by the year or month, and any other
// change has stopped its server.
func (g *gathering) unfinished(ctx context.Context, planned []rollout.PlannedServer) error {
	g.reading(ctx, "earlier changes")
	isPlanned := map[string]bool{}
	for _, s := range planned {
		isPlanned[s.ID] = true
	}
	var ask []*rollout.InventoryServer
	for i := range g.Servers {
		if s := &g.Servers[i]; isPlanned[s.ID] && s.HeldBy == "" && (s.Prepaid || s.Observation.Status != rollout.StatusActive) {
			ask = append(ask, s)
		}
	}
	return atOnce(ctx, len(ask), func(ctx context.Context, i int) error {
		sent, err := LatestSent(ctx, g.Temporal, lockID(g.Project, ask[i].ID), "")
		if err == nil {
			ask[i].Unfinished, err = g.site.unfinished(ctx, sent, ask[i].Observation)
		}
		return err
	})
}
