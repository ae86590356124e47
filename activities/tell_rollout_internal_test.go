package activities

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestARolloutIsToldOnceInAWhile, however many of its servers wait, and what is long past is forgotten.
func TestARolloutIsToldOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tell TellRollout
		assert.True(t, tell.due("rollout/web"))
		assert.False(t, tell.due("rollout/web"))
		assert.True(t, tell.due("rollout/db"), "another one knows nothing yet")
		time.Sleep(tellEvery - time.Second)
		assert.False(t, tell.due("rollout/web"))
		time.Sleep(time.Second)
		assert.True(t, tell.due("rollout/web"), "it may have been resumed too early")
		for i := range 1000 {
			assert.True(t, tell.due(fmt.Sprint("changeos/", i)))
		}
		time.Sleep(tellEvery)
		assert.True(t, tell.due("rollout/web"))
		assert.Len(t, tell.told, 1)
	})
}
