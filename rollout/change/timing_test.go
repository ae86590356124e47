package change_test

import (
	"testing"
	"time"

	"github.com/reimage/reimage/rollout/change"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultTiming(t *testing.T) {
	timing := change.DefaultTiming()
	require.NoError(t, timing.Validate(30*time.Second))
	assert.Greater(t, timing.SoftStop, 5*time.Minute, "the platform forces a soft stop after at most 5 minutes (image attribute os_shutdown_timeout)")
	assert.Error(t, timing.Validate(timing.Settle-timing.Lag+1), "a longer request timeout needs a longer settle time")
}

func TestTimingValidate(t *testing.T) {
	shortest := 30*time.Second + change.DefaultTiming().Lag
	tests := []struct {
		name   string
		change func(*change.Timing)
		says   []string
	}{
		{"shortest settle time", func(t *change.Timing) { t.Settle = shortest }, nil},
		{"settle time too short", func(t *change.Timing) { t.Settle = shortest - 1 }, []string{"must not be shorter than the request timeout plus the lag (2m0s)"}},
		{"no settle time", func(t *change.Timing) { t.Settle = 0 }, []string{"the settle time (0s)"}},
		{"no lag", func(t *change.Timing) { t.Lag, t.Settle = 0, 30*time.Second }, nil},
		{"negative lag", func(t *change.Timing) { t.Lag = -time.Second }, []string{"the lag (-1s) not below"}},
		{"longest settle time", func(t *change.Timing) { t.Settle = change.MaxSettle }, nil},
		{"too long a settle time", func(t *change.Timing) { t.Settle = change.MaxSettle + 1 }, []string{"must not exceed 8m0s"}},
		{"no poll", func(t *change.Timing) { t.Poll = 0 }, []string{"the poll interval (0s)"}},
		{"no soft stop", func(t *change.Timing) { t.SoftStop = 0 }, []string{"soft stop time (0s)"}},
		{"everything at once", func(t *change.Timing) { *t = change.Timing{Lag: 9 * time.Minute, Settle: 9 * time.Minute} }, []string{"the poll interval", "must not be shorter than", "must not exceed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			timing := change.DefaultTiming()
			test.change(&timing)
			err := timing.Validate(30 * time.Second)
			if test.says == nil {
				require.NoError(t, err)
				return
			}
			for _, text := range test.says {
				assert.ErrorContains(t, err, text)
			}
		})
	}
}
