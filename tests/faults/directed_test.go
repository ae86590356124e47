package faults_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/tests/faults"
)

// TestEachBlowAtEachPoint: wherever a worker is struck, each server gets the end that it would have had without.
func TestEachBlowAtEachPoint(t *testing.T) {
	for _, schedule := range faults.Directed() {
		crash := schedule.Crashes[0]
		t.Run(fmt.Sprintf("%s/%s/%s", crash.At.When, crash.At.What, crash.Blow), func(t *testing.T) {
			t.Parallel()
			outcome := play(t, schedule)
			assert.Empty(t, outcome.Violations)
			assert.Equal(t, schedule.Expected(), outcome.Ends)
			assert.Equal(t, len(schedule.Cloud.Fleet), outcome.Accepted)
			assert.Equal(t, map[faults.Point]map[faults.Blow]int{crash.At: {crash.Blow: 1}}, outcome.Struck)
			if t.Failed() {
				t.Log(outcome.Story())
			}
		})
	}
}
