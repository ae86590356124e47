// Package pendingtest stands in for what Temporal keeps of the runs that lock a server, in tests without a Temporal server.
package pendingtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
)

// Run is a run with at most one of Record, Dismissal and Unreadable in its memo.
type Run struct {
	ID         string
	IsRunning  bool
	Record     *api.ChangeRecord
	Dismissal  *api.Dismissal
	Unreadable bool
}

// Temporal has the runs of workflows that lock servers.
type Temporal struct {
	Runs map[string][]Run // by workflow id, the newest first
	// Err is the answer to each description, ListErr that to each list.
	Err, ListErr error
	// ListsFrom is when the list begins to have runs. Listed is what it has instead of the runs with those ids.
	ListsFrom time.Time
	Listed    map[string]Run
	// Lists counts the lists. Nil does not.
	Lists *int
}

// DescribeWorkflowExecution describes a run, or the newest one.
func (t Temporal) DescribeWorkflowExecution(_ context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	for i, run := range t.Runs[id] {
		if t.Err == nil && (runID == "" || run.ID == runID) {
			return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: run.info(id, i)}, nil
		}
	}
	if t.Err != nil {
		return nil, t.Err
	}
	return nil, serviceerror.NewNotFound("workflow not found")
}

// ListWorkflow lists runs two a page, and the oldest of a workflow first: Temporal promises no order.
func (t Temporal) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	from := 2 * len(request.GetNextPageToken())
	if t.Lists != nil && from == 0 {
		*t.Lists++
	}
	var runs []*pending.Run
	for _, id := range slices.Sorted(maps.Keys(t.Runs)) {
		prefix, isPrefix := strings.CutPrefix(request.GetQuery(), "WorkflowId STARTS_WITH '")
		if isPrefix && !strings.HasPrefix(id, strings.TrimSuffix(prefix, "'")) || !isPrefix && !strings.Contains(request.GetQuery(), "'"+id+"'") {
			continue
		}
		for i, run := range slices.Backward(t.Runs[id]) {
			if listed, ok := t.Listed[run.ID]; ok {
				run = listed
			}
			if !time.Now().Before(t.ListsFrom) {
				runs = append(runs, run.info(id, i))
			}
		}
	}
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: runs[min(from, len(runs)):min(from+2, len(runs))]}
	if from+2 < len(runs) {
		page.NextPageToken = make([]byte, from/2+1)
	}
	return page, t.ListErr
}

// info describes the run, the one after i newer ones.
func (r Run) info(workflowID string, i int) *pending.Run {
	info := &pending.Run{
		Execution: &common.WorkflowExecution{WorkflowId: workflowID, RunId: r.ID}, Status: enums.WORKFLOW_EXECUTION_STATUS_COMPLETED,
		StartTime: timestamppb.New(time.Date(2026, 3, 1, 12, -i, 0, 0, time.UTC)), Memo: &common.Memo{},
	}
	if r.IsRunning {
		info.Status = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	}
	field, value := api.ChangeMemo, any("no record")
	switch {
	case r.Record != nil:
		value = *r.Record
	case r.Dismissal != nil:
		field, value = api.DismissalMemo, *r.Dismissal
	case !r.Unreadable:
		return info
	}
	payload, err := api.DataConverter().ToPayload(value)
	if err != nil {
		panic(err) // a defect of the test
	}
	info.Memo.Fields = map[string]*common.Payload{field: payload}
	return info
}
