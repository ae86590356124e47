package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
)

func seen(status, task, image, disk string) rollout.Observation {
	return rollout.Observation{
		Fingerprint: rollout.Fingerprint{ImageID: image, VolumeID: disk}, Exists: true, Status: status, TaskState: task,
	}
}

func TestIdleAndRebuilding(t *testing.T) {
	for name, test := range map[string]struct {
		seen             rollout.Observation
		idle, rebuilding bool
	}{
		"running":                    {seen("ACTIVE", "", oldImage, oldDisk), true, false},
		"stopped":                    {seen("SHUTOFF", "", oldImage, oldDisk), true, false},
		"failed":                     {seen("ERROR", "", oldImage, oldDisk), true, false},
		"powering off, reads ACTIVE": {seen("ACTIVE", "powering-off", oldImage, oldDisk), false, false},
		"rebuild begins":             {seen("SHUTOFF", "rebuilding", oldImage, oldDisk), false, true},
		"rebuild boots":              {seen("ACTIVE", "rebuild_spawning", newImage, newDisk), false, true},
		"rebuild without a task":     {seen("REBUILD", "", oldImage, oldDisk), false, true},
		"gone":                       {rollout.Observation{}, false, false},
	} {
		assert.Equal(t, test.idle, test.seen.Idle(), name)
		assert.Equal(t, test.rebuilding, test.seen.Rebuilding(), name)
	}
}

// TestEveryStatusRestsOrNot: the server statuses of the ECS reference, and those that it does not know.
func TestEveryStatusRestsOrNot(t *testing.T) {
	for status, rests := range statuses() {
		assert.Equal(t, rests, seen(status, "", oldImage, oldDisk).Idle(), "%q", status)
		assert.False(t, seen(status, "powering-off", oldImage, oldDisk).Idle(), "%q", status)
		gone := seen(status, "", oldImage, oldDisk)
		gone.Exists = false
		assert.False(t, gone.Idle(), "%q", status)
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
