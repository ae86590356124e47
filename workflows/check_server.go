package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
)

// CheckServer looks at a server and an image for somebody who has no cloud credentials: the command
// line, before it asks for consent. It touches nothing.
func CheckServer(ctx workflow.Context, in api.CheckServerInput) (api.CheckServerResult, error) {
	var found contract.PreflightResult
	ctx = promptOptions(ctx, "look at the server and the image")
	err := workflow.ExecuteActivity(ctx, contract.Preflight, contract.PreflightInput{
		Project: in.Project, Profile: in.Profile, ServerID: in.ServerID, Change: in.Change, Expect: in.Expect,
	}).Get(ctx, &found)
	return api.CheckServerResult(found), err
}
