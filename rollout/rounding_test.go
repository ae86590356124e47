package rollout_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
)

// TestRounding of shares at the edges: where floats lose a server, and where there are few.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		percent          string
		n                int
		floor, ceil, cap int
	}{
		{"50%", 0, 0, 0, 1}, {"1%", 1, 0, 1, 1}, {"50%", 1, 0, 1, 1}, {"99%", 1, 0, 1, 1}, {"60%", 2, 1, 2, 1},
		{"25%", 3, 0, 1, 1}, {"50%", 3, 1, 2, 1}, {"10%", 9, 0, 1, 1}, {"29%", 100, 29, 29, 29}, {"57%", 100, 57, 57, 57},
		{"58%", 100, 58, 58, 58}, {"70%", 90, 63, 63, 63}, {"33%", 10, 3, 4, 3}, {"20%", 6, 1, 2, 1}, {"99%", 10, 9, 10, 9},
		{"10.0%", 10, 1, 1, 1}, {"9.99%", 10, 0, 1, 1}, {"9.99%", 1000, 99, 100, 99}, {"0%", 10, 0, 0, 1}, {"100%", 10, 10, 10, 10},
		{"0.01%", 10000, 1, 1, 1}, {"0.01%", 9999, 0, 1, 1},
	} {
		t.Run(fmt.Sprintf("%s of %d", c.percent, c.n), func(t *testing.T) {
			p, err := rollout.ParsePercent(c.percent)
			require.NoError(t, err)
			assert.Equal(t, []int{c.floor, c.ceil, c.cap}, []int{p.Floor(c.n), p.Ceil(c.n), p.Cap(c.n)})
		})
	}
}

// TestRoundingIsExact: floor and ceil are the whole numbers next to the share, and the same on exact ones.
func TestRoundingIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rollout.Percent(rapid.IntRange(0, 10000).Draw(t, "points"))
		n := rapid.IntRange(0, 100_000).Draw(t, "n")
		share := int(p) * n // in servers times 10000
		floor, ceil := p.Floor(n), p.Ceil(n)
		require.LessOrEqual(t, floor*10000, share)
		require.Greater(t, (floor+1)*10000, share)
		require.GreaterOrEqual(t, ceil*10000, share)
		require.Less(t, (ceil-1)*10000, share)
		require.Equal(t, max(1, floor), p.Cap(n))
	})
}
