package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
)

// tellEvery is how often a rollout is told: it may have been resumed too early.
const tellEvery = time.Minute

// TellRollout is for the options of a worker: it has activities tell the rollout that their server belongs to, if any.
// An activity that waits for credentials is tried again for ever, and no workflow sees it.
type TellRollout struct {
	interceptor.WorkerInterceptorBase
	// Rollout is the name of the workflow type of rollouts, which run a few activities of their own.
	Rollout string

	mu   sync.Mutex
	told map[string]time.Time // when the worker last told of a server, or told a rollout, by workflow id
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (t *TellRollout) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &tellRollout{interceptor.ActivityInboundInterceptorBase{Next: next}, t}
}

type tellRollout struct {
	interceptor.ActivityInboundInterceptorBase
	*TellRollout
}

// ExecuteActivity tells from the second attempt on: what is refused once may be renewed by then.
func (t *tellRollout) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := t.Next.ExecuteActivity(ctx, in)
	refused, ok := errors.AsType[*temporal.ApplicationError](err)
	patience := int32(1)
	if ok && (refused.Type() == api.ErrSecret || refused.Type() == api.ErrProbesRefused) {
		patience = secretAttempts // another worker may be able to
	}
	if ok && api.IsOfWorker(refused.Type()) && !refused.NonRetryable() && activity.GetInfo(ctx).Attempt > patience {
		if err := t.tell(ctx, refused.Message()); err != nil {
			activity.GetLogger(ctx).Warn("The missing secrets could not be reported to the rollout.", "Reason", err.Error())
		}
	}
	return result, err
}

// tell signals the rollout that the workflow of the activity is, or was started by.
func (t *TellRollout) tell(ctx context.Context, refusal string) error {
	info, client := activity.GetInfo(ctx), activity.GetClient(ctx)
	told := info.WorkflowExecution.ID
	if !t.due(told) {
		return nil
	}
	if info.WorkflowType.Name != t.Rollout {
		description, err := client.DescribeWorkflowExecution(ctx, told, info.WorkflowExecution.RunID)
		if err != nil {
			return err
		}
		told = description.GetWorkflowExecutionInfo().GetParentExecution().GetWorkflowId()
		if told == "" || !t.due(told) { // a change of this server alone, or another server was faster
			return nil
		}
	}
	return client.SignalWorkflow(ctx, told, "", api.CredentialsSignal, refusal)
}

// due is true once in a while for each workflow.
func (t *TellRollout) due(workflowID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for id, at := range t.told {
		if now.Sub(at) >= tellEvery {
			delete(t.told, id)
		}
	}
	if _, lately := t.told[workflowID]; lately {
		return false
	}
	if t.told == nil {
		t.told = map[string]time.Time{}
	}
	t.told[workflowID] = now
	return true
}
