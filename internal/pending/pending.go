// Package pending reads which changes of a server are pending: sent by an earlier run of the workflow that locks the server, and not
// over as far as is known. The memory is the memo of each run (api.ChangeRecord). No event history is read.
package pending

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// Temporal is what this package asks of the Temporal server. A client.Client is one.
type Temporal interface {
	// DescribeWorkflowExecution describes a run, without a run id the newest. A description is never out of date.
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	// ListWorkflow reads a page of the runs that match a query. It may be seconds behind.
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
}

// Run is a run of a workflow, as Temporal describes or lists it.
type Run = workflow.WorkflowExecutionInfo

// Changes is what Temporal still knows of the earlier changes of a server. The zero value is none.
type Changes struct {
	// Pending are the pending changes, the latest first. More than one there is only after a reset: no change is sent while an
	// earlier one is pending.
	Pending []api.PendingChange
	// LeftOff is the system disk of the server when the latest change took its power and did not give it back.
	LeftOff string
	// Locked is true while a run is in progress. The rest is empty then.
	Locked bool
}

// LeftStopped is true for a server that is stopped since a change took its power.
func (c Changes) LeftStopped(now rollout.Observation) bool {
	return now.Status == rollout.StatusShutoff && now.VolumeID != "" && now.VolumeID == c.LeftOff
}

// Of reads the changes of a server by the workflow that locks it, without the run except. A list that does not have the newest run as
// it is may lack others, or what they came to, so it is waited for.
func Of(ctx context.Context, t Temporal, lockID, except string) (Changes, error) {
	newest, err := describe(ctx, t, lockID, "")
	switch {
	case isNotFound(err):
		return Changes{}, nil
	case err != nil:
		return Changes{}, unknown(lockID, err)
	case IsRunning(newest) && RunID(newest) != except:
		return Changes{Locked: true}, nil
	}
	runs, err := listUntil(ctx, t, lockID, newest)
	if err != nil {
		return Changes{}, err
	}
	for i, run := range runs {
		if !IsRunning(run) || RunID(run) == except {
			continue // the record of a closed run is its last one
		}
		if runs[i], err = describe(ctx, t, lockID, RunID(run)); err != nil && !isNotFound(err) {
			return Changes{}, unknown(lockID, err)
		}
	}
	return read(runs, except), nil
}

// maxNamed is how many workflows a query names. Of more servers, all of their project are read.
const maxNamed = 100

// OfServers reads the changes of servers of one project, by the ids of the workflows that lock them. It has no entry for a server
// without runs. It takes one query for a thousand runs, and may be seconds behind.
func OfServers(ctx context.Context, t Temporal, lockIDs []string) (map[string]Changes, error) {
	changes := map[string]Changes{}
	if len(lockIDs) == 0 {
		return changes, nil
	}
	query := "WorkflowId IN ('" + strings.Join(lockIDs, "', '") + "')"
	if len(lockIDs) > maxNamed {
		query = "WorkflowId STARTS_WITH '" + path.Dir(lockIDs[0]) + "/'"
	}
	byLock := map[string][]*Run{}
	err := List(ctx, t, query, func(run *Run) {
		id := run.GetExecution().GetWorkflowId()
		byLock[id] = append(byLock[id], run)
	})
	if err != nil {
		return nil, unknown(path.Dir(lockIDs[0])+"/...", err)
	}
	for id, runs := range byLock {
		if slices.ContainsFunc(runs, IsRunning) {
			changes[id] = Changes{Locked: true}
		} else {
			changes[id] = read(runs, "")
		}
	}
	return changes, nil
}

// read reads the memos of runs from the newest one on, until that of a change: it was begun when no earlier one was pending. A run
// that was reset sends nothing: it follows its first run, and other runs in between matter too.
func read(runs []*Run, except string) (found Changes) {
	slices.SortStableFunc(runs, func(a, b *Run) int { return b.GetStartTime().AsTime().Compare(a.GetStartTime().AsTime()) })
	var settled []string // the runs whose changes are over, or known from a later run
	var inProgressSince time.Time
	hasRecord := false
	for _, run := range runs {
		if RunID(run) == except {
			continue
		}
		var dismissal api.Dismissal
		if ok, err := memo(run, api.DismissalMemo, &dismissal); ok && err == nil {
			settled = append(settled, dismissal.Runs...)
			if !dismissal.InProgressSince.IsZero() {
				inProgressSince = dismissal.InProgressSince
			}
		}
		change := api.PendingChange{RunID: RunID(run)}
		ok, err := memo(run, api.ChangeMemo, &change.ChangeRecord)
		if err != nil {
			change.ChangeRecord = api.ChangeRecord{Pending: true, Result: rollout.ServerResult{Reason: "its memo cannot be read: " + err.Error()}}
		}
		wasReset := change.FirstRunID != change.RunID
		if !ok || err == nil && wasReset && change.Result.End == "" { // the first run knows more
			continue
		}
		if !hasRecord {
			hasRecord, found.LeftOff = true, change.LeftOff
		}
		if change.Pending && !slices.Contains(settled, change.RunID) {
			if change.InProgressSince.IsZero() {
				change.InProgressSince = inProgressSince
			}
			found.Pending = append(found.Pending, change)
		}
		if !wasReset {
			break
		}
		settled = append(settled, change.FirstRunID) // it was followed to its end
	}
	return found
}

// RecordOf describes a run and returns its record: zero for a run that has touched nothing, and nil for a run that Temporal no longer
// has, or whose memo cannot be read.
func RecordOf(ctx context.Context, t Temporal, lockID, runID string) (*api.ChangeRecord, error) {
	var record api.ChangeRecord
	run, err := describe(ctx, t, lockID, runID)
	if err != nil && !isNotFound(err) {
		return nil, unknown(lockID, err)
	}
	if err == nil {
		_, err = memo(run, api.ChangeMemo, &record)
	}
	if err != nil {
		return nil, nil
	}
	return &record, nil
}

func memo(run *Run, field string, into any) (ok bool, err error) {
	payload, ok := run.GetMemo().GetFields()[field]
	if !ok {
		return false, nil
	}
	return true, api.DataConverter().FromPayload(payload, into)
}

// listTimeout is how long Temporal's list may be behind, and listInterval the time between two queries.
const listTimeout, listInterval = 10 * time.Second, time.Second

// listUntil lists the runs of a workflow until the newest one is among them as it is.
func listUntil(ctx context.Context, t Temporal, lockID string, newest *Run) ([]*Run, error) {
	for deadline := time.Now().Add(listTimeout); ; {
		var runs []*Run
		isListed := false
		err := List(ctx, t, "WorkflowId = '"+lockID+"'", func(run *Run) {
			runs = append(runs, run)
			isListed = isListed || RunID(run) == RunID(newest) && IsRunning(run) == IsRunning(newest)
		})
		switch {
		case err != nil:
			return nil, unknown(lockID, err)
		case isListed:
			return runs, nil
		case time.Now().After(deadline):
			return nil, unknown(lockID, fmt.Errorf("Temporal's list is more than %s behind", listTimeout))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(listInterval):
		}
	}
}

// List reads Temporal's list of the runs that match a query, page by page.
func List(ctx context.Context, t Temporal, query string, each func(*Run)) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000}
	for {
		page, err := t.ListWorkflow(ctx, request)
		if err != nil {
			return err
		}
		for _, run := range page.GetExecutions() {
			each(run)
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

// RunID is the id of a run.
func RunID(run *Run) string { return run.GetExecution().GetRunId() }

// IsRunning is true for a run that has not ended.
func IsRunning(run *Run) bool { return run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING }

func describe(ctx context.Context, t Temporal, workflowID, runID string) (*Run, error) {
	described, err := t.DescribeWorkflowExecution(ctx, workflowID, runID)
	return described.GetWorkflowExecutionInfo(), err
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*serviceerror.NotFound](err)
	return ok
}

func unknown(lockID string, err error) error {
	return fmt.Errorf("earlier changes are unknown (workflow %s): %w", lockID, err)
}
