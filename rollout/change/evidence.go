package change

import (
	"fmt"

	"github.com/reimage/reimage/rollout"
)

// Proven is true when the server shows that it was changed to the image: the image, a system volume
// that is not the one from before, and a running system with nothing under way. A job's SUCCESS
// alone is never proof.
func Proven(o rollout.Observation, before rollout.Fingerprint, imageID string) bool {
	return o.Idle() && o.Status == rollout.StatusActive && o.ImageID == imageID &&
		o.VolumeID != "" && o.VolumeID != before.VolumeID
}

// Foreign is true when the server shows a system disk that no change from before to the image leaves, at whatever step it
// ended: another one, of neither image. When both images are the same, there is no telling.
func Foreign(o rollout.Observation, before rollout.Fingerprint, imageID string) bool {
	return o.VolumeID != "" && o.VolumeID != before.VolumeID && before.ImageID != imageID &&
		o.ImageID != "" && o.ImageID != before.ImageID && o.ImageID != imageID
}

// Judge says how a server ended from what the cloud shows of it, and why in one sentence. Ended is true when
// nothing that was asked for can still be under way. Without that, an old disk is no sign of an intact server:
// a change waits for a payment, or for its turn, without showing.
func Judge(o rollout.Observation, before rollout.Fingerprint, imageID string, ended bool) (rollout.ServerEnd, string) {
	unfinished := ""
	if !ended {
		unfinished = ", and the change may still be under way"
	}
	switch {
	case !o.Exists:
		return rollout.Vanished, "the cloud no longer knows this server"
	case Proven(o, before, imageID):
		return rollout.Done, "runs the image on a new system disk"
	case !o.Idle():
		return rollout.FailedChanged, fmt.Sprintf("the cloud still works on it (%s)", stateOf(o))
	case o.VolumeID == "":
		return rollout.FailedLost, fmt.Sprintf("it has no system disk (%s)", stateOf(o))
	case o.Fingerprint == before && !ended:
		return rollout.FailedChanged, fmt.Sprintf("it shows its old system disk, but the change may still come (%s): do not use it before that is known", stateOf(o))
	case o.Fingerprint == before:
		return rollout.FailedIntact, fmt.Sprintf("the old system disk is still there (%s when it was judged)", stateOf(o)) // its power may be restored after that
	case o.ImageID != imageID:
		return rollout.FailedChanged, fmt.Sprintf("its system disk is %s, its image %s and not the one asked for (%s)%s", o.VolumeID, o.ImageID, stateOf(o), unfinished)
	case o.VolumeID == before.VolumeID:
		return rollout.FailedChanged, fmt.Sprintf("it shows the image, but still its old system disk (%s)%s", stateOf(o), unfinished)
	default:
		return rollout.FailedChanged, fmt.Sprintf("it has the image on a new system disk, but does not run (%s)%s", stateOf(o), unfinished)
	}
}

func stateOf(o rollout.Observation) string {
	text := "status " + o.Status
	if o.TaskState != "" {
		text += ", task " + o.TaskState
	}
	return text
}
