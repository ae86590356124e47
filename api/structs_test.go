package api_test

import (
	"flag"
	"testing"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/goldenjson"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStructs shows in review what changes for programs that call the workflows, and for histories.
func TestStructs(t *testing.T) {
	goldenjson.Check(t, *update,
		api.ChangeOSInput{}, api.Status{}, api.StepAt{}, api.PollProgress{},
		api.CheckServerInput{}, api.CheckServerResult{},
		api.ChangeRecord{}, api.PendingChange{}, api.DismissChangeInput{}, api.Dismissal{},
		api.PlanRolloutInput{}, api.PlanRolloutResult{}, api.CheckPlanInput{}, api.CheckPlanResult{}, api.ReadingProgress{},
		api.RolloutInput{}, api.RolloutResult{}, api.ServersPage{}, api.ServersAnswer{}, api.RolloutRef{}, api.Suspicion{},
		api.DoctorInput{}, api.DoctorResult{}, api.Finding{},
	)
}
