package progressview_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// TestChanges is what a log of a build server shows of a rollout, from the first look to the end.
func TestChanges(t *testing.T) {
	all := views()
	var told []string
	var before rollout.Progress
	now := noon
	for _, name := range []string{"approval", "approval", "running", "running", "breached", "ended"} {
		after := all[name].Progress
		told = append(told, progressview.Changes(before, after, now)...)
		before, now = after, now.Add(2*time.Second)
	}
	golden(t, "changes", strings.Join(told, "\n")+"\n")
}

func TestNothingNewIsNotTold(t *testing.T) {
	for name, view := range views() {
		assert.Empty(t, progressview.Changes(view.Progress, view.Progress, noon.Add(time.Minute)), name)
	}
}

// TestRepeatedFailure: a server that fails once more is told once more.
func TestRepeatedFailure(t *testing.T) {
	before, after := breached(), breached()
	after.Failures[0].Attempts = 2
	changes := progressview.Changes(before, after, noon)
	assert.Len(t, changes, 1)
	assert.Contains(t, changes[0], "failed: web-03 ("+serverID(3)+") is failed-changed")
}

// TestWhatIsLeftOutIsSaid: a rollout tells its last log entries and its first failures only.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	before, after := running(), running()
	after.Log = []rollout.LogEntry{{At: noon, By: "ina", What: "up to 3 servers in flight, before it was 2"}}
	after.Failed = 5
	assert.Equal(t, []string{
		"12:00:00  log: some entries are left out; see: reimage report web-fleet",
		"12:00:00  log: ina: up to 3 servers in flight, before it was 2",
		"12:00:00  failed: 5 servers, of which 3 are not named; see: reimage report web-fleet",
	}, progressview.Changes(before, after, noon))
	assert.Empty(t, progressview.Changes(after, after, noon))
}

// TestStateIsSaidOnce, whether or not the reason begins with it.
func TestStateIsSaidOnce(t *testing.T) {
	for why, phase := range map[string]rollout.Phase{
		"rolling back: 3 servers in flight, 2 to go": rollout.PhaseRollingBack,
		"aborting: finishes 1 server in flight":      rollout.PhaseAborting,
		"paused: ina asked for it":                   rollout.PhasePaused,
	} {
		after := running()
		after.Phase, after.Why = phase, why
		assert.Equal(t, []string{"12:00:00  " + why}, progressview.Changes(running(), after, noon))
	}
}

// TestManyAtOnce: a line stays a line.
func TestManyAtOnce(t *testing.T) {
	after := running()
	for i := range 40 {
		after.InFlight = append(after.InFlight, inFlight(50+i, 0))
	}
	changes := progressview.Changes(running(), after, noon)
	assert.Equal(t, "12:00:00  in flight: web-50, web-51, web-52, web-53, web-54, web-55, web-56, web-57, web-58, web-59, 30 more", changes[0])
}
