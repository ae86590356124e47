package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
)

// TestTolerated: the smaller one of count and share, and the share only once the sample is complete.
func TestTolerated(t *testing.T) {
	for name, c := range map[string]struct {
		budget rollout.Budget
		want   map[int]int // ended to tolerated
	}{
		"nothing said":                 {rollout.Budget{}, map[int]int{0: 0, 10: 0}},
		"none":                         {rollout.Budget{Count: new(0)}, map[int]int{0: 0, 10: 0}},
		"a count":                      {rollout.Budget{Count: new(3)}, map[int]int{0: 3, 10: 3}},
		"a count has no sample":        {rollout.Budget{Count: new(3), MinSample: 5}, map[int]int{0: 3, 5: 3}},
		"a share":                      {rollout.Budget{Share: new(2)}, map[int]int{0: 2, 10: 2}},
		"a share that is none":         {rollout.Budget{Share: new(0)}, map[int]int{0: 0, 10: 0}},
		"a share with a sample":        {rollout.Budget{Share: new(2), MinSample: 5}, map[int]int{0: 5, 4: 5, 5: 2, 6: 2}},
		"both, the share smaller":      {rollout.Budget{Count: new(3), Share: new(2)}, map[int]int{0: 2, 10: 2}},
		"both, the count smaller":      {rollout.Budget{Count: new(1), Share: new(2)}, map[int]int{0: 1, 10: 1}},
		"both with a sample":           {rollout.Budget{Count: new(3), Share: new(2), MinSample: 5}, map[int]int{0: 3, 4: 3, 5: 2}},
		"both with a sample and count": {rollout.Budget{Count: new(1), Share: new(2), MinSample: 5}, map[int]int{0: 1, 4: 1, 5: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			for ended, want := range c.want {
				assert.Equal(t, want, c.budget.Tolerated(ended), "after %d", ended)
			}
		})
	}
}
