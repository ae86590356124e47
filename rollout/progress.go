package rollout

import (
	"fmt"
	"strings"
	"time"
)

// Phase is what a rollout is doing as a whole.
type Phase string

// The phases.
const (
	PhaseRunning     Phase = "running"      // starts servers, or waits for a bake, an approval, a slot
	PhasePaused      Phase = "paused"       // starts nothing until somebody resumes
	PhaseAborting    Phase = "aborting"     // finishes what is in flight and starts nothing more
	PhaseRollingBack Phase = "rolling-back" // gives changed servers their previous image
	PhaseEnded       Phase = "ended"
)

// RolloutEnd is how a rollout ended.
type RolloutEnd string

// The ends of a rollout.
const (
	Completed             RolloutEnd = "completed"
	CompletedWithFailures RolloutEnd = "completed-with-failures"
	Aborted               RolloutEnd = "aborted"
	RolledBack            RolloutEnd = "rolled-back"           // every changed server has its previous image again
	RolledBackPartially   RolloutEnd = "rolled-back-partially" // some have not
)

// ServerState is where one server of a rollout is.
type ServerState string

// The states of a server.
const (
	Pending  ServerState = "pending"
	Busy     ServerState = "busy" // another workflow changes it; it is tried again
	InFlight ServerState = "in-flight"
	Soaking  ServerState = "soaking" // changed and proven, still holding its slot
	Ended    ServerState = "ended"
)

// ServerProgress is one server of a rollout.
type ServerProgress struct {
	ID    string      `json:"id"`
	Name  string      `json:"name"`
	Zone  string      `json:"zone,omitempty"`
	Group string      `json:"group,omitempty"`
	Wave  string      `json:"wave"`
	State ServerState `json:"state"`
	// RollingBack is true while, and after, the server is given its previous image.
	RollingBack bool `json:"rolling_back,omitempty"`
	// Suspicion says why a server in flight may have failed. Nothing more is started while such failures would exceed the
	// budget; the end of the server confirms or lifts it.
	Suspicion string    `json:"suspicion,omitempty"`
	End       ServerEnd `json:"end,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	// Accepted is true when an operator accepted the failure: it no longer counts and holds no slot.
	Accepted bool `json:"accepted,omitempty"`
	// HoldsSlot is true while the server counts as out of service.
	HoldsSlot bool `json:"holds_slot,omitempty"`
	// Down is true for a server that ran before and does not run now, though no attempt has touched its disk.
	Down bool `json:"down,omitempty"`
	// DownStatus is the status in which it was last found down, and not because of the rollout. Empty while it runs.
	DownStatus string    `json:"down_status,omitempty"`
	Attempts   int       `json:"attempts,omitempty"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	// Failure is the kind of the last attempt's failure.
	Failure FailureKind `json:"failure,omitempty"`
	// Foreign is true when the system disk was replaced outside of this rollout: a retry is refused. OtherDisk is true when its disk
	// may not be of this rollout's making: a retry has to name the server.
	Foreign   bool `json:"foreign,omitempty"`
	OtherDisk bool `json:"other_disk,omitempty"`
	// Before is the disk of the plan, After what the server showed last, if it was changed.
	Before Fingerprint `json:"before"`
	After  Fingerprint `json:"after,omitzero"`
}

// Failed is true for a server that counts against the budget. One that was never started, because the
// rollout ended before its turn, does not.
func (s ServerProgress) Failed() bool { return s.End.Failed() && s.Attempts > 0 && !s.Accepted }

// Counts are numbers of servers.
type Counts struct {
	Servers    int `json:"servers"`
	Pending    int `json:"pending"` // busy ones included
	InFlight   int `json:"in_flight"`
	Soaking    int `json:"soaking,omitempty"`
	Done       int `json:"done"`
	Skipped    int `json:"skipped,omitempty"`
	Failed     int `json:"failed,omitempty"`      // accepted ones included
	Accepted   int `json:"accepted,omitempty"`    // of the failed ones: they do not count against the budget
	NotStarted int `json:"not_started,omitempty"` // the rollout ended before their turn
	RolledBack int `json:"rolled_back,omitempty"`
}

// String says the numbers that are not zero, but for Servers: "3 done, 1 failed".
func (c Counts) String() string {
	var told []string
	failed := "failed"
	if c.Accepted > 0 {
		failed = fmt.Sprintf("failed (%d of them accepted)", c.Accepted)
	}
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Done, "done"}, {c.Failed, failed}, {c.Skipped, "skipped"}, {c.RolledBack, "rolled back"},
		{c.NotStarted, "not started"}, {c.InFlight, "in flight"}, {c.Soaking, "soaking"}, {c.Pending, "pending"},
	} {
		if part.n > 0 {
			told = append(told, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(told) == 0 {
		return "none"
	}
	return strings.Join(told, ", ")
}

// Ended is the number of servers that have ended, in whatever way.
func (c Counts) Ended() int { return c.Servers - c.Pending - c.InFlight - c.Soaking }

// WaveProgress is one wave of a rollout.
type WaveProgress struct {
	Name   string `json:"name"`
	Counts Counts `json:"counts"`
	// Current is true for the wave whose servers are started now, or that bakes or waits for approval.
	Current bool `json:"current,omitempty"`
	// BakeUntil is set while the wave bakes.
	BakeUntil time.Time `json:"bake_until,omitzero"`
	// AwaitsApproval is true when only an approval is missing.
	AwaitsApproval bool   `json:"awaits_approval,omitempty"`
	ApprovedBy     string `json:"approved_by,omitempty"`
	// BakeEndedBy is who ended its bake early.
	BakeEndedBy string `json:"bake_ended_by,omitempty"`
}

// Progress is the answer to the progress query: everything but the servers that are neither in flight
// nor failed.
type Progress struct {
	Name      string `json:"name"`
	Reason    string `json:"reason,omitempty"`
	ImageName string `json:"image_name,omitempty"`
	ImageID   string `json:"image_id,omitempty"`
	// Project holds the servers: with it and a server's id one finds the workflow that changes the server.
	Project string `json:"project,omitempty"`
	Profile string `json:"profile,omitempty"` // as in the plan
	Edition string `json:"edition,omitempty"`
	// StartedBy is who applied the plan.
	StartedBy string     `json:"started_by,omitempty"`
	Phase     Phase      `json:"phase"`
	End       RolloutEnd `json:"end,omitempty"`
	// Why says in one sentence what the rollout does or waits for.
	Why string `json:"why"`
	// NeedsHuman is true when nothing more is started until somebody gives a command.
	NeedsHuman bool `json:"needs_human,omitempty"`
	// CredentialsRefused is true while the cloud refuses the workers' credentials.
	CredentialsRefused bool `json:"credentials_refused,omitempty"`
	// Secrets are the references of the change while CredentialsRefused: a worker that cannot read them is one cause.
	Secrets []SecretRef    `json:"secrets,omitempty"`
	Counts  Counts         `json:"counts"`
	Waves   []WaveProgress `json:"waves"`
	// InFlight are the servers in flight and soaking.
	InFlight []ServerProgress `json:"in_flight,omitempty"`
	// Failures are the first hundred servers that failed and are not accepted.
	Failures []ServerProgress `json:"failures,omitempty"`
	// Slots in use, of them held by failed servers and by servers that are down for another reason, and the cap in force.
	Slots           int `json:"slots"`
	SlotsHeldFailed int `json:"slots_held_failed,omitempty"`
	SlotsHeldDown   int `json:"slots_held_down,omitempty"`
	SlotsCap        int `json:"slots_cap"`
	// SlotsMost is how many slots the other limits allow when they are fewer than the cap, and SlotsHeldBy what these are.
	SlotsMost   int    `json:"slots_most,omitempty"`
	SlotsHeldBy string `json:"slots_held_by,omitempty"`
	// Held are the servers that wait because others are down, as commands name them: all of them, or none when they are many.
	Held []string `json:"held,omitempty"`
	// Failed counts against the budget; more than Tolerated stops the rollout.
	Failed    int `json:"failed"`
	Tolerated int `json:"tolerated"`
	// Accepts are the commands that would be accepted now.
	Accepts   []CommandKind `json:"accepts,omitempty"`
	Log       []LogEntry    `json:"log,omitempty"` // the last ten entries
	StartedAt time.Time     `json:"started_at"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`
	Deadline  time.Time     `json:"deadline,omitzero"`
}

// LogEntry is one line of the rollout's own log: commands, waves, breaches.
type LogEntry struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // empty for the rollout itself
	What string    `json:"what"`
}

// CommandKind is what an operator can tell a running rollout. It is also the name of the update.
type CommandKind string

// The commands.
const (
	Pause       CommandKind = "pause"
	Resume      CommandKind = "resume"
	Abort       CommandKind = "abort"
	Approve     CommandKind = "approve"     // let the next wave begin
	EndBake     CommandKind = "end-bake"    // end a bake early, and approve what follows it
	Skip        CommandKind = "skip"        // do not change pending servers
	Retry       CommandKind = "retry"       // change failed servers again
	Recheck     CommandKind = "recheck"     // check the health of failed-unhealthy servers again, without another change
	Accept      CommandKind = "accept"      // let failures be: they no longer count and free their slots
	Concurrency CommandKind = "concurrency" // set the cap on servers in flight
)

// CommandKinds are all commands, in the order in which they are listed.
func CommandKinds() []CommandKind {
	return []CommandKind{Pause, Resume, Abort, Approve, EndBake, Skip, Retry, Recheck, Accept, Concurrency}
}

// Typed is what an operator types after reimage: the kind, but that the end of a bake is a flag of approve.
func (k CommandKind) Typed() string {
	if k == EndBake {
		return string(Approve) + " --" + string(EndBake)
	}
	return string(k)
}

// Command is one command.
type Command struct {
	Kind CommandKind `json:"kind"`
	// By is who gives it, required: rollouts keep a log.
	By string `json:"by"`
	// Comment is why. The end of a bake needs one.
	Comment string `json:"comment,omitempty"`
	// Servers are ids or names, for skip, retry, recheck and accept. Empty means all failed ones for retry and
	// accept, and all failed-unhealthy ones for recheck; skip needs at least one.
	Servers []string `json:"servers,omitempty"`
	// Wave names the wave that is approved, or whose bake is ended. Empty means the one that waits.
	Wave string `json:"wave,omitempty"`
	// InFlight is the new cap, for concurrency.
	InFlight int `json:"in_flight,omitempty"`
}
