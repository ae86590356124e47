package workflows

import "github.com/reimage/reimage/activities"

// ChangeOSID is the id of the workflow that changes one server. Temporal runs at most one workflow of
// an id at a time, so the id is the lock on the server: two rollouts can never hold one server.
func ChangeOSID(project, serverID string) string {
	return ChangeOSIDPrefix + project + "/" + serverID
}

// ChangeOSIDPrefix begins the id of every ChangeOS workflow.
const ChangeOSIDPrefix = activities.LockIDPrefix

// CheckServerID is the id of the workflow that looks at a server without touching it.
func CheckServerID(serverID, nonce string) string {
	return "check/" + serverID + "/" + nonce
}

// DoctorID is the id of the workflow that checks what a worker needs.
func DoctorID(nonce string) string { return "doctor/" + nonce }

// The names under which the workflows are registered.
const (
	ChangeOSName     = "ChangeOS"
	ForgetChangeName = activities.ForgetChangeName
	// CheckDismissalName takes the id and the input of ForgetChange.
	CheckDismissalName = activities.CheckDismissalName
	CheckServerName    = "CheckServer"
	DoctorName         = "Doctor"
)

// StatusQuery asks a ChangeOS workflow for its Status.
const StatusQuery = "status"
