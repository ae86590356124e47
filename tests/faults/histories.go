package faults

import (
	"context"
	"slices"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
)

// histories are what Temporal keeps of the workflows that lock servers: the environment keeps nothing of them.
type histories struct {
	mu   sync.Mutex
	runs map[string][]*pastruns.Run // by the workflow's id, in order
}

func newHistories() *histories { return &histories{runs: map[string][]*pastruns.Run{}} }

func (h *histories) begin(workflowID string, run pastruns.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs[workflowID] = append(h.runs[workflowID], &run)
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
	run := pastruns.Run{ID: workflow.GetInfo(ctx).WorkflowExecution.RunID, Began: workflow.Now(ctx), Running: true}
	var input any
	if len(in.Args) > 0 {
		input = in.Args[0]
	}
	switch of := input.(type) {
	case api.ChangeOSInput:
		run.Change, run.AsBefore = of.Change, of.AsBefore
	case api.ForgetChangeInput:
		run.Forgets = of.Runs
	default:
		return i.Next.ExecuteWorkflow(ctx, in)
	}
	past := i.world.histories
	past.begin(workflow.GetInfo(ctx).WorkflowExecution.ID, run)
	answer, err := i.Next.ExecuteWorkflow(ctx, in)
	past.note(ctx, func(run *pastruns.Run) {
		run.Running = false
		if result, ok := answer.(rollout.ServerResult); ok && err == nil {
			run.Result = &result
		} else if result, _ := api.EndWithoutResult(err); result != nil {
			run.Result, run.Cancelled = result, true
		}
	})
	return answer, err
}

// noteActivity notes what of an activity tells what was sent: that it was scheduled, and with what it completed.
func (h *histories) noteActivity(ctx workflow.Context, name string, future workflow.Future) {
	switch name {
	case contract.Preflight:
		completes(h, ctx, future, func(run *pastruns.Run, found contract.PreflightResult) {
			run.Name, run.Before = found.Name, found.Before
		})
	case contract.StopIfNeeded, contract.RestorePower:
		h.note(ctx, func(run *pastruns.Run) { run.Stops = true })
	case contract.SubmitChangeOS:
		h.note(ctx, func(run *pastruns.Run) { run.Submits = true })
		completes(h, ctx, future, func(run *pastruns.Run, accepted contract.SubmitChangeOSResult) { run.Accepted = &accepted })
	case contract.PollJob:
		completes(h, ctx, future, func(run *pastruns.Run, job contract.PollJobResult) { run.Job, run.Heard = job, time.Now() })
	}
}

// completes notes with what an activity completed, once it has.
func completes[Result any](h *histories, ctx workflow.Context, future workflow.Future, change func(*pastruns.Run, Result)) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		var result Result
		if future.Get(ctx, &result) == nil {
			h.note(ctx, func(run *pastruns.Run) { change(run, result) })
		}
	})
}

func (t asked) DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	if workflowID == api.RolloutID(t.world.plan.Name) {
		return t.world.describeRollout()
	}
	for _, run := range t.world.histories.of(workflowID) {
		if runID == "" || run.ID == runID {
			return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: run.Info(workflowID)}, nil
		}
	}
	return nil, serviceerror.NewNotFound("workflow not found")
}

// describeRollout describes the rollout, which runs as long as a server of it does.
func (w *world) describeRollout() (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	recall, err := converter.GetDefaultDataConverter().ToPayload(w.recall)
	if err != nil {
		return nil, err
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING, Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{api.RecallMemo: recall}},
	}}, nil
}

// ListWorkflow lists the runs of one workflow, but those that have just begun.
func (t asked) ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	var listed []*workflowpb.WorkflowExecutionInfo
	for _, server := range t.world.plan.Servers {
		id := api.ChangeOSID(t.world.plan.Project, server.ID)
		if request.GetQuery() != "WorkflowId = '"+id+"'" {
			continue
		}
		for _, run := range t.world.histories.of(id) {
			if time.Since(run.Began) >= t.world.listLag {
				listed = append(listed, run.Info(id))
			}
		}
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: listed}, nil
}

func (t asked) GetWorkflowHistory(ctx context.Context, workflowID, runID string, _ bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	if err := t.reach(ctx); err != nil {
		return pastruns.Untold(err)
	}
	for _, run := range t.world.histories.of(workflowID) {
		if run.ID == runID {
			return run.History()
		}
	}
	return pastruns.Untold(serviceerror.NewNotFound("run not found"))
}

// reach waits while the process of the attempt is cut off from Temporal. The operator is no attempt, and never is.
func (t asked) reach(ctx context.Context) error {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return ctx.Err()
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
