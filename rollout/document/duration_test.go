package document_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout/document"
)

func duration(t *testing.T, text string) document.Duration {
	t.Helper()
	d, err := document.ParseDuration(text)
	require.NoError(t, err)
	return d
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]struct {
		is      time.Duration
		written string
	}{
		"0":           {0, "0s"},
		"0s":          {0, "0s"},
		"0d":          {0, "0s"},
		"90s":         {90 * time.Second, "1m30s"},
		"60m":         {time.Hour, "1h"},
		"1h0m5s":      {time.Hour + 5*time.Second, "1h0m5s"},
		"10m":         {10 * time.Minute, "10m"},
		"20h":         {20 * time.Hour, "20h"},
		"1.5h":        {90 * time.Minute, "1h30m"},
		"24h":         {24 * time.Hour, "1d"},
		"3d":          {72 * time.Hour, "3d"},
		"1d12h":       {36 * time.Hour, "1d12h"},
		"1d0.5s":      {24*time.Hour + 500*time.Millisecond, "1d500ms"},
		"-1d12h":      {-36 * time.Hour, "-1d12h"},
		"-5m":         {-5 * time.Minute, "-5m"},
		"2562047h":    {2562047 * time.Hour, "106751d23h"},
		"106751d":     {106751 * 24 * time.Hour, "106751d"},
		"9223372s1ns": {9223372*time.Second + 1, "106d18h2m52.000000001s"},
	} {
		got := duration(t, text)
		assert.Equal(t, want.is, got.Std(), text)
		assert.Equal(t, want.written, got.String(), text)
	}
	assert.Equal(t, "-106751d23h47m16.854775808s", document.Duration(math.MinInt64).String())
	for _, text := range []string{"", "5", "d", "1.5d", "1d-2h", "--1h", "+1h", "1d+1h", " 1h", "1h ", "1w", "1h1d", "1 h", "-", "106752d", "1000000d", "106751d23h48m", "2562048h", "1d1d"} {
		_, err := document.ParseDuration(text)
		assert.Error(t, err, text)
	}
}

// TestDurationsAreReadAsWritten holds for every time that a document can give.
func TestDurationsAreReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = math.MaxInt64
		d := document.Duration(rapid.OneOf(
			rapid.Int64Range(-most, most),
			rapid.Map(rapid.Int64Range(-60*24*365, 60*24*365), func(minutes int64) int64 { return minutes * int64(time.Minute) }),
		).Draw(t, "time"))
		got, err := document.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, got)
	})
}
