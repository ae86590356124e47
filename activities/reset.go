package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/rollout"
)

// runsBefore are the runs from which the workflow of the activity was reset, the original one first. None when it was not:
// they may have gone further than this one knows. The workflow cannot tell by what it schedules, because a reset may keep
// that, and begin the activity anew.
func (s site) runsBefore(ctx context.Context) (runs []string, err error) {
	this := activity.GetInfo(ctx).WorkflowExecution
	untold := func(err error) error {
		return fmt.Errorf("Temporal does not tell whether its workflow was reset: %w", err)
	}
	for events := s.Temporal.GetWorkflowHistory(ctx, this.ID, this.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		if err != nil {
			return nil, untold(err)
		}
		if started := event.GetWorkflowExecutionStartedEventAttributes(); started != nil { // a reset keeps it
			if started.GetOriginalExecutionRunId() == this.RunID {
				return nil, nil
			}
			runs = append(runs, started.GetOriginalExecutionRunId())
		}
		failed := event.GetWorkflowTaskFailedEventAttributes()
		if failed.GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW && !slices.Contains(runs, failed.GetBaseRunId()) {
			runs = append(runs, failed.GetBaseRunId())
		}
	}
	if len(runs) == 0 || runs[0] == "" {
		return nil, untold(errors.New("its history has no beginning"))
	}
	return runs, nil
}

// sentBefore looks for earlier changes that may still come, for a workflow that was reset: of a run that is no more, or one
// that somebody has sent since. One of the workflow's own is followed to the verdict of its job, unless something newer
// may have been sent: then the one's end would be taken for the other's. Beside any other one, nothing is sent either. A
// request of its own whose answer was lost is for the server to tell.
//
// When there is none, it is told that no run is in doubt. It stays so: no other one can come while this one holds the server.
func (s *submission) sentBefore(ctx context.Context, before []string) (open SubmitChangeOSResult, told bool, err error) {
	lock, first := lockID(s.Cloud.ProjectID(), s.in.ServerID), before[0]
	told = true // unless a history may have been deleted
	var known []string
	for _, run := range before {
		described, err := s.Temporal.DescribeWorkflowExecution(ctx, lock, run)
		switch closed := described.GetWorkflowExecutionInfo().GetCloseTime(); {
		case isA[*serviceerror.NotFound](err):
			told = false
			continue
		case err != nil:
			return open, false, untoldOf(lock, err)
		case run == first:
			told = closed != nil && time.Since(closed.AsTime()) < historiesAreKept
		}
		known = append(known, run)
	}
	earlier, err := SentTo(ctx, s.Temporal, lock, activity.GetInfo(ctx).WorkflowExecution.RunID, known...)
	if err != nil {
		return open, false, err
	}
	if earlier.Held { // by a run that came after this one
		return open, false, again(ErrNotSent, fmt.Errorf("another workflow holds server %s", s.in.ServerID), 0)
	}
	lost := false // a request whose answer is for the server to tell
	for _, change := range earlier.Open {
		why, err := s.mayStillCome(ctx, change, rollout.Observation{Fingerprint: s.in.Before})
		own := change.firstRunID == first
		switch app, ok := errors.AsType[*temporal.ApplicationError](err); {
		case ok && app.NonRetryable(): // what it is about may have been accepted
			return open, false, again(app.Type(), errors.New(app.Message()), 0)
		case err != nil:
			return open, false, err
		case why == "":
		case own && change.JobID == "" && change.Unreadable == "":
			lost = true
		case own && change.JobID != "" && !lost:
			return SubmitChangeOSResult{JobID: change.JobID, Seen: "the job of a run before the workflow was reset is not over"}, false, nil
		default:
			return SubmitChangeOSResult{Seen: why}, false, nil
		}
	}
	return open, told && !lost, nil
}

// historiesAreKept is for how long after the end of the first of the runs no history of a later one can have been deleted:
// half of what a namespace keeps that keeps little.
const historiesAreKept = 12 * time.Hour
