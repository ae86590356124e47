package rollout

import "time"

// FailureKind is why a server failed, as far as it decides what to do next. Empty is anything that a retry may find mended.
type FailureKind string

// The kinds of failures.
const (
	// FailureOfChange: what was asked for is refused, and is the same for every server of the plan: a key pair that does not
	// exist, an image that is gone.
	FailureOfChange FailureKind = "change-refused"
	// FailureOfServer: the server is not in a state to be changed, until that is mended.
	FailureOfServer FailureKind = "server-refused"
)

// ServerResult says how the server ended, with the evidence. A failed server is a result and not an
// error: whoever reads it decides by End.
type ServerResult struct {
	End      ServerEnd `json:"end"`
	Reason   string    `json:"reason"` // one sentence: what happened, and what state the server is in
	ServerID string    `json:"server_id"`
	Name     string    `json:"name,omitempty"`
	JobID    string    `json:"job_id,omitempty"`
	// Before and After are the server before anything was touched and when the end was judged. After is
	// the zero value when nothing was touched.
	Before Observation `json:"before"`
	After  Observation `json:"after"`
	// Healthy is true when the health checks have passed, and false also when there were none.
	Healthy bool `json:"healthy,omitempty"`
	// Foreign is true when the server has a disk that somebody else gave it: that disk is not ours to lose.
	Foreign bool `json:"foreign,omitempty"`
	// Failure is the kind of failure. Empty for none, and for one of no kind.
	Failure FailureKind `json:"failure,omitempty"`
	// CredentialsRefused says how the cloud refused the credentials of the worker, before the disk was touched. It is
	// no fault of the server, which can be changed once they are mended.
	CredentialsRefused string `json:"credentials_refused,omitempty"`
	// Recalled is true for a server that its rollout took back before its change was submitted. It was not changed, and
	// runs again if it was stopped for the change.
	Recalled bool `json:"recalled,omitempty"`
	// Left is the status in which the server was left, when its power was given back or taken after that.
	Left string `json:"left,omitempty"`
	// PowerTrouble says why the server could not be left running or stopped as asked.
	PowerTrouble string    `json:"power_trouble,omitempty"`
	StartedAt    time.Time `json:"started_at"`
	EndedAt      time.Time `json:"ended_at"`
}
