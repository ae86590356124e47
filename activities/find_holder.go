package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
)

// holdersTime is how long a plan waits to be told which servers others change.
const holdersTime = 10 * time.Second

func ChangeOSID(project, serverID string) string {
	return api.ChangeOSIDPrefix + project + "/" + serverID
}

// FindHolder says who is changing a server that could not be had: a rollout, or somebody's command.
func (a *Activities) FindHolder(ctx context.Context, in contract.FindHolderInput) (contract.FindHolderResult, error) {
	description, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, in.WorkflowID, "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return contract.FindHolderResult{Holder: "held by a change that is over by now"}, nil
	}
	if err != nil {
		return contract.FindHolderResult{}, err
	}
	info := description.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return contract.FindHolderResult{Holder: "held by a change that is over by now"}, nil
	}
	return contract.FindHolderResult{Holder: heldBy(info)}, nil
}

// heldBy says who has started a workflow that locks a server.
func heldBy(info *workflow.WorkflowExecutionInfo) string {
	holder := "held by a change of this server alone"
	if parent := info.GetParentExecution().GetWorkflowId(); parent != "" {
		holder = "held by " + strings.Replace(parent, "rollout/", "rollout ", 1)
	}
	return fmt.Sprintf("%s since %s", holder, info.GetStartTime().AsTime().UTC().Format(time.RFC3339))
}

// holders are who changes servers of the project at this moment, by the id of the server. Temporal's list trails a second
// or two behind; the lock itself does not.
func (a *Activities) holders(ctx context.Context, project string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, holdersTime)
	defer cancel()
	prefix := api.ChangeOSIDPrefix + project + "/"
	held := map[string]string{}
	err := pending.List(ctx, a.Temporal, "WorkflowId STARTS_WITH '"+prefix+"' AND ExecutionStatus = 'Running'", func(run *workflow.WorkflowExecutionInfo) {
		held[strings.TrimPrefix(run.GetExecution().GetWorkflowId(), prefix)] = heldBy(run)
	})
	return held, err
}
