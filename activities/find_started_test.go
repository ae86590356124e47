package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
)

// listing is a Temporal that lists these runs, one a page.
type listing struct {
	forgetful
	runs []*workflow.WorkflowExecutionInfo
}

func (l listing) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	i := len(request.GetNextPageToken())
	answer := &workflowservice.ListWorkflowExecutionsResponse{Executions: l.runs[i : i+1]}
	if i+1 < len(l.runs) {
		answer.NextPageToken = make([]byte, i+1)
	}
	return answer, nil
}

// TestFindStarted: the newest run of each server, of this rollout alone, and none from before it began.
func TestFindStarted(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		began := time.Now().UTC()
		started := func(server, run, parent string, after time.Duration) *workflow.WorkflowExecutionInfo {
			return &workflow.WorkflowExecutionInfo{
				Execution:       &common.WorkflowExecution{WorkflowId: "changeos/" + emulator.DefaultProjectID + "/" + server, RunId: run},
				ParentExecution: &common.WorkflowExecution{WorkflowId: parent}, StartTime: timestamppb.New(began.Add(after)),
			}
		}
		l.acts.Temporal = listing{runs: []*workflow.WorkflowExecutionInfo{
			started("a", "a-2", "rollout/web", 2*time.Minute), started("a", "a-1", "rollout/web", time.Minute), started("b", "b-1", "rollout/web", time.Minute),
			started("b", "b-2", "rollout/web", 2*time.Minute), started("c", "c-1", "rollout/other", time.Minute), started("d", "d-0", "rollout/web", -time.Minute),
		}}
		end := run(l, l.acts.FindStarted, activities.FindStartedInput{Project: emulator.DefaultProjectID, WorkflowID: "rollout/web", Since: began}, attempt{})
		require.NoError(l, end.err)
		assert.Equal(l, []activities.StartedServer{
			{ServerID: "a", RunID: "a-2", StartedAt: began.Add(2 * time.Minute)}, {ServerID: "b", RunID: "b-2", StartedAt: began.Add(2 * time.Minute)},
		}, end.result.Servers)
		assert.Equal(l, 10*time.Second, end.took, "the list may trail behind")
	})
}
