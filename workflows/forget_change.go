package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/rollout"
)

// ForgetChangeInput says of a change that was not seen to its end that nothing comes of it any more.
type ForgetChangeInput struct {
	Project string `json:"project"`
	// Last is how the change ended as far as it was seen.
	Last rollout.ServerResult `json:"last"`
	// By says so, and why.
	By      string `json:"by"`
	Comment string `json:"comment,omitempty"`
}

// ForgetChange stands in the history of a server for the word of a human: the cloud itself never tells that the order of
// a change was cancelled (ecs-api.md 2.2), and no other change is sent while an earlier one may still come. It holds the
// lock on the server like a change, and its result is that of the change, which has failed and left the disk intact.
func ForgetChange(ctx workflow.Context, in ForgetChangeInput) (rollout.ServerResult, error) {
	result := in.Last
	switch {
	case in.Project == "" || !rollout.IsUUID(result.ServerID):
		return result, invalidInput("a change to forget has a project and a server")
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
	result.End, result.EndedAt = rollout.FailedIntact, workflow.Now(ctx)
	result.Reason = fmt.Sprintf("nothing comes of its change any more, says %s%s; before that: %s", in.By, why, result.Reason)
	return result, nil
}
