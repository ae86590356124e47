package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// TestResetPausesAndFollows: what the rollout had started before its workflow was reset is in flight, whatever was
// commanded meanwhile, and ends as it ends.
func TestResetPausesAndFollows(t *testing.T) {
	began := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for name, command := range map[string]rollout.CommandKind{"paused": "", "aborted": rollout.Abort} {
		t.Run(name, func(t *testing.T) {
			plan := rollout.Plan{
				Version: rollout.PlanVersion, Name: "web", Caps: rollout.Caps{InFlight: 3}, Budget: rollout.Budget{Count: new(3)},
				Servers: []rollout.PlannedServer{{ID: "a", Name: "a"}, {ID: "b", Name: "b"}, {ID: "c", Name: "c"}},
				Waves:   []rollout.Wave{{Name: "all", End: 3}},
			}
			e := engine.New(plan, "", began)
			reset := began.Add(time.Hour)
			e.WasReset(reset)
			assert.Empty(t, e.Advance(reset).Start)
			assert.Contains(t, e.Progress().Why, "reset by hand")
			if command != "" {
				_, err := e.Do(rollout.Command{Kind: command, By: "ina"}, reset)
				require.NoError(t, err)
			}
			started := began.Add(time.Minute)
			require.True(t, e.Started(0, started, reset))
			require.True(t, e.Started(0, started, reset), "it is in flight")
			assert.Equal(t, 1, e.Progress().Counts.InFlight)
			assert.Equal(t, started, e.Server(0).StartedAt)

			e.Finished(0, engine.Outcome{End: rollout.FailedIntact, Reason: "the old system disk is still there"}, reset.Add(time.Minute))
			assert.False(t, e.Started(0, started, reset.Add(time.Minute)), "that start has ended")
			decision := e.Advance(reset.Add(time.Minute))
			assert.Empty(t, decision.Start)
			assert.Equal(t, command == rollout.Abort, decision.Over)
			assert.Equal(t, rollout.FailedIntact, e.Server(0).End)
			assert.Equal(t, 1, e.Server(0).Attempts)
			if command == rollout.Abort {
				assert.Equal(t, rollout.NotStarted, e.Server(1).End)
			}
		})
	}
}
