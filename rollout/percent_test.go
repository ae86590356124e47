package rollout_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
)

func percent(t *testing.T, text string) rollout.Percent {
	t.Helper()
	p, err := rollout.ParsePercent(text)
	require.NoError(t, err)
	return p
}

// TestRounding holds the numbers at which other programs go wrong: floating point loses a server at 29, 57
// and 58 % of 100 and at 70 % of 90.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		share            string
		of               int
		floor, ceil, cap int
	}{
		{"29%", 100, 29, 29, 29},
		{"57%", 100, 57, 57, 57},
		{"58%", 100, 58, 58, 58},
		{"70%", 90, 63, 63, 63},
		{"10%", 9, 0, 1, 1},
		{"25%", 3, 0, 1, 1},
		{"50%", 3, 1, 2, 1},
		{"33%", 10, 3, 4, 3},
		{"20%", 6, 1, 2, 1},
		{"60%", 2, 1, 2, 1},
		{"99%", 10, 9, 10, 9},
		{"10%", 100, 10, 10, 10},
		{"10.0%", 100, 10, 10, 10},
		{"9.99%", 100, 9, 10, 9},
		{"9.99%", 10000, 999, 999, 999},
		{"0.01%", 10000, 1, 1, 1},
		{"0.01%", 10001, 1, 2, 1},
		{"1%", 1, 0, 1, 1},
		{"50%", 1, 0, 1, 1},
		{"99%", 1, 0, 1, 1},
		{"100%", 1, 1, 1, 1},
		{"100%", 9, 9, 9, 9},
		{"50%", 0, 0, 0, 1},
		{"100%", 0, 0, 0, 1},
		{"0%", 9, 0, 0, 1},
		{"1%", 2, 0, 1, 1},
		{"100%", 2, 2, 2, 2},
	} {
		p := percent(t, c.share)
		assert.Equal(t, c.floor, p.Floor(c.of), "%s of %d, rounded down", c.share, c.of)
		assert.Equal(t, c.ceil, p.Ceil(c.of), "%s of %d, rounded up", c.share, c.of)
		assert.Equal(t, c.cap, p.Cap(c.of), "%s of %d as a cap", c.share, c.of)
	}
}

// TestThreeThirds: three waves of 33 % cover a fleet only as long as rounding up makes good for the last
// percent.
func TestThreeThirds(t *testing.T) {
	third := percent(t, "33%")
	for n, want := range map[int]int{0: 0, 1: 3, 2: 3, 3: 3, 9: 9, 10: 12, 99: 99, 100: 99, 1000: 990} {
		assert.Equal(t, want, 3*third.Ceil(n), "of %d", n)
	}
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]rollout.Percent{
		"0%": 0, "00%": 0, "0.01%": 1, "0.1%": 10, "0.10%": 10, "1%": 100, "9.99%": 999, "010%": 1000, "29%": 2900,
		"100%": rollout.Whole, "100.00%": rollout.Whole,
	} {
		assert.Equal(t, want, percent(t, text), text)
	}
	for _, text := range []string{
		"", "%", "10", "10 %", " 10%", "10%%", "10.%", ".5%", "10.001%", "-1%", "+1%", "100.01%", "101%", "1000%", "1e1%",
		"10,5%", "1_0%", "0x1%", "٣%", "10%\n", "1.-1%", "NaN%",
	} {
		_, err := rollout.ParsePercent(text)
		assert.Error(t, err, text)
	}
	_, err := rollout.ParsePercent("120%")
	assert.EqualError(t, err, `"120%" is not a percentage from 0% to 100% with at most two decimals, such as 10% or 2.5%`)
}

func TestPercentText(t *testing.T) {
	for p, want := range map[rollout.Percent]string{0: "0%", 1: "0.01%", 10: "0.1%", 100: "1%", 150: "1.5%", 999: "9.99%", 1000: "10%", rollout.Whole: "100%"} {
		assert.Equal(t, want, p.String())
	}
	asJSON, err := json.Marshal(map[string]rollout.Percent{"share": 250})
	require.NoError(t, err)
	assert.JSONEq(t, `{"share":"2.5%"}`, string(asJSON))
	var back struct{ Share *rollout.Percent }
	require.NoError(t, json.Unmarshal(asJSON, &back))
	assert.Equal(t, rollout.Percent(250), *back.Share)
	assert.Error(t, json.Unmarshal([]byte(`{"share":"250%"}`), &back))
	assert.Error(t, json.Unmarshal([]byte(`{"share":0.5}`), &back), "a share of 0.5 may be meant as a half")
}

func percents() *rapid.Generator[rollout.Percent] {
	return rapid.Map(rapid.IntRange(0, int(rollout.Whole)), func(n int) rollout.Percent { return rollout.Percent(n) })
}

func TestPercentIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := percents().Draw(t, "share")
		got, err := rollout.ParsePercent(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
	})
}

// TestSharesAreExact compares with fractions of any size, and holds what callers rely on.
func TestSharesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, n := percents().Draw(t, "share"), rapid.IntRange(0, 1_000_000).Draw(t, "of")
		exact := new(big.Rat).Mul(big.NewRat(int64(p), int64(rollout.Whole)), big.NewRat(int64(n), 1))
		floor, ceil := big.NewRat(int64(p.Floor(n)), 1), big.NewRat(int64(p.Ceil(n)), 1)
		below, above := new(big.Rat).Sub(exact, floor), new(big.Rat).Sub(ceil, exact)
		one := big.NewRat(1, 1)
		require.True(t, below.Sign() >= 0 && below.Cmp(one) < 0, "rounded down by less than 1")
		require.True(t, above.Sign() >= 0 && above.Cmp(one) < 0, "rounded up by less than 1")
		require.LessOrEqual(t, p.Ceil(n), n, "never more than there are")
		require.Equal(t, max(1, p.Floor(n)), p.Cap(n))
		require.Equal(t, n, p.Floor(n)+(rollout.Whole-p).Ceil(n), "what one share leaves is the rest")
		if p > 0 && n > 0 {
			require.Positive(t, p.Ceil(n), "a wave of any share has a server")
		}
		more := rapid.IntRange(int(p), int(rollout.Whole)).Draw(t, "a larger share")
		require.LessOrEqual(t, p.Ceil(n), rollout.Percent(more).Ceil(n), "wave ends rise")
		require.LessOrEqual(t, p.Cap(n), p.Cap(n+1), "caps rise with the fleet")
	})
}
