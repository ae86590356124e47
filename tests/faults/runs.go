package faults

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
)

// runs are what Temporal keeps of the workflows that lock servers: the environment keeps nothing of them.
type runs struct {
	mu   sync.Mutex
	byID map[string][]*pending.Run // by the workflow's id, in order
}

func newRuns() *runs { return &runs{byID: map[string][]*pending.Run{}} }

// update changes what is kept of the run of the workflow, if it locks a server.
func (r *runs) update(ctx workflow.Context, change func(*pending.Run)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	execution := workflow.GetInfo(ctx).WorkflowExecution
	for _, run := range r.byID[execution.ID] {
		if pending.RunID(run) == execution.RunID {
			change(run)
		}
	}
}

// of are the runs of a workflow as they are now, the newest first.
func (r *runs) of(workflowID string) []*pending.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	var now []*pending.Run
	for _, run := range slices.Backward(r.byID[workflowID]) {
		now = append(now, proto.CloneOf(run))
	}
	return now
}

// ExecuteWorkflow keeps the runs of the workflows that lock servers.
func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	execution := workflow.GetInfo(ctx).WorkflowExecution
	if kept := i.world.runs; strings.HasPrefix(execution.ID, api.ChangeOSIDPrefix) {
		kept.mu.Lock()
		kept.byID[execution.ID] = append(kept.byID[execution.ID], &pending.Run{
			Execution: &commonpb.WorkflowExecution{WorkflowId: execution.ID, RunId: execution.RunID},
			Status:    enums.WORKFLOW_EXECUTION_STATUS_RUNNING, StartTime: timestamppb.New(workflow.Now(ctx)), Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{}},
		})
		kept.mu.Unlock()
		defer kept.update(ctx, func(run *pending.Run) { run.Status = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED })
	}
	return i.Next.ExecuteWorkflow(ctx, in)
}

// UpsertMemo keeps what the rollout takes back, and the records of the servers' workflows: Temporal has them from then on.
func (u *unlimited) UpsertMemo(ctx workflow.Context, memo map[string]any) error {
	for field, value := range memo {
		payload, err := api.DataConverter().ToPayload(value)
		if err != nil {
			return err
		}
		u.world.runs.update(ctx, func(run *pending.Run) { run.Memo.Fields[field] = payload })
	}
	if recall, ok := memo[api.RecallMemo].(string); ok {
		u.world.mu.Lock()
		u.world.recall = recall
		u.world.mu.Unlock()
	}
	return u.Next.UpsertMemo(ctx, memo)
}

func (t asked) DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	if workflowID == api.RolloutID(t.world.plan.Name) {
		return t.world.describeRollout()
	}
	for _, run := range t.world.runs.of(workflowID) {
		if runID == "" || pending.RunID(run) == runID {
			return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: run}, nil
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
		for _, run := range t.world.runs.of(id) {
			if time.Since(run.GetStartTime().AsTime()) >= t.world.listLag {
				listed = append(listed, run)
			}
		}
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: listed}, nil
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
