package change_test

import (
	"fmt"
	"testing"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	oldImage, newImage, otherImage = "image-old", "image-new", "image-other"
	oldDisk, newDisk               = "disk-old", "disk-new"
)

func seen(status, task, image, disk string) rollout.Observation {
	return rollout.Observation{
		Fingerprint: rollout.Fingerprint{ImageID: image, VolumeID: disk}, Exists: true, Status: status, TaskState: task,
	}
}

// TestJudge is the table for people. TestJudgeEveryObservation holds for all the rest.
func TestJudge(t *testing.T) {
	before := rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	for name, test := range map[string]struct {
		seen rollout.Observation
		end  rollout.ServerEnd
		says string
	}{
		"proven":                      {seen("ACTIVE", "", newImage, newDisk), rollout.Done, "runs the image on a new system disk"},
		"gone":                        {rollout.Observation{}, rollout.Vanished, "the cloud no longer knows this server"},
		"untouched, stopped":          {seen("SHUTOFF", "", oldImage, oldDisk), rollout.FailedIntact, "the old system disk is still there (status SHUTOFF when it was judged)"},
		"untouched, runs":             {seen("ACTIVE", "", oldImage, oldDisk), rollout.FailedIntact, "the old system disk is still there (status ACTIVE when it was judged)"},
		"untouched, failed":           {seen("ERROR", "", oldImage, oldDisk), rollout.FailedIntact, "the old system disk is still there (status ERROR when it was judged)"},
		"rebuilding":                  {seen("REBUILD", "", oldImage, oldDisk), rollout.FailedChanged, "the cloud still works on it (status REBUILD)"},
		"rebuilding, disk detached":   {seen("SHUTOFF", "rebuilding", oldImage, ""), rollout.FailedChanged, "the cloud still works on it (status SHUTOFF, task rebuilding)"},
		"new disk, still booting":     {seen("ACTIVE", "rebuild_spawning", newImage, newDisk), rollout.FailedChanged, "the cloud still works on it (status ACTIVE, task rebuild_spawning)"},
		"new disk, does not run":      {seen("SHUTOFF", "", newImage, newDisk), rollout.FailedChanged, "it has the image on a new system disk, but does not run (status SHUTOFF)"},
		"new disk, failed":            {seen("ERROR", "", newImage, newDisk), rollout.FailedChanged, "it has the image on a new system disk, but does not run (status ERROR)"},
		"image said, disk not new":    {seen("ACTIVE", "", newImage, oldDisk), rollout.FailedChanged, "it shows the image, but still its old system disk (status ACTIVE)"},
		"new disk, old image":         {seen("ACTIVE", "", oldImage, newDisk), rollout.FailedChanged, "its system disk is " + newDisk + ", its image " + oldImage + " and not the one asked for (status ACTIVE)"},
		"new disk, yet another image": {seen("ACTIVE", "", otherImage, newDisk), rollout.FailedChanged, "its system disk is " + newDisk + ", its image " + otherImage + " and not the one asked for (status ACTIVE)"},
		"no disk, runs":               {seen("ACTIVE", "", newImage, ""), rollout.FailedLost, "it has no system disk (status ACTIVE)"},
		"no disk, failed":             {seen("ERROR", "", oldImage, ""), rollout.FailedLost, "it has no system disk (status ERROR)"},
	} {
		t.Run(name, func(t *testing.T) {
			end, says := change.Judge(test.seen, before, newImage, true)
			assert.Equal(t, test.end, end)
			assert.Equal(t, test.says, says)
			assert.Equal(t, end == rollout.Done, change.Proven(test.seen, before, newImage))
		})
	}
}

// TestForeign: a disk that no change between the two images leaves.
func TestForeign(t *testing.T) {
	before := rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	for name, test := range map[string]struct {
		seen    rollout.Observation
		image   string
		foreign bool
	}{
		"another image on another disk":             {seen("SHUTOFF", "", otherImage, newDisk), newImage, true},
		"while the cloud works on it":               {seen("ACTIVE", "powering-off", otherImage, newDisk), newImage, true},
		"another image on the old disk":             {seen("SHUTOFF", "", otherImage, oldDisk), newImage, false},
		"the old image, as a failed change leaves":  {seen("ERROR", "", oldImage, newDisk), newImage, false},
		"the new image":                             {seen("ACTIVE", "", newImage, newDisk), newImage, false},
		"no image":                                  {seen("ACTIVE", "", "", newDisk), newImage, false},
		"no disk":                                   {seen("ERROR", "", otherImage, ""), newImage, false},
		"an earlier change, beside one to the same": {seen("ACTIVE", "", newImage, newDisk), oldImage, false},
	} {
		assert.Equal(t, test.foreign, change.Foreign(test.seen, before, test.image), name)
	}
}

// TestChangeToTheSameImage: only the disk tells.
func TestChangeToTheSameImage(t *testing.T) {
	before := rollout.Fingerprint{ImageID: oldImage, VolumeID: oldDisk}
	end, _ := change.Judge(seen("ACTIVE", "", oldImage, newDisk), before, oldImage, true)
	assert.Equal(t, rollout.Done, end)
	end, _ = change.Judge(seen("ACTIVE", "", oldImage, oldDisk), before, oldImage, true)
	assert.Equal(t, rollout.FailedIntact, end)
}

// TestJudgeEveryObservation goes through every combination of what decides, with the fingerprints that a
// server can have before. Each property is stated by itself, in the words of the promise behind it.
func TestJudgeEveryObservation(t *testing.T) {
	counted := map[rollout.ServerEnd]int{}
	for now, before := range everyObservation() {
		name := fmt.Sprintf("%+v before %+v", now, before)
		end, says := change.Judge(now, before, newImage, true)
		counted[end]++

		require.Equal(t, end == rollout.Done, change.Proven(now, before, newImage), "done if and only if proven: %s", name)
		require.Equal(t, end == rollout.Vanished, !now.Exists, "vanished if and only if gone: %s", name)
		require.NotEmpty(t, says, name)
		atRest := now.TaskState == "" && statuses()[now.Status]
		newOnDisk := now.VolumeID != "" && now.VolumeID != before.VolumeID
		switch end {
		case rollout.Done:
			require.True(t, now.Exists, name)
			require.Equal(t, "ACTIVE", now.Status, name)
			require.Empty(t, now.TaskState, name)
			require.Equal(t, newImage, now.ImageID, name)
			require.True(t, newOnDisk, name)
		case rollout.FailedIntact:
			require.Equal(t, before, now.Fingerprint, "intact never when the disk changed or is missing: %s", name)
			require.NotEmpty(t, now.VolumeID, name)
			require.True(t, atRest, "intact never while the cloud works on it: %s", name)
		case rollout.FailedLost:
			require.Empty(t, now.VolumeID, "lost only without a disk: %s", name)
			require.True(t, atRest, "a disk may come while the cloud works on it: %s", name)
		case rollout.FailedChanged:
			untouched := atRest && now.Fingerprint == before && now.VolumeID != ""
			require.False(t, untouched, "changed never when nothing did: %s", name)
			lost := atRest && now.VolumeID == ""
			require.False(t, lost, "a server without a disk is more than changed: %s", name)
		case rollout.Vanished:
		default:
			require.Fail(t, "an end that no observation can prove", "%s: %s", end, name)
		}
	}
	for _, end := range []rollout.ServerEnd{rollout.Done, rollout.FailedIntact, rollout.FailedChanged, rollout.FailedLost, rollout.Vanished} {
		assert.Positive(t, counted[end], end)
	}
	assert.Len(t, counted, 5)
}

// TestJudgeWithoutTheWordOfAJob: an old disk is then no sign of an intact server. All the rest is as with it.
func TestJudgeWithoutTheWordOfAJob(t *testing.T) {
	intact := 0
	for now, before := range everyObservation() {
		end, says := change.Judge(now, before, newImage, true)
		if end == rollout.FailedIntact {
			end, says = rollout.FailedChanged, "it shows its old system disk, but the change may still come (status "+now.Status+"): do not use it before that is known"
			intact++
		} else if end == rollout.FailedChanged && now.Idle() {
			says += ", and the change may still be under way"
		}
		unsaid, why := change.Judge(now, before, newImage, false)
		require.Equal(t, end, unsaid, "%+v before %+v", now, before)
		require.Equal(t, says, why)
	}
	assert.Positive(t, intact)
}

// everyObservation gives each observation with each fingerprint of the server before.
func everyObservation() func(yield func(rollout.Observation, rollout.Fingerprint) bool) {
	return func(yield func(rollout.Observation, rollout.Fingerprint) bool) {
		for _, before := range []rollout.Fingerprint{
			{ImageID: oldImage, VolumeID: oldDisk},
			{ImageID: newImage, VolumeID: oldDisk}, // a change to the same image
			{VolumeID: oldDisk},                    // the cloud does not say which image
		} {
			for _, exists := range []bool{true, false} {
				for status := range statuses() {
					for _, task := range []string{"", "rebuilding", "rebuild_spawning", "powering-off", "something-new"} {
						for _, image := range []string{oldImage, newImage, otherImage, ""} {
							for _, disk := range []string{oldDisk, newDisk, ""} {
								now := seen(status, task, image, disk)
								now.Exists = exists
								if !yield(now, before) {
									return
								}
							}
						}
					}
				}
			}
		}
	}
}

// statuses tells which server statuses are a rest. The others name an operation, or say nothing.
func statuses() map[string]bool {
	return map[string]bool{
		"ACTIVE": true, "SHUTOFF": true, "ERROR": true, "VERIFY_RESIZE": true,
		"BUILD": false, "REBOOT": false, "HARD_REBOOT": false, "REBUILD": false, "MIGRATING": false,
		"RESIZE": false, "REVERT_RESIZE": false, "UNKNOWN": false, "": false,
	}
}
