package activities

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

type slowRollout struct {
	Temporal
	takes time.Duration
	mu    sync.Mutex
	asked int
}

func (s *slowRollout) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	time.Sleep(s.takes)
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{Status: enums.WORKFLOW_EXECUTION_STATUS_RUNNING},
	}, nil
}

// TestHundredsOfWritesAskTogether: five hundred servers that ask all the time for a minute ask Temporal twice a second,
// also when it is slow, and no answer is older than a write may go by.
func TestHundredsOfWritesAskTogether(t *testing.T) {
	for _, takes := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var asking recalls
			temporal := &slowRollout{takes: takes}
			var all sync.WaitGroup
			for i := range 500 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Second) {
						recall, asked, err := asking.ask(t.Context(), temporal, api.RolloutRef{WorkflowID: "rollout/web"})
						assert.NoError(t, err)
						assert.Equal(t, rollout.RecallNone, recall)
						assert.Less(t, time.Since(asked), recallValid)
					}
				})
			}
			all.Wait()
			assert.LessOrEqual(t, temporal.asked, 2*62)
			assert.GreaterOrEqual(t, temporal.asked, 25)
		})
	}
}

// TestAnAttemptThatEndsLeavesItsQuestionToTheOthers.
func TestAnAttemptThatEndsLeavesItsQuestionToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asking recalls
		temporal := &slowRollout{takes: time.Second}
		ref := api.RolloutRef{WorkflowID: "rollout/web"}
		ending, end := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			_, _, err := asking.ask(ending, temporal, ref)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		both.Go(func() {
			_, _, err := asking.ask(t.Context(), temporal, ref)
			assert.NoError(t, err)
		})
		end()
		both.Wait()
		assert.Equal(t, 1, temporal.asked)
	})
}
