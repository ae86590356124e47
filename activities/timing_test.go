package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
)

const requestTimeout = 30 * time.Second

func TestDefaultTiming(t *testing.T) {
	timing := activities.DefaultTiming()
	require.NoError(t, timing.Validate(requestTimeout))
	assert.Greater(t, timing.SoftStop, 5*time.Minute, "the platform forces a soft stop after at most 5 minutes (image attribute os_shutdown_timeout)")
	assert.Error(t, timing.Validate(timing.Settle-timing.Lag+1), "a longer request timeout needs a longer settle time")
}

func TestTimingValidate(t *testing.T) {
	shortest := requestTimeout + activities.DefaultTiming().Lag
	tests := []struct {
		name   string
		change func(*activities.Timing)
		says   []string
	}{
		{"shortest settle time", func(t *activities.Timing) { t.Settle = shortest }, nil},
		{"settle time too short", func(t *activities.Timing) { t.Settle = shortest - 1 }, []string{"must not be shorter than the request timeout plus the lag (2m0s)"}},
		{"no settle time", func(t *activities.Timing) { t.Settle = 0 }, []string{"the settle time (0s)"}},
		{"no lag", func(t *activities.Timing) { t.Lag, t.Settle = 0, requestTimeout }, nil},
		{"negative lag", func(t *activities.Timing) { t.Lag = -time.Second }, []string{"the lag (-1s) not below"}},
		{"longest settle time", func(t *activities.Timing) { t.Settle = contract.MaxSettle }, nil},
		{"too long a settle time", func(t *activities.Timing) { t.Settle = contract.MaxSettle + 1 }, []string{"must not exceed 8m0s"}},
		{"no poll", func(t *activities.Timing) { t.Poll = 0 }, []string{"the poll interval (0s)"}},
		{"no soft stop", func(t *activities.Timing) { t.SoftStop = 0 }, []string{"soft stop time (0s)"}},
		{"everything at once", func(t *activities.Timing) { *t = activities.Timing{Lag: 9 * time.Minute, Settle: 9 * time.Minute} }, []string{"the poll interval", "must not be shorter than", "must not exceed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			timing := activities.DefaultTiming()
			test.change(&timing)
			err := timing.Validate(requestTimeout)
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
