package ecs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Error is a call that did not succeed. Its text is for operators and holds no secret: of the answer to a request that carried
// one, the cloud's own text is not kept (withhold).
type Error struct {
	Op       string // what was tried: "read", "stop", "change the OS of"
	Resource string // on what: "server 2b1f0f1e-..."
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Code is the service's own: "Ecs.0100", "APIGW.0308", or Nova's name of a fault, "conflictingRequest".
	Code string
	// Message is the cloud's text, or words of our own in its place.
	Message   string
	RequestID string // what the cloud's support asks for
	// RetryAfter is how long the cloud asks to wait, 0 when it does not say.
	RetryAfter time.Duration
	// ClockSkew is set on HTTP 401 for a signed request when the local clock is more than 5 minutes off; from 15
	// minutes on that spoils signatures. Above zero the local clock is ahead.
	ClockSkew time.Duration
	// Err is the cause when there was no answer, or none that can be used.
	Err error

	// withheld is true when Message is not the cloud's text. Terms are the deciding words that this held.
	withheld bool
	terms    []string

	class   Class // when the call decided it; otherwise Class does, by code and status
	relayed relayedFault
	foreign bool   // the answer was not the service's, or in no shape of its: an HTML page, text, nothing
	action  string // that the call needs
	scope   string // the project that a token was asked for
	// enterprise is the enterprise project that the list was narrowed to.
	enterprise string
	// skew is how far the local clock was ahead of the answer's date; dated when it had one.
	skew  time.Duration
	dated bool
	// cause and remedy are set when the call decided them; otherwise Cause and Remedy do.
	cause  Cause
	remedy string
}

// Skew is how far the local clock was ahead of the date of the answer, of whatever status: 0 when that is not worth
// mentioning (ToleratedSkew), or the answer had none.
func (e *Error) Skew() time.Duration {
	if e.skew.Abs() > ToleratedSkew {
		return e.skew
	}
	return 0
}

// relayedFault is a fault of Nova or Keystone inside the answer, with the HTTP status it claims.
type relayedFault struct {
	kind   string
	status int
}

// refusal is true when the fault says by itself that its service declined: a 4xx other than a timeout.
func (f relayedFault) refusal() bool {
	return f.status >= 400 && f.status <= 499 && f.status != 408
}

// Error says what was tried, on what, how it ended, and what to do about the cause.
func (e *Error) Error() string { return e.text(e.Remedy()) }

// What is Error without the remedy.
func (e *Error) What() string { return e.text("") }

func (e *Error) text(remedy string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s", e.Op, e.Resource)
	if e.Status != 0 {
		fmt.Fprintf(&text, ": HTTP %d", e.Status)
		if e.Code != "" && e.Code != strconv.Itoa(e.Status) { // Keystone repeats the status
			fmt.Fprintf(&text, " %s", e.Code)
		}
	}
	if e.Message != "" {
		fmt.Fprintf(&text, ": %s", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&text, ": %s", strings.ReplaceAll(e.Err.Error(), "\n", "; "))
	}
	if remedy != "" {
		fmt.Fprintf(&text, " (%s)", remedy)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&text, " (request %s)", e.RequestID)
	}
	return text.String()
}

// Unwrap returns the cause, for instance the end of the context.
func (e *Error) Unwrap() error { return e.Err }

// Busy is true when the server is in the wrong state or another operation runs on it.
func (e *Error) Busy() bool {
	return e.Code == "Ecs.0100" || e.Code == "Ecs.0603" ||
		e.Code == "conflictingRequest" || e.relayed.kind == "conflictingRequest"
}
