package activities

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestStalledHeart: an attempt that stood still for too long has a successor, and stays stalled whatever it does.
func TestStalledHeart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heart{trusted: 20 * time.Second}
		assert.True(t, h.beats())
		time.Sleep(20 * time.Second)
		assert.True(t, h.beats())
		time.Sleep(20*time.Second + 1)
		assert.False(t, h.beats())
		assert.False(t, h.beats(), "it cannot catch up")

		untimed := &heart{}
		untimed.beats()
		time.Sleep(time.Hour)
		assert.True(t, untimed.beats(), "nobody waits for its heartbeat")
	})
}
