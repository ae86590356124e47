package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
)

// ForgetChange stands in the history of a server for the word of a human: the cloud itself never tells that the order of
// a change was cancelled (ecs-api.md 2.2), and no other change is sent while an earlier one may still come. It is a run of
// the workflow that locks the server, so none is under way meanwhile; its word is for the runs that it names alone. Its result is
// that of the latest of them, with the word before the reason.
func ForgetChange(ctx workflow.Context, in activities.ForgetChangeInput) (rollout.ServerResult, error) {
	result := in.Last
	switch {
	case in.Project == "" || !rollout.IsUUID(result.ServerID) || len(in.Runs) == 0:
		return result, invalidInput("changes to forget have a project, a server and runs that sent them")
	case in.By == "":
		return result, invalidInput("nobody says that nothing comes of the change any more")
	}
	if id := workflow.GetInfo(ctx).WorkflowExecution.ID; id != ChangeOSID(in.Project, result.ServerID) {
		return result, invalidInput("the workflow id %q does not lock the server: it has to be %q", id, ChangeOSID(in.Project, result.ServerID))
	}
	why := ""
	if in.Comment != "" {
		why = " (" + in.Comment + ")"
	}
	result.Reason = fmt.Sprintf("nothing comes of its change any more, says %s%s; before that: %s", in.By, why, result.Reason)
	return result, nil
}
