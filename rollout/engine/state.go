// Package engine is the state machine of a rollout: events in, decisions out. It knows no clock, no network
// and no Temporal, so that every rule can be tested in microseconds; the Rollout workflow feeds it and
// carries out what it decides. docs/rollout.md explains the rules.
package engine

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// State is everything an engine knows besides the plan. It can be written and read back, which is how a
// rollout outlives the run of its workflow.
type State struct {
	Phase rollout.Phase      `json:"phase"`
	End   rollout.RolloutEnd `json:"end,omitempty"`
	// Wave is the position of the current wave; past the last one all waves are over.
	Wave int `json:"wave"`
	// WaveOverAt is when the last server of the current wave ended, zero while one has not.
	WaveOverAt time.Time `json:"wave_over_at,omitzero"`
	// Approvals are who approved what follows each wave, by position.
	Approvals []string `json:"approvals"`
	// BakesEnded are the bakes that operators ended early, at most one of each wave.
	BakesEnded []BakeEnd `json:"bakes_ended,omitempty"`
	// Servers are as in the plan, by position.
	Servers []Server `json:"servers"`
	// Cap is the cap on servers in flight in force; operators can set it.
	Cap int `json:"cap"`
	// StatesRead is how many waves had the states of their servers read when they began. ReadAt is when that was tried last,
	// and ReadTrouble why it failed, empty when it did not.
	StatesRead  int       `json:"states_read,omitempty"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	ReadTrouble string    `json:"read_trouble,omitempty"`
	// Down are the servers that the rollout does not touch and that were down when their states were read last.
	Down []DownOther `json:"down,omitempty"`
	// Window is the slow start's own cap. FailedAt is when a failure last narrowed it.
	Window   int       `json:"window,omitempty"`
	FailedAt time.Time `json:"failed_at,omitzero"`
	// Pause is set while the rollout is paused.
	Pause *PauseState `json:"pause,omitempty"`
	// Credentials is how the cloud refused the workers' credentials. It goes when the rollout is resumed and, once it
	// is not paused any more, when a server in flight has ended.
	Credentials string `json:"credentials,omitempty"`
	// Deadline is when the rollout pauses by itself, zero for never.
	Deadline  time.Time          `json:"deadline,omitzero"`
	StartedBy string             `json:"started_by,omitempty"`
	StartedAt time.Time          `json:"started_at"`
	EndedAt   time.Time          `json:"ended_at,omitzero"`
	Log       []rollout.LogEntry `json:"log,omitempty"` // the last logLength entries
	// Now is the latest time the engine was told. It never goes back, whatever clock tells it.
	Now time.Time `json:"now"`
}

// BakeEnd is the end of a bake before its time.
type BakeEnd struct {
	Wave int       `json:"wave"` // its position
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// PauseState says why a rollout is paused and what it goes back to. Without a Why, refused credentials are all there
// is to say.
type PauseState struct {
	Why  string        `json:"why,omitempty"`
	From rollout.Phase `json:"from"`
	// Breach and Deadline tell what paused it, if it was not an operator.
	Breach   bool `json:"breach,omitempty"`
	Deadline bool `json:"deadline,omitempty"`
}

// Server is one server of a rollout.
type Server struct {
	State rollout.ServerState `json:"state"`
	// End is how the last attempt ended; a server in flight or to be tried again still shows it.
	End rollout.ServerEnd `json:"end,omitempty"`
	// Reason is one sentence, cut to maxReason bytes: the server's own workflow holds the whole of it.
	Reason   string `json:"reason,omitempty"`
	Accepted bool   `json:"accepted,omitempty"`
	Down     bool   `json:"down,omitempty"`    // as in Outcome, until it runs again or an attempt touches its disk
	Foreign  bool   `json:"foreign,omitempty"` // as in Outcome
	// DownStatus is the status that the server showed when it was last found down, and not because of the rollout. Empty
	// while it runs.
	DownStatus string `json:"down_status,omitempty"`
	// Failure is as in Outcome, of the last attempt.
	Failure     rollout.FailureKind `json:"failure,omitempty"`
	RollingBack bool                `json:"rolling_back,omitempty"`
	// Suspicion says why a server in flight may have failed. Its end confirms or lifts that.
	Suspicion string `json:"suspicion,omitempty"`
	// Recheck is true while a server waits for another check of its health, or has it: it is not changed again.
	Recheck  bool `json:"recheck,omitempty"`
	Attempts int  `json:"attempts,omitempty"`
	// Until is when a soak ends, or when a busy server is tried again.
	Until time.Time `json:"until,omitzero"`
	// BusySince is when the server was first found busy, Holder who was changing it when it was last.
	BusySince time.Time `json:"busy_since,omitzero"`
	Holder    string    `json:"holder,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Earlier are the times of the attempt before the one in flight, which count again when it is turned away.
	Earlier times `json:"earlier,omitzero"`
	// Replacing is the disk that the attempt in flight is to replace, and Replaced that of the last attempt that did, or may
	// have. Zero is the disk of the plan.
	Replacing rollout.Fingerprint `json:"replacing,omitzero"`
	Replaced  rollout.Fingerprint `json:"replaced,omitzero"`
	// After is the disk that the last attempt that touched the server left it. Seen is another one that it was
	// found with since: from a change that came late, or from whoever repaired it.
	After rollout.Fingerprint `json:"after,omitzero"`
	Seen  rollout.Fingerprint `json:"seen,omitzero"`
}

type times struct {
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

const (
	maxReason = 500
	// maxRefusal is for the one refusal of credentials, which pauses the rollout: what to do about it, and the request
	// that the cloud's support asks for, are at its end.
	maxRefusal = 2000
	logLength  = 50
	// readAgain is how long after the states of the servers were read they are read again, while servers that are down hold
	// up the rollout, or after the reading failed.
	readAgain = time.Minute
	// viewLag is how long the cloud may show an older state of a server than the one that its own workflow has proven.
	viewLag = 2 * time.Minute
	// busyRetry is how long after a server was found busy it is tried again. A change takes minutes.
	busyRetry = time.Minute
)

// failed is true for a server that counts against the budget.
func (s *Server) failed() bool {
	return s.State == rollout.Ended && s.End.Failed() && s.Attempts > 0 && !s.Accepted
}

// holdsSlot is true while the server is out of service. A broken one is until it is repaired or accepted, also while it
// waits to be tried again.
func (s *Server) holdsSlot() bool {
	return s.working() || s.broken() || s.isDown()
}

// working is true while the rollout itself has the server out of service, or watches it for a while after that.
func (s *Server) working() bool { return s.State == rollout.InFlight || s.State == rollout.Soaking }

// broken is true for a server that an attempt has left out of service.
func (s *Server) broken() bool {
	return !s.Accepted && s.End.Failed() && (s.End.OutOfService() || s.Down)
}

// isDown is true for a server that is out of service, and not because of the rollout. An accepted failure counts no more,
// and a server that has vanished comes back by no command.
func (s *Server) isDown() bool {
	return s.DownStatus != "" && !s.Accepted && s.End != rollout.Vanished
}

// asBefore is true for a server that was not tried, or still has the disk of the plan.
func (s *Server) asBefore() bool {
	switch s.End {
	case rollout.Done, rollout.FailedChanged, rollout.FailedUnhealthy, rollout.FailedLost, rollout.Vanished:
		return s.Attempts == 0
	}
	return true
}

// showed is the disk that the server showed last.
func (s *Server) showed() rollout.Fingerprint {
	if (s.Seen != rollout.Fingerprint{}) {
		return s.Seen
	}
	return s.After
}

// other is true for a server whose disk is not, or may not be, of this rollout's making.
func (s *Server) other() bool { return s.Foreign || s.Seen != rollout.Fingerprint{} }

// failedOnOurs is true for a failed server whose disk is of the plan or of this rollout's making: what a retry means
// that names no server.
func (s *Server) failedOnOurs() bool { return s.failed() && !s.other() }

// off is what Down becomes: nobody has started the server since an attempt left it off, unless somebody saw it run.
func (s *Server) off(out Outcome) bool { return untouched(out.End) && !out.Up && (out.Down || s.Down) }

// stays is true when an attempt that touched nothing leaves the server what an earlier one made of it.
func (s *Server) stays(end rollout.ServerEnd) bool {
	return untouched(end) && (s.End == rollout.Done || s.End.OutOfService() || s.End == rollout.Vanished)
}

// untouched is true for an end that leaves the server the disk it had.
func untouched(end rollout.ServerEnd) bool {
	return end == rollout.FailedIntact || end == rollout.NotStarted || end == rollout.Skipped
}

// Outcome is how the attempt at one server ended.
type Outcome struct {
	End    rollout.ServerEnd
	Reason string
	// Down is true for a server that ran before and does not run now, though its disk was not touched.
	Down bool
	// Up is true for a server that is known to run.
	Up bool
	// After is the disk the server showed last, zero if it was not looked at.
	After rollout.Fingerprint
	// Foreign is true when that disk was given to it by somebody else. It is not ours to lose: such a server
	// is neither changed again nor rolled back.
	Foreign bool
	// Failure is the kind of failure.
	Failure rollout.FailureKind
}

// Start asks for the change of one server.
type Start struct {
	// Server is its position in the plan.
	Server int
	// Rollback asks for the previous image in place of the planned one.
	Rollback bool
	// Prior is the disk that the last attempt was to replace, when its change may have come after it was judged, or was proven:
	// a server that shows its proof against that disk is done, and not changed again. Zero for none.
	Prior rollout.Fingerprint
	// Again is true for another try at a server that has the new disk and failed on it: being on the image already is then no
	// reason to leave it alone.
	Again bool
	// Recheck asks for nothing but the health of a server that was changed, on the disk Expect.
	Recheck bool
	// Attempt counts from 1.
	Attempt int
	// Expect is the only disk that may be lost.
	Expect rollout.Fingerprint
}

// Decision is what is to be done now. After it nothing happens until an event, a command or WakeAt.
type Decision struct {
	Start []Start
	// ReadStates asks for the states of all servers that count against the caps, for StatesRead or StatesNotRead. It is asked
	// again until one of them was called.
	ReadStates bool
	// WakeAt is when the engine wants to be asked again though nothing else happened. Zero for never.
	WakeAt time.Time
	// Over is true when the rollout has ended.
	Over bool
}
