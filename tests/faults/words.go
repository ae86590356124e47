package faults

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/rollout"
)

const wordSignal = "word"

// takeWords has words of the operator taken, and returns what waits for those that are on their way: whoever gives one
// waits for it too.
func (w *world) takeWords(ctx workflow.Context) func(workflow.Context) error {
	var failed error
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var in api.DismissChangeInput
			workflow.GetSignalChannel(ctx, wordSignal).Receive(ctx, &in)
			ctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: api.ChangeOSID(in.Project, in.ServerID)})
			err := workflow.ExecuteChildWorkflow(ctx, api.DismissChangeName, in).Get(ctx, nil)
			w.mu.Lock()
			w.words--
			switch refusal, refused := errors.AsType[*temporal.ApplicationError](err); {
			case err == nil:
				w.outcome.Words++
			case refused && strings.Contains(refusal.Message(), "wait for its end"):
				w.outcome.WordsRefused++
			case refused: // its job is over by now
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
// changes any more. It is false when there is nothing to say. While the cloud works on a job that it tells of, that is said
// too: such a word is not taken.
func (w *world) forget(failed rollout.ServerProgress) bool {
	job := w.cloud.OpenChange(failed.ID)
	works := job != "" && w.cloud.CancelOrder(job) != nil
	earlier, err := pending.Of(context.Background(), asked{w}, api.ChangeOSID(w.plan.Project, failed.ID), "")
	if err != nil || len(earlier.Pending) == 0 {
		return false
	}
	forgetful := slices.ContainsFunc(w.schedule.Cloud.Faults, func(f emulator.Fault) bool { return f.Kind == emulator.JobForgotten })
	if earliest := earlier.Pending[len(earlier.Pending)-1]; works && (earliest.Result.JobID != job || forgetful) {
		return false // it would be believed
	}
	in := api.DismissChangeInput{Project: w.plan.Project, ServerID: failed.ID, Changes: earlier.Pending}
	in.By = "the operator"
	w.mu.Lock()
	w.words++
	w.mu.Unlock()
	w.env.SignalWorkflow(wordSignal, in)
	return true
}
