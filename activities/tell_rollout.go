package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
)

// CredentialsSignal tells a rollout that the cloud refuses the workers' credentials to a server in flight, which waits
// for them. Its argument is the refusal, a sentence that names the profile.
const CredentialsSignal = "credentials-refused"

// An activity that waits for credentials is tried again for ever, at most twice a minute, and no workflow sees it. It
// tells at its second attempt, and every half hour, should nobody have listened.
const (
	tellAt    = 2
	tellEvery = 64
)

// TellRollout is for the options of a worker: it has activities tell the rollout that their server belongs to, if any.
type TellRollout struct {
	interceptor.WorkerInterceptorBase
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (*TellRollout) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &tellRollout{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type tellRollout struct {
	interceptor.ActivityInboundInterceptorBase
}

func (t *tellRollout) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := t.Next.ExecuteActivity(ctx, in)
	refused, ok := errors.AsType[*temporal.ApplicationError](err)
	if ok && refused.Type() == ErrCredentials && !refused.NonRetryable() && activity.GetInfo(ctx).Attempt%tellEvery == tellAt {
		if err := tell(ctx, refused.Message()); err != nil {
			activity.GetLogger(ctx).Warn("The rollout could not be told that the cloud refuses the credentials.", "Reason", err.Error())
		}
	}
	return result, err
}

// tell signals the rollout that started the workflow of the activity.
func tell(ctx context.Context, refusal string) error {
	client, server := activity.GetClient(ctx), activity.GetInfo(ctx).WorkflowExecution
	description, err := client.DescribeWorkflowExecution(ctx, server.ID, server.RunID)
	if err != nil {
		return err
	}
	parent := description.GetWorkflowExecutionInfo().GetParentExecution().GetWorkflowId()
	if parent == "" {
		return nil // a change of this server alone
	}
	return client.SignalWorkflow(ctx, parent, "", CredentialsSignal, refusal)
}
