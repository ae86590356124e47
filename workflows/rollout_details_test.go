package workflows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"

	"github.com/reimage/reimage/rollout"
)

// details are what the Web UI shows of the rollout.
func (f *fleet) details() string {
	f.t.Helper()
	answer, err := f.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(f.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(f.t, answer.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// TestRolloutDetails: who has only the Web UI sees the waves, the failures and who did what.
func TestRolloutDetails(t *testing.T) {
	f := newFleet(t, 6, 2, 2, 6)
	f.plan.Budget.Count = new(1)
	f.ends["web-01"] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "the change was refused"}
	var during string
	f.at(12*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Pause, Comment: "lunch"}) })
	f.at(13*time.Minute, func() { during = f.details() })
	f.at(30*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })

	f.run()

	assert.Equal(t, `**web** to image base-2: paused

paused: bob asked for it; 2 servers in flight

failures 1 of 1 tolerated, slots 2 of 2

| wave | servers | done | failed | in flight | pending |
|---|---|---|---|---|---|
| wave-1 | 2 | 1 | 1 | 0 | 0 |
| wave-2 | 4 | 0 | 0 | 2 | 2 |

Failed:
- web-01: failed-intact: the change was refused

- 2026-03-01T08:00:00Z ann started: 6 servers in 2 waves
- 2026-03-01T08:10:00Z  web-01: failed-intact: the change was refused
- 2026-03-01T08:10:00Z  wave wave-1 is over
- 2026-03-01T08:12:00Z bob paused: 2 servers in flight: untouched ones wait for their turn again, the others are finished: lunch
`, during)
	assert.Contains(t, f.details(), "**web** to image base-2: ended\n\nended: aborted\n", "the end is shown too")
}

// TestRolloutDetailsListTwentyFailures: the rest is for the command line.
func TestRolloutDetailsListTwentyFailures(t *testing.T) {
	f := newFleet(t, 25, 25, 25)
	f.plan.Budget.Count = new(25)
	for _, server := range f.plan.Servers {
		f.ends[server.Name] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "no quota"}
	}
	f.run()
	assert.Contains(t, f.details(), "| wave-1 | 25 | 0 | 25 | 0 | 0 |\n")
	list, _, _ := strings.Cut(f.details()[strings.Index(f.details(), "\nFailed:\n"):], "\n\n")
	assert.Equal(t, 20, strings.Count(list, "failed-intact: no quota"))
	assert.Contains(t, list, "- web-19: ")
	assert.NotContains(t, list, "- web-20: ")
}

// TestRolloutDetailsFitTemporal: longer ones would fail the workflow task, again and again.
func TestRolloutDetailsFitTemporal(t *testing.T) {
	for cut := range 2 { // one of the two cuts falls into the middle of a letter
		f := newFleet(t, 25, 25, 25)
		f.plan.Budget.Count = new(25)
		f.plan.ImageName = strings.Repeat("x", cut)
		for i := range f.plan.Servers {
			server := &f.plan.Servers[i]
			server.Name = fmt.Sprintf("%s-%02d", strings.Repeat("é", 400), i)
			f.ends[server.Name] = rollout.ServerResult{End: rollout.FailedIntact, Reason: strings.Repeat("é", 400)}
		}
		f.run()
		details := f.details()
		assert.LessOrEqual(t, len(details), 19_000)
		assert.GreaterOrEqual(t, len(details), 18_998, "as much as fits")
		assert.True(t, utf8.ValidString(details))
	}
}
