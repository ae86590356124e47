package faults

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

const wordSignal = "word"

// takeWords has words of the operator taken, and returns what waits for those that are on their way: whoever gives one
// waits for it too.
func (w *world) takeWords(ctx workflow.Context) func(workflow.Context) error {
	var failed error
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var in activities.ForgetChangeInput
			workflow.GetSignalChannel(ctx, wordSignal).Receive(ctx, &in)
			ctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: workflows.ChangeOSID(in.Project, in.Last.ServerID)})
			err := workflow.ExecuteChildWorkflow(ctx, workflows.ForgetChangeName, in).Get(ctx, nil)
			w.mu.Lock()
			w.words--
			switch _, refused := errors.AsType[*temporal.ApplicationError](err); {
			case err == nil:
				w.outcome.Words++
			case refused:
				w.outcome.WordsRefused++
			default:
				failed = errors.Join(failed, err)
			}
			w.mu.Unlock()
		}
	})
	return func(ctx workflow.Context) error {
		return errors.Join(workflow.Await(ctx, func() bool { return !w.wordsOnTheirWay() }), failed)
	}
}

func (w *world) wordsOnTheirWay() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.words > 0
}

// forget cancels the order of a server that was not seen to its end, if there is one, and says that nothing comes of its
// changes any more, if that is so. It is false when there is nothing to say.
func (w *world) forget(failed rollout.ServerProgress) bool {
	if job := w.cloud.OpenChange(failed.ID); job != "" && w.cloud.CancelOrder(job) != nil {
		return false // the cloud works on it
	}
	earlier, err := activities.SentTo(context.Background(), asked{w}, workflows.ChangeOSID(w.plan.Project, failed.ID), "")
	if err != nil || len(earlier.Open) == 0 {
		return false
	}
	in := earlier.Forget(w.plan.Project, failed.ID)
	in.By = "the operator"
	w.mu.Lock()
	w.words++
	w.mu.Unlock()
	w.env.SignalWorkflow(wordSignal, in)
	return true
}
