package workflows_test

import (
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
)

// between stands between a rollout and Temporal. It does what the test environment cannot: workflows of other
// people that hold an id, and starts that take their time. And it notes what the rollout asks for.
type between struct {
	interceptor.WorkerInterceptorBase
	// held tells whether somebody else runs the workflow of that id.
	held func(id string) bool
	// startTakes is how long Temporal takes to start a workflow, or to refuse it.
	startTakes time.Duration

	children []askedChild
	timers   []askedTimer
}

type askedChild struct {
	at      time.Time
	options workflow.ChildWorkflowOptions
}

type askedTimer struct {
	takes   time.Duration
	summary string
}

func (b *between) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if workflow.GetInfo(ctx).WorkflowType.Name != api.RolloutName {
		return next
	}
	return &betweenInbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, between: b}
}

type betweenInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	*between
}

func (i *betweenInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&betweenOutbound{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, between: i.between})
}

type betweenOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	*between
}

func (o *betweenOutbound) NewTimerWithOptions(ctx workflow.Context, d time.Duration, options workflow.TimerOptions) workflow.Future {
	o.timers = append(o.timers, askedTimer{takes: d, summary: options.Summary})
	return o.Next.NewTimerWithOptions(ctx, d, options)
}

func (o *betweenOutbound) ExecuteChildWorkflow(ctx workflow.Context, childType string, args ...any) workflow.ChildWorkflowFuture {
	options := workflow.GetChildWorkflowOptions(ctx)
	o.children = append(o.children, askedChild{at: workflow.Now(ctx), options: options})
	held := o.held != nil && o.held(options.WorkflowID)
	if !held && o.startTakes == 0 {
		return o.Next.ExecuteChildWorkflow(ctx, childType, args...)
	}
	started, settle := workflow.NewFuture(ctx)
	late := lateChild{started: started}
	if !held {
		late.ChildWorkflowFuture = o.Next.ExecuteChildWorkflow(ctx, childType, args...)
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = o.Next.NewTimerWithOptions(ctx, o.startTakes, workflow.TimerOptions{}).Get(ctx, nil) // the context is never cancelled
		if held {
			settle.SetError(&temporal.ChildWorkflowExecutionAlreadyStartedError{})
			return
		}
		settle.Chain(late.ChildWorkflowFuture.GetChildWorkflowExecution())
	})
	return late
}

// lateChild is a workflow whose start is told late, or refused.
type lateChild struct {
	workflow.ChildWorkflowFuture
	started workflow.Future
}

func (c lateChild) GetChildWorkflowExecution() workflow.Future { return c.started }
