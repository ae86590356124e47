package contract_test

import (
	"flag"
	"testing"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/goldenjson"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStructs shows in review what changes between workflows and workers of different versions, and for histories.
func TestStructs(t *testing.T) {
	goldenjson.Check(t, *update,
		contract.PreflightInput{}, contract.PreflightResult{},
		contract.StopIfNeededInput{}, contract.StopIfNeededResult{},
		contract.SubmitChangeOSInput{}, contract.SubmitChangeOSResult{},
		contract.PollJobInput{}, contract.PollJobResult{},
		contract.VerifyServerInput{},
		contract.CheckHealthInput{}, contract.CheckHealthResult{},
		contract.RestorePowerInput{}, contract.RestorePowerResult{},
		contract.AwaitServerInput{}, contract.AwaitServerResult{},
		contract.FindHolderInput{}, contract.FindHolderResult{},
		contract.FindStartedInput{}, contract.FindStartedResult{}, contract.StartedServer{},
		contract.ReadStatesInput{}, contract.ReadStatesResult{}, contract.DownServer{},
		contract.MakePlanInput{}, contract.MakePlanResult{}, contract.CheckPlanInput{}, contract.CheckPlanResult{},
		contract.DiagnoseInput{}, contract.DiagnoseResult{},
	)
}
