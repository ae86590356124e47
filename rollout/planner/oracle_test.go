package planner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// TestEstimateIsWhatTheEngineDoes: the engine itself, with servers that take 6 minutes and approvals that come
// at once, ends exactly at the estimate.
func TestEstimateIsWhatTheEngineDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan, _, _ := drawPlan(t)
		plan.Deadline = 0
		e := engine.New(plan, "test", madeAt)
		now := madeAt
		ends := map[int]time.Time{}
		for range 10_000 {
			d := e.Advance(now)
			for _, s := range d.Start {
				ends[s.Server] = now.Add(6 * time.Minute)
			}
			if d.Over {
				require.Equal(t, plan.Estimate, now.Sub(madeAt))
				return
			}
			if d.ReadStates { // no outage lasts
				e.StatesRead(nil, now)
				continue
			}
			if w := awaiting(e); w != "" {
				_, err := e.Do(rollout.Command{Kind: rollout.Approve, By: "me", Wave: w}, now)
				require.NoError(t, err)
				continue
			}
			next := d.WakeAt
			for _, at := range ends {
				if next.IsZero() || at.Before(next) {
					next = at
				}
			}
			require.False(t, next.IsZero(), "deadlock")
			now = next
			for i, at := range ends {
				if !at.After(now) {
					delete(ends, i)
					e.Finished(i, engine.Outcome{End: rollout.Done}, now)
				}
			}
		}
		t.Fatal("never over")
	})
}

func awaiting(e *engine.Engine) string {
	for _, w := range e.Progress().Waves {
		if w.AwaitsApproval {
			return w.Name
		}
	}
	return ""
}
