package activities

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// failed is the error that a client gets of a workflow that ended so: the SDK makes it, nobody else can. Nor can
// a test give an activity a client, so the waiting itself is proven end to end.
func failed(cause error) error {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(func(workflow.Context) error { return cause })
	return env.GetWorkflowError()
}

// TestLostServer: a result when the workflow left one, or else a word on what became of it.
func TestLostServer(t *testing.T) {
	left := rollout.ServerResult{End: rollout.NotStarted, Reason: "cancelled before its disk was touched"}
	for name, test := range map[string]struct {
		end  error
		want contract.AwaitServerResult
	}{
		"cancelled, with a result": {failed(temporal.NewCanceledError(left)), contract.AwaitServerResult{Result: &left}},
		"cancelled, without":       {failed(temporal.NewCanceledError()), contract.AwaitServerResult{Lost: "its workflow was cancelled"}},
		"terminated":               {failed(&temporal.TerminatedError{}), contract.AwaitServerResult{Lost: "its workflow was terminated by hand"}},
		"timed out":                {failed(temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)), contract.AwaitServerResult{Lost: "its workflow timed out (StartToClose)"}},
		"failed":                   {failed(temporal.NewNonRetryableApplicationError("out of paper", "Surprise", nil)), contract.AwaitServerResult{Lost: "its workflow failed: out of paper"}},
		"refused its input": {
			failed(temporal.NewNonRetryableApplicationError("there is no project", api.ErrInvalidInput, nil)),
			contract.AwaitServerResult{Result: &rollout.ServerResult{End: rollout.NotStarted, Reason: "its workflow was refused, nothing was touched: there is no project"}},
		},
		"forgotten": {serviceerror.NewNotFound("no rows"), contract.AwaitServerResult{Lost: "Temporal no longer knows its workflow"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := lostServer(test.end)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

// TestTroubleWithAskingSaysNothingOfTheServer, so it is asked again.
func TestTroubleWithAskingSaysNothingOfTheServer(t *testing.T) {
	for _, trouble := range []error{serviceerror.NewUnavailable("Temporal is away"), errors.New("no route")} {
		got, err := lostServer(trouble)
		assert.Equal(t, trouble, err)
		assert.Zero(t, got)
	}
}
