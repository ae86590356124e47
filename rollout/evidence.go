package rollout

import "strings"

// Fingerprint identifies the system disk of a server. The volume id is what changes with every
// change of OS; the image id alone cannot show a change to the same image.
type Fingerprint struct {
	ImageID  string `json:"image_id"`
	VolumeID string `json:"volume_id"`
}

// Observation is what the cloud shows of a server at one moment.
type Observation struct {
	Fingerprint
	// Exists is false when the cloud no longer knows the server.
	Exists bool `json:"exists"`
	// Status is the cloud's server status: ACTIVE, SHUTOFF, REBUILD, ERROR, ...
	Status string `json:"status,omitempty"`
	// TaskState is the operation under way, empty when there is none.
	TaskState string `json:"task_state,omitempty"`
	// Updated is when the cloud last worked on the server, in its own words. Nothing but another value counts.
	Updated string `json:"updated,omitempty"`
}

// Server statuses that decide something. The cloud has more.
const (
	StatusBuild   = "BUILD" // it is being created
	StatusActive  = "ACTIVE"
	StatusShutoff = "SHUTOFF"
	StatusRebuild = "REBUILD"
	StatusError   = "ERROR"
)

// Idle is true when no operation runs on the server. A server that is powering off still reads ACTIVE,
// so the status alone never tells; and statuses that name an operation, or that the cloud does not know,
// are no rest either.
func (o Observation) Idle() bool {
	if !o.Exists || o.TaskState != "" {
		return false
	}
	switch o.Status {
	case "", "UNKNOWN", StatusBuild, "REBOOT", "HARD_REBOOT", "MIGRATING", "RESIZE", "REVERT_RESIZE", StatusRebuild:
		return false
	}
	return true
}

// Rebuilding is true while the cloud replaces the system disk.
func (o Observation) Rebuilding() bool {
	return o.Status == StatusRebuild || strings.HasPrefix(o.TaskState, "rebuild")
}

// ServerEnd is how a server ended. Every server ends in exactly one of these.
type ServerEnd string

// The ends of a server.
const (
	Done          ServerEnd = "done"           // proven: new image on a new disk, running
	Skipped       ServerEnd = "skipped"        // nothing to do
	FailedIntact  ServerEnd = "failed-intact"  // the old system disk is still there
	FailedChanged ServerEnd = "failed-changed" // a new disk, or a change that may still come, but not a healthy server
	FailedLost    ServerEnd = "failed-lost"    // no system disk: a human is needed
	// FailedUnhealthy is proven: new image on a new disk, running. Its application does not pass the health checks.
	FailedUnhealthy ServerEnd = "failed-unhealthy"
	Vanished        ServerEnd = "vanished"    // the cloud no longer knows the server
	NotStarted      ServerEnd = "not-started" // refused or stopped before anything was touched
	Restored        ServerEnd = "rolled-back" // proven: its previous image on a new disk, running
)

// Failed is true for an end that counts against a failure budget. A server that was refused counts: it
// was meant to be changed and is not.
func (e ServerEnd) Failed() bool {
	switch e {
	case FailedIntact, FailedChanged, FailedUnhealthy, FailedLost, Vanished, NotStarted:
		return true
	}
	return false
}

// OutOfService is true for a failed server that does not serve. An operator has to deal with it.
func (e ServerEnd) OutOfService() bool {
	return e == FailedChanged || e == FailedUnhealthy || e == FailedLost
}
