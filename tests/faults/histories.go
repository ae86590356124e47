package faults

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

// histories are what Temporal keeps of the workflows that lock servers: the environment keeps nothing of them.
type histories struct {
	mu   sync.Mutex
	runs map[string][]*pastruns.Run // by the workflow's id, in order
}

func newHistories() *histories { return &histories{runs: map[string][]*pastruns.Run{}} }

func (h *histories) begin(ctx workflow.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run := workflow.GetInfo(ctx).WorkflowExecution
	h.runs[run.ID] = append(h.runs[run.ID], &pastruns.Run{ID: run.RunID, Began: workflow.Now(ctx), Running: true})
}

func (h *histories) note(ctx workflow.Context, change func(*pastruns.Run)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	execution := workflow.GetInfo(ctx).WorkflowExecution
	for _, run := range h.runs[execution.ID] {
		if run.ID == execution.RunID {
			change(run)
		}
	}
}

// of are the runs of a workflow as they stand, the newest first.
func (h *histories) of(workflowID string) []pastruns.Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	var runs []pastruns.Run
	for _, run := range slices.Backward(h.runs[workflowID]) {
		runs = append(runs, *run)
	}
	return runs
}

// ExecuteWorkflow notes the runs of the workflows that lock servers.
func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if workflow.GetInfo(ctx).WorkflowType.Name != workflows.ChangeOSName {
		return i.Next.ExecuteWorkflow(ctx, in)
	}
	past := i.world.histories
	past.begin(ctx)
	answer, err := i.Next.ExecuteWorkflow(ctx, in)
	past.note(ctx, func(run *pastruns.Run) {
		run.Running = false
		if result, ok := answer.(rollout.ServerResult); ok && err == nil {
			run.Result = &result
		}
	})
	return answer, err
}

// noteSubmission notes that a run sends the change, and with what that completes.
func (h *histories) noteSubmission(ctx workflow.Context, in activities.SubmitChangeOSInput, submission workflow.Future) {
	h.note(ctx, func(run *pastruns.Run) { run.Submits, run.Before.Fingerprint = true, in.Before })
	workflow.Go(ctx, func(ctx workflow.Context) {
		var accepted activities.SubmitChangeOSResult
		if submission.Get(ctx, &accepted) == nil {
			h.note(ctx, func(run *pastruns.Run) { run.Accepted = &accepted })
		}
	})
}

func (t asked) DescribeWorkflowExecution(ctx context.Context, workflowID, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	runs := t.world.histories.of(workflowID)
	if len(runs) == 0 {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: runs[0].Info(workflowID)}, nil
}

// ListWorkflow lists the runs of one workflow.
func (t asked) ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	var listed []*workflowpb.WorkflowExecutionInfo
	for _, server := range t.world.plan.Servers {
		id := workflows.ChangeOSID(t.world.plan.Project, server.ID)
		if request.GetQuery() != "WorkflowId = '"+id+"'" {
			continue
		}
		for _, run := range t.world.histories.of(id) {
			listed = append(listed, run.Info(id))
		}
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: listed}, nil
}

func (t asked) GetWorkflowHistory(_ context.Context, workflowID, runID string, _ bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	for _, run := range t.world.histories.of(workflowID) {
		if run.ID == runID {
			return run.History()
		}
	}
	return pastruns.Run{Err: serviceerror.NewNotFound("run not found")}.History()
}

// reach waits while the process of the attempt is cut off from Temporal.
func (t asked) reach(ctx context.Context) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		panic("whoever asks Temporal is no attempt")
	}
	for d := a.process.cut(); d > 0; d = a.process.cut() {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
