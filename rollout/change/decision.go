package change

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// Action is what an activity does next.
type Action int

// The actions. After each of them but End, the activity reports what came of it.
const (
	Look     Action = iota + 1 // read the server, after Wait
	Prepare                    // read the secrets, build the request, ask whether the rollout still wants it
	Confirm                    // ask Temporal whether it still waits for this attempt, before a write
	Submit                     // send the change; it must not leave after Deadline
	StopSoft                   // send a stop to the guest; it must not leave after Deadline
	StopHard                   // cut the power; it must not leave after Deadline
	Start                      // send a start; it must not leave after Deadline
	QueryJob                   // read the job, after Wait
	Finish                     // the attempt ends as End says
)

// Decision is what to do next.
type Decision struct {
	Action Action
	// Wait is how long to wait before a look.
	Wait time.Duration
	// FollowJob is true for a wait for a job: the activity may look when it expects news instead of after Wait.
	FollowJob bool
	// JobID is the job to query.
	JobID string
	// Deadline is when a write must have left, counted from the look that justified it.
	Deadline time.Time
	End      End
}

// ErrorType is why an attempt or an activity ended without a result. Its value is the type of the Temporal error.
type ErrorType string

// The closed list of error types of activities. Workflows decide by these names, never by text.
const (
	Invalid          ErrorType = "InvalidRequest"     // our own check refused it; nothing was sent
	Refused          ErrorType = "Refused"            // the cloud refused, and nothing was started
	Credentials      ErrorType = "CredentialsRefused" // the cloud does not accept the worker's credentials, or they lack a permission
	SecretUnreadable ErrorType = "SecretUnreadable"   // the worker cannot read a secret that the change refers to; nothing was sent
	ProbesRefused    ErrorType = "ProbesRefused"      // the worker must not, or cannot, connect to servers; nothing is known of them
	Vanished         ErrorType = "ServerVanished"     // the cloud does not know the server
	DiskReplaced     ErrorType = "ForeignDisk"        // the system disk was replaced from outside; nothing was sent
	GivenUp          ErrorType = "GivenUp"            // nothing was accepted for so long that it is tried no more
	Throttled        ErrorType = "Throttled"          // the cloud limits the rate; nothing was started
	NotSent          ErrorType = "NotSent"            // the request never left this machine
	NotReady         ErrorType = "NotReady"           // the server is busy; nothing was started
	CloudTrouble     ErrorType = "CloudTrouble"       // the cloud failed to answer a question; ask again
	InDoubt          ErrorType = "InDoubt"            // a write may or may not have been accepted
	WorkerStopping   ErrorType = "WorkerStopping"     // handed back so that another worker carries on
	Overdue          ErrorType = "Overdue"            // the server did not reach the state in time
	Recalled         ErrorType = "Recalled"           // the rollout of the server takes it back; nothing was sent
	Reset            ErrorType = "WorkflowReset"      // the workflow was reset: this run touches nothing
)

// OfWorker is true for an error that is about what the worker lacks, and not about the server: the rollout pauses, and the
// server waits for its turn.
func (e ErrorType) OfWorker() bool {
	return e == Credentials || e == SecretUnreadable || e == ProbesRefused
}

// End is how an attempt ends. Without a type and without a failure, the step has succeeded.
type End struct {
	// Failed is true when the attempt ends with an error.
	Failed bool
	// Type is that of the error. Empty is the type of the error that the activity reported last.
	Type ErrorType
	// Final is true when no further attempt can mend it.
	Final bool
	// Message says what happened. Empty is the message of the error that the activity reported last.
	Message string
	// RetryAfter is when the next attempt begins at the earliest. Zero leaves it to the retry policy.
	RetryAfter time.Duration
	// UndocumentedRefusal is true when the error is the refusal for a reason that is in no table: the activity has it.
	UndocumentedRefusal bool

	// JobID and Evidence are of an accepted change: its job, or what the server showed in place of an answer.
	JobID    string
	Evidence string
	// Job is what the cloud answered about the job.
	Job JobVerdict
	// Server is what it showed last.
	Server rollout.Observation
}

// Trouble is why something could not be done. The activity keeps the error itself.
type Trouble struct {
	Message    string
	RetryAfter time.Duration
	// Interrupted is true when the attempt was cancelled: that says nothing of the cloud.
	Interrupted bool
	// OfWorker is true for what the worker lacks.
	OfWorker bool
	Final    bool
}

// ResponseKind is how a write ended.
type ResponseKind int

// The kinds. Only NotSentResponse, ThrottledResponse and the listed refusals prove that nothing was accepted.
const (
	AcceptedResponse     ResponseKind = iota + 1 // with a job id
	UnknownResponse                              // it is not known whether it was accepted
	ThrottledResponse                            // refused for the rate
	NotSentResponse                              // not a byte has left
	RecalledResponse                             // not sent: the rollout has recalled the server
	BusyResponse                                 // refused because something is under way (Ecs.0603, Ecs.0100)
	BackupResponse                               // refused because the system disk is being backed up (Ecs.0073)
	UnclearResponse                              // refused for a listed reason that may pass
	CredentialsResponse                          // the credentials were refused, and have been renewed
	RefusedResponse                              // refused for a listed reason
	UndocumentedResponse                         // refused for a reason that is in no table
)

// Response is the end of a write.
type Response struct {
	Kind    ResponseKind
	JobID   string
	Message string
	// RetryAfter is how long to wait before the next attempt.
	RetryAfter time.Duration
	// Final is true for a refusal that no further attempt can mend.
	Final bool
}

// Stability measures for how long a server has shown the same thing. A gap between two looks counts for two poll intervals
// at most: a worker that slept in between has not seen what the server showed meanwhile.
type Stability struct {
	last rollout.Observation
	at   time.Time
	held time.Duration
}

// Observe takes in a look and returns for how long nothing has changed.
func (s *Stability) Observe(server rollout.Observation, at time.Time, poll time.Duration) time.Duration {
	server.Updated = "" // bookkeeping of the cloud is no change
	if s.at.IsZero() || server != s.last {
		s.held = 0
	} else {
		s.held += min(at.Sub(s.at), 2*poll)
	}
	s.last, s.at = server, at
	return s.held
}

func look(wait time.Duration) Decision { return Decision{Action: Look, Wait: wait} }

func finish(end End) Decision { return Decision{Action: Finish, End: end} }

// reported ends the attempt with the error that the activity has.
func reported() Decision { return finish(End{Failed: true}) }

func retry(kind ErrorType, message string, after time.Duration) Decision {
	return finish(End{Failed: true, Type: kind, Message: message, RetryAfter: after})
}

func fail(kind ErrorType, message string) Decision {
	return finish(End{Failed: true, Type: kind, Message: message, Final: true})
}
