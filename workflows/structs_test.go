package workflows_test

import (
	"flag"
	"testing"

	"github.com/reimage/reimage/internal/goldenjson"
	"github.com/reimage/reimage/workflows"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStructs shows in review what changes for a rollout that one version of the workers hands to the next.
func TestStructs(t *testing.T) {
	goldenjson.Check(t, *update, workflows.RolloutRunInput{}, workflows.Carry{}, workflows.Running{})
}
