package api

// TaskQueue is the default task queue of the workers. REIMAGE_TASK_QUEUE sets another one.
const TaskQueue = "reimage"

// The names under which the workflows are registered.
const (
	ChangeOSName      = "ChangeOS"      // takes ChangeOSInput, returns rollout.ServerResult
	CheckServerName   = "CheckServer"   // takes CheckServerInput, returns CheckServerResult
	DismissChangeName = "DismissChange" // takes the id of ChangeOS and DismissChangeInput, returns rollout.ServerResult
	PlanRolloutName   = "PlanRollout"   // takes PlanRolloutInput, returns PlanRolloutResult
	CheckPlanName     = "CheckPlan"     // takes CheckPlanInput, returns CheckPlanResult
	RolloutName       = "Rollout"       // takes RolloutInput, returns RolloutResult
	DoctorName        = "Doctor"        // takes DoctorInput, returns DoctorResult
)

// ChangeOSID is the id of the workflow that changes one server. Temporal runs at most one workflow of
// an id at a time, so the id is the lock on the server: two rollouts can never hold one server.
func ChangeOSID(project, serverID string) string {
	return ChangeOSIDPrefix + project + "/" + serverID
}

// ChangeOSIDPrefix begins the id of every ChangeOS workflow. Behind it come the project and the id of the server.
const ChangeOSIDPrefix = "changeos/"

// RolloutID is the id of the workflow that carries out the rollout of that name.
func RolloutID(name string) string { return RolloutIDPrefix + name }

// RolloutIDPrefix begins the id of every Rollout workflow.
const RolloutIDPrefix = "rollout/"

// PlanID is the id of a workflow that makes or checks a plan.
func PlanID(name, nonce string) string { return "plan/" + name + "/" + nonce }

// CheckServerID is the id of the workflow that looks at a server without touching it.
func CheckServerID(serverID, nonce string) string {
	return "check/" + serverID + "/" + nonce
}

// DoctorID is the id of the workflow that checks what a worker needs.
func DoctorID(nonce string) string { return "doctor/" + nonce }

// StatusQuery asks a ChangeOS workflow for its Status.
const StatusQuery = "status"

// The queries of a Rollout workflow. Commands are updates: each has the name of its CommandKind, takes a
// rollout.Command and answers with a sentence that says what was done.
const (
	ProgressQuery = "progress" // answers with rollout.Progress
	ServersQuery  = "servers"  // takes ServersPage, answers with ServersAnswer
	LogQuery      = "log"      // answers with []rollout.LogEntry: everything the rollout remembers of its log
)
