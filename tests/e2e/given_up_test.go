package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestTemporalRefusesAnAttemptThatItGaveUp is what "never twice" rests on (activities/confirm.go): a silent attempt that
// asks, while its successor runs, is told that it is not the one that counts. The successor is told that it is.
func TestTemporalRefusesAnAttemptThatItGaveUp(t *testing.T) {
	t.Parallel()
	temporal, queue := machine.Temporal.Client, t.Name()
	succeeded, asked := make(chan struct{}), make(chan struct{})
	var first, second error
	var once sync.Once
	w := worker.New(temporal, queue, worker.Options{})
	w.RegisterActivityWithOptions(func(ctx context.Context) error {
		token := activity.GetInfo(ctx).TaskToken
		if activity.GetInfo(ctx).Attempt == 1 { // its context ends with it, but it does not listen
			<-succeeded
			first = temporal.RecordActivityHeartbeat(context.WithoutCancel(ctx), token)
			close(asked)
			return nil
		}
		once.Do(func() {
			second = temporal.RecordActivityHeartbeat(ctx, token)
			close(succeeded)
		})
		<-asked
		return nil
	}, activity.RegisterOptions{Name: "silent"})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 2 * time.Second})
		return workflow.ExecuteActivity(ctx, "silent").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "silent"})
	require.NoError(t, w.Start())
	defer w.Stop()
	run, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, "silent")
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	assert.NoError(t, second)
	var unknown *serviceerror.NotFound
	assert.ErrorAs(t, first, &unknown)
}
