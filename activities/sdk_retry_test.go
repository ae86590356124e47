package activities_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
)

// TestSubmitUnderTheSDKsOwnRetries checks what the other tests assume of Temporal: attempts are numbered,
// and the last heartbeat of a failed attempt reaches the next one. The test environment skips the pauses
// between attempts, so time tells only whether an attempt settled.
func TestSubmitUnderTheSDKsOwnRetries(t *testing.T) {
	tests := []struct {
		name    string
		faults  []emulator.Fault
		starts  int32
		settles bool
	}{
		{"throttled", []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.Throttle, Times: 3, RetryAfter: time.Second}}, 4, false},
		{"lost", []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.DropBefore}}, 2, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, withFaults(stopped(), test.faults...), func(l *lab) {
				var suite testsuite.WorkflowTestSuite
				suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(l.logs, nil))))
				env := suite.NewTestWorkflowEnvironment()
				env.SetTestTimeout(time.Hour) // of simulated time
				env.RegisterActivity(l.acts.SubmitChangeOS)
				var last int32
				env.SetOnActivityHeartbeatListener(func(info *activity.Info, _ converter.EncodedValues) { last = max(last, info.Attempt) })
				begun := time.Now()
				env.ExecuteWorkflow(func(ctx workflow.Context, in contract.SubmitChangeOSInput) (out contract.SubmitChangeOSResult, err error) {
					ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
						StartToCloseTimeout: 10 * time.Minute,
						HeartbeatTimeout:    heartbeatTimeout,
						RetryPolicy:         &temporal.RetryPolicy{InitialInterval: firstRetry, MaximumInterval: time.Minute},
					})
					err = workflow.ExecuteActivity(ctx, l.acts.SubmitChangeOS, in).Get(ctx, &out)
					return out, err
				}, l.submission())
				require.NoError(l, env.GetWorkflowError())
				var out contract.SubmitChangeOSResult
				require.NoError(l, env.GetWorkflowResult(&out))
				synctest.Wait()
				assert.NotEmpty(l, out.JobID)
				assert.Equal(l, test.starts, last)
				assert.Equal(l, 1, l.changes())
				assert.Equal(l, test.settles, time.Since(begun) >= testTiming().Settle)
			})
		})
	}
}
