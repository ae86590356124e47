package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
)

// FindHolderName is the name under which FindHolder is registered.
const FindHolderName = "FindHolder"

// FindHolderInput names the workflow that locks a server.
type FindHolderInput struct {
	WorkflowID string `json:"workflow_id"`
}

// FindHolderResult says who holds the server.
type FindHolderResult struct {
	Holder string `json:"holder"`
}

// FindHolder says who is changing a server that could not be had: a rollout, or somebody's command.
func (a *Activities) FindHolder(ctx context.Context, in FindHolderInput) (FindHolderResult, error) {
	description, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, in.WorkflowID, "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return FindHolderResult{Holder: "held by a change that is over by now"}, nil
	}
	if err != nil {
		return FindHolderResult{}, err
	}
	info := description.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return FindHolderResult{Holder: "held by a change that is over by now"}, nil
	}
	holder := "held by a change of this server alone"
	if parent := info.GetParentExecution().GetWorkflowId(); parent != "" {
		holder = "held by " + strings.Replace(parent, "rollout/", "rollout ", 1)
	}
	return FindHolderResult{Holder: fmt.Sprintf("%s since %s", holder, info.GetStartTime().AsTime().UTC().Format(time.RFC3339))}, nil
}
