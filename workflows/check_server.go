package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
)

// CheckServer looks at a server and an image for somebody who has no cloud credentials: the command
// line, before it asks for consent. It touches nothing.
func CheckServer(ctx workflow.Context, in activities.PreflightInput) (activities.PreflightResult, error) {
	var found activities.PreflightResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "look at the server and the image"), act.Preflight, in).Get(ctx, &found)
	return found, err
}
