package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// DismissChange dismisses pending changes of a server, because a human knows that they are over: the cloud never shows that the
// order of a change was cancelled (ECS API reference, ecs_02_0901: querying a job), and no other change is sent while one is
// pending. It is a run of the workflow that locks the server, so none is in progress meanwhile. Its result is that of the latest.
func DismissChange(ctx workflow.Context, in api.DismissChangeInput) (result rollout.ServerResult, err error) {
	if in.Project == "" || !rollout.IsUUID(in.ServerID) || len(in.Changes) == 0 {
		return result, invalidInput("a dismissal has a project, a server and its changes")
	}
	if in.By == "" && !in.CheckOnly {
		return result, invalidInput("a dismissal needs the name of its author")
	}
	if id, lock := workflow.GetInfo(ctx).WorkflowExecution.ID, api.ChangeOSID(in.Project, in.ServerID); id != lock {
		return result, invalidInput("the workflow id %q does not lock the server: it has to be %q", id, lock)
	}
	if err := checkDismissal(ctx, in); err != nil || in.CheckOnly {
		return result, err
	}
	var dismissal api.Dismissal
	for _, change := range in.Changes {
		dismissal.Runs = append(dismissal.Runs, change.RunID)
	}
	why := ""
	if in.Comment != "" {
		why = " (" + in.Comment + ")"
	}
	result = in.Changes[0].Result
	result.End, result.ServerID = cmp.Or(result.End, rollout.FailedChanged), in.ServerID
	result.Reason = fmt.Sprintf("nothing more comes of its change, says %s%s", in.By, why)
	return result, workflow.UpsertMemo(ctx, map[string]any{api.DismissalMemo: dismissal})
}

// checkDismissal asks the cloud for the job. A change that the cloud works on is not over, unless the cloud was seen to work on it a
// day ago. A job that is over needs no dismissal.
func checkDismissal(ctx workflow.Context, in api.DismissChangeInput) error {
	earliest := in.Changes[len(in.Changes)-1]
	jobID, since := earliest.Result.JobID, earliest.InProgressSince
	if jobID == "" {
		return nil
	}
	var job contract.PollJobResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "ask for job "+jobID), contract.PollJob, contract.PollJobInput{
		Project: in.Project, JobID: jobID, ServerID: in.ServerID, Change: earliest.Change, Deadline: workflow.Now(ctx), // once
	}).Get(ctx, &job)
	if since.IsZero() {
		since = workflow.Now(ctx)
	}
	stuckAt := since.Add(api.StuckAfter)
	switch {
	case err != nil:
		return notDismissed("job %s cannot be asked for: %s", jobID, said(err))
	case len(in.Changes) == 1 && (job.End.IsOver()): // else it is for those without a job
		return notDismissed("its job %s is over (%s), so nothing is pending: change the server again, or retry it", jobID, job.End)
	case !api.IsInProgress(job.Status) || !workflow.Now(ctx).Before(stuckAt):
		return nil
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{api.DismissalMemo: api.Dismissal{InProgressSince: since}}); err != nil {
		return err
	}
	return notDismissed("its job %s is %s: wait for its end; if it is still so at %s, dismiss it then", jobID, job.Status, stuckAt.UTC().Format(time.RFC3339))
}

func notDismissed(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), api.ErrRefused, nil)
}
