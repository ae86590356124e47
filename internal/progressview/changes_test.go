package progressview_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/api"
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

// TestFailuresAreToldOnce, at the time when they came. What has left the list of failures is told by the log alone.
func TestFailuresAreToldOnce(t *testing.T) {
	after := running()
	after.Log = []rollout.LogEntry{
		{At: noon.Add(-2 * time.Minute), What: "web-03: failed-changed: " + after.Failures[0].Reason},
		{At: noon.Add(-time.Minute), What: "web-08: failed-lost: it has no system disk"},
	}
	var told []string
	for _, change := range progressview.Changes(rollout.Progress{}, after, noon) {
		if strings.Contains(change, "failed-") {
			told = append(told, change)
		}
	}
	assert.Equal(t, []string{
		"11:58:00Z  failed: web-03 (" + serverID(3) + ") is failed-changed: it has the image on a new system disk, but does not run (status ERROR: No valid host was found)",
		"11:59:00Z  log: web-08: failed-lost: it has no system disk",
		"12:00:00Z  failed: web-04 (" + serverID(4) + ") is failed-lost: it has no system disk (status ERROR)",
	}, told)
}

// TestWhoIsWaitedForIsSaid: no wave tells it. That one moves, each wave tells itself.
func TestWhoIsWaitedForIsSaid(t *testing.T) {
	before, after := running(), running()
	after.Why = "wave half: 3 servers in flight, 15 pending"
	assert.Empty(t, progressview.Changes(before, after, noon))
	after.Why = "wave half: waits for web-20, busy: held by rollout other"
	assert.Equal(t, []string{"12:00:00Z  running: " + after.Why}, progressview.Changes(before, after, noon))
}

// TestPausedAgain: a pause within one look is in the log, though the state is the same.
func TestPausedAgain(t *testing.T) {
	before, after := breached(), breached()
	after.Log = append(after.Log, rollout.LogEntry{At: noon, By: "ina", What: "resumed"}, rollout.LogEntry{At: noon.Add(time.Second), What: "paused: 4 servers have failed and 3 are tolerated"})
	assert.Equal(t, []string{
		"12:00:00Z  log: ina: resumed",
		"12:00:01Z  log: paused: 4 servers have failed and 3 are tolerated",
	}, progressview.Changes(before, after, noon.Add(2*time.Second)))
}

// TestWhatIsLeftOutIsSaid: a rollout tells its last log entries and its first failures only.
func TestWhatIsLeftOutIsSaid(t *testing.T) {
	before, after := running(), running()
	after.Log = []rollout.LogEntry{{At: noon, By: "ina", What: "up to 3 servers in flight, before it was 2"}}
	after.Failed = 5
	assert.Equal(t, []string{
		"12:00:00Z  log: some entries are left out; see: reimage report web-fleet",
		"12:00:00Z  log: ina: up to 3 servers in flight, before it was 2",
		"12:00:00Z  failed: 5 servers, of which 3 are not named; see: reimage report web-fleet",
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
		assert.Equal(t, []string{"12:00:00Z  " + why}, progressview.Changes(running(), after, noon))
	}
}

// TestManyAtOnce: a line stays a line.
func TestManyAtOnce(t *testing.T) {
	after := running()
	for i := range 40 {
		after.InFlight = append(after.InFlight, inFlight(50+i, 0))
	}
	changes := progressview.Changes(running(), after, noon)
	assert.Equal(t, "12:00:00Z  in flight: web-50, web-51, web-52, web-53, web-54, web-55, web-56, web-57, web-58, web-59, 30 more", changes[0])
}

// TestUnpaid: a build log tells once of an order that waits, and when it is too late.
func TestUnpaid(t *testing.T) {
	p := running()
	server := p.InFlight[0]
	before := progressview.View{Progress: p, Now: noon}
	after := before
	after.Status = map[string]api.Status{server.ID: {JobStatus: api.JobAwaitsPayment}}
	line := "12:00:00Z  unpaid: " + server.Name + " (" + server.ID + ") begins when its order is paid: pay it in the cloud's console, or cancel it there"
	assert.Equal(t, []string{line}, progressview.Unpaid(before, after))
	assert.Empty(t, progressview.Unpaid(after, after))
	assert.Empty(t, progressview.Unpaid(after, before))
	after.Status[server.ID] = api.Status{JobStatus: api.JobAwaitsPayment, Deadline: noon.Add(time.Hour)}
	assert.Equal(t, []string{line + "; it is judged at 13:00:00Z"}, progressview.Unpaid(before, after))
}
