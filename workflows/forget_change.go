package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// ForgetChange stands in the history of a server for the word of a human: the cloud itself never tells that the order of
// a change was cancelled (ECS API reference, ecs_02_0901: querying a job), and no other change is sent while an earlier one
// may still come. It is a run of the workflow that locks the server, so none is under way meanwhile; its word is for the
// runs that it names alone. Its result is that of the latest of them, with the word for its reason.
func ForgetChange(ctx workflow.Context, in api.ForgetChangeInput) (rollout.ServerResult, error) {
	result := in.Last
	if in.By == "" {
		return result, invalidInput("nobody says that nothing comes of the change any more")
	}
	if err := CheckDismissal(ctx, in); err != nil {
		return result, err
	}
	why := ""
	if in.Comment != "" {
		why = " (" + in.Comment + ")"
	}
	result.Reason = fmt.Sprintf("nothing more comes of its change, says %s%s", in.By, why)
	return result, nil
}

// CheckDismissal fails with the reason for which ForgetChange would be refused now, so that a command can tell before it asks
// for consent. It dismisses nothing. It needs the lock on the server too: its history keeps when the cloud was seen to work on
// the job, from which the time until a dismissal is believed counts.
func CheckDismissal(ctx workflow.Context, in api.ForgetChangeInput) error {
	if in.Project == "" || !rollout.IsUUID(in.Last.ServerID) || len(in.Runs) == 0 {
		return invalidInput("changes to forget have a project, a server and runs that sent them")
	}
	if id, lock := workflow.GetInfo(ctx).WorkflowExecution.ID, api.ChangeOSID(in.Project, in.Last.ServerID); id != lock {
		return invalidInput("the workflow id %q does not lock the server: it has to be %q", id, lock)
	}
	return mayBeForgotten(ctx, in)
}

// mayBeForgotten has the cloud asked for the job: one that it works on comes, whatever anybody says, unless it was seen
// working on it a day ago; and one that is over needs nobody's word.
func mayBeForgotten(ctx workflow.Context, in api.ForgetChangeInput) error {
	if in.JobID == "" {
		return nil
	}
	var job contract.PollJobResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "ask for job "+in.JobID), contract.PollJob, contract.PollJobInput{
		Project: in.Project, JobID: in.JobID, ServerID: in.Last.ServerID, Change: in.Change, Deadline: workflow.Now(ctx), // once
	}).Get(ctx, &job)
	switch {
	case err != nil:
		return standsAgainst("job %s cannot be asked for: %s", in.JobID, said(err))
	case len(in.Runs) == 1 && (job.End == contract.JobSucceeded || job.End == contract.JobFailed): // else the word is for those without a job
		return standsAgainst("its job %s is over (%s), and stands against nothing: change the server again, or retry it", in.JobID, job.End)
	case contract.UnderWay(job.Status):
		since := in.UnderWaySince
		if since.IsZero() { // this word is the first to see it; those to come find it in the history
			since = workflow.Now(ctx)
		}
		if stuck := since.Add(api.StuckAfter); workflow.Now(ctx).Before(stuck) {
			return standsAgainst("its job %s is %s: wait for its end; if it is still so at %s, say it again", in.JobID, job.Status, stuck.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// standsAgainst is the error for a word that is not taken.
func standsAgainst(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), api.ErrRefused, nil)
}
