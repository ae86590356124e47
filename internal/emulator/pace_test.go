package emulator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/emulator"
)

// TestCallsPerSecond: any one second has room for so many calls, and those that are refused count too.
func TestCallsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, emulator.Options{CallsPerSecond: 3, Speed: 60})
		look := func() reply { return c.ask("GET", "/v1/{project}/jobs/none", "") }
		for range 3 {
			assert.Equal(t, "Common.0011", look().code())
		}
		time.Sleep(900 * time.Millisecond)
		refused := look()
		assert.Equal(t, 429, refused.status)
		assert.Equal(t, "APIGW.0308", refused.code())
		assert.Contains(t, refused.text, "limit:3,time:1 second")
		time.Sleep(100 * time.Millisecond)
		for range 2 {
			assert.Equal(t, "Common.0011", look().code())
		}
		assert.Equal(t, 429, look().status, "beside the one that was refused there is room for two")
		assert.Equal(t, 2, c.Ledger().Throttled)
	})
}
