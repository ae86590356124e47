package activities_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
)

// described is a Temporal that knows the newest run of these servers, by their ids.
type described struct {
	forgetful
	newest map[string]*workflow.WorkflowExecutionInfo
	err    error
}

func (d described) DescribeWorkflowExecution(_ context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	info, ok := d.newest[strings.TrimPrefix(id, "changeos/"+emulator.DefaultProjectID+"/")]
	switch {
	case d.err != nil:
		return nil, d.err
	case !ok || runID != "":
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}, nil
}

// TestFindStarted: servers of this rollout alone, and none that it started before the run that was reset.
func TestFindStarted(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		began := time.Now().UTC()
		started := func(run, parent string, after time.Duration) *workflow.WorkflowExecutionInfo {
			return &workflow.WorkflowExecutionInfo{
				Execution: &common.WorkflowExecution{RunId: run}, ParentExecution: &common.WorkflowExecution{WorkflowId: parent},
				StartTime: timestamppb.New(began.Add(after)),
			}
		}
		newest := map[string]*workflow.WorkflowExecutionInfo{
			"a": started("a-2", "rollout/web", 2*time.Minute), "b": started("b-1", "rollout/web", 0),
			"c": started("c-1", "rollout/other", time.Minute), "d": started("d-0", "rollout/web", -time.Minute), "e": started("e-1", "", time.Minute),
		}
		in := contract.FindStartedInput{
			Project: emulator.DefaultProjectID, WorkflowID: "rollout/web", Since: began, ServerIDs: []string{"d", "a", "never", "c", "b", "e"},
		}
		l.acts.Temporal = described{newest: newest}
		end := run(l, l.acts.FindStarted, in, attempt{})
		require.NoError(l, end.err)
		assert.Equal(l, []contract.StartedServer{
			{ServerID: "a", RunID: "a-2", StartedAt: began.Add(2 * time.Minute)}, {ServerID: "b", RunID: "b-1", StartedAt: began},
		}, end.result.Servers)

		l.acts.Temporal = described{newest: newest, err: serviceerror.NewUnavailable("down")}
		require.Error(l, run(l, l.acts.FindStarted, in, attempt{}).err, "half an answer is none")
	})
}
