package faults

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestAWorkerCutOffWhileItSettles: the first worker dies right before it sends. The second one settles the doubt, but
// Temporal no longer hears it, so a third one settles it, too, some seconds behind. If the second one sent, its change
// would fail at once, hidden by a view that lags: the third one would send beside it, or wait for ever for a change
// that came to nothing.
func TestAWorkerCutOffWhileItSettles(t *testing.T) {
	comesToNothing(t, []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.LagStart, Delay: 90 * time.Second, Times: 2}},
		Crash{At: Point{requestWritten, "changeos"}, Nth: 1, Blow: Kill},
		Crash{At: Point{attemptBeats, contract.SubmitChangeOS}, Nth: 4, Blow: CutOff, For: 10 * time.Minute})
}

// TestAFrozenWorkerDoesNotWriteLate: the first worker has decided to send, and freezes before it compares the clock.
// When it thaws, the change that its successor sent has come to nothing, so that one sent late would be accepted.
func TestAFrozenWorkerDoesNotWriteLate(t *testing.T) {
	comesToNothing(t, nil, Crash{At: Point{requestDecided, contract.SubmitChangeOS}, Nth: 1, Blow: Freeze, For: 4 * time.Minute})
}

// comesToNothing changes one server, whose change fails at once. The second one would, too.
func comesToNothing(t *testing.T, faults []emulator.Fault, crashes ...Crash) {
	t.Helper()
	s := Schedule{
		Seed: 1, Workers: 2, Crashes: crashes,
		Cloud: emulator.Options{
			Seed: 1, Fleet: []emulator.Server{{Name: "web-01", Zone: "eu-1a", Status: "SHUTOFF"}},
			Timing: emulator.Timing{ChangeOS: emulator.Span{Median: 5 * time.Second}},
			Faults: append([]emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: emulator.VariantIntact, Times: 2}}, faults...),
		},
		Plan: func(cloud *emulator.Emulator) rollout.Plan {
			return planFor(cloud, shape{
				waves: []rollout.Wave{{Name: "all", End: 1}}, inFlight: 1, deadline: time.Hour, power: rollout.PowerAsBefore,
				budget: rollout.Budget{Count: new(1), OnBreach: rollout.BreachAbort},
			})
		},
	}
	synctest.Test(t, func(t *testing.T) {
		outcome, err := Run(t.Context(), s)
		require.NoError(t, err)
		assert.Empty(t, outcome.Violations, outcome.Story())
		assert.Equal(t, 1, outcome.Accepted, outcome.Story())
		assert.Equal(t, map[rollout.ServerEnd]int{rollout.FailedIntact: 1}, outcome.Ends, outcome.Story())
		for _, crash := range crashes {
			assert.Equal(t, 1, outcome.Struck[crash.At][crash.Blow], "%v", crash)
		}
	})
}
