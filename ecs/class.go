package ecs

import (
	"net/http"
	"time"
)

// Class says what may help against an error.
type Class string

// The classes of errors.
const (
	ClassPermanent Class = "permanent" // the same request fails again
	ClassState     Class = "state"     // look at the server, mend its state, try again
	ClassTransient Class = "transient" // passes by itself
	ClassThrottled Class = "throttled" // slow down
	ClassUnclear   Class = "unclear"   // may pass; try a few times
	ClassAuth      Class = "auth"      // the credentials are not accepted
	ClassNotFound  Class = "not found" // the cloud does not know the resource
	ClassInvalid   Class = "invalid"   // this package refused the request; nothing was sent
)

// Class decides by what is most specific: the code, then the status.
func (e *Error) Class() Class {
	if e.class != "" {
		return e.class
	}
	if e.Status == http.StatusTooManyRequests {
		return ClassThrottled
	}
	if relays(e.Code) {
		return e.relayedClass()
	}
	if class := classOfGateway(e.Code, e.Status); class != "" {
		return class
	}
	if class := classOfCode(e.Code); class != "" {
		return class
	}
	return e.classOfStatus()
}

func (e *Error) relayedClass() Class {
	if e.relayed.status == 0 {
		return ClassUnclear
	}
	inner := Error{Status: e.relayed.status, Code: e.relayed.kind}
	return inner.classOfStatus()
}

func (e *Error) classOfStatus() Class {
	switch {
	case e.Status == 0:
		return ClassTransient // no answer
	case e.Status < 400:
		return ClassUnclear
	case e.foreign && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound):
		// A page of some proxy or of a wrong address says nothing about a server. In particular it does
		// not say that the server is gone.
		return ClassUnclear
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return ClassAuth
	case http.StatusNotFound:
		return ClassNotFound
	case http.StatusRequestTimeout:
		return ClassTransient
	case http.StatusConflict:
		return ClassState
	case http.StatusTooManyRequests:
		return ClassThrottled
	case http.StatusNotImplemented:
		return ClassPermanent
	}
	if e.Status >= 500 {
		return ClassTransient
	}
	return ClassPermanent
}

// classOfIdentity is the class, and the wait asked for, of a request that was not sent because the identity service
// granted nothing. What this service does not know is never a server that the cloud does not know.
func classOfIdentity(refusal *Error) (Class, time.Duration) {
	switch class := refusal.Class(); class {
	case ClassTransient, ClassThrottled, ClassUnclear:
		return class, refusal.RetryAfter
	}
	return ClassAuth, 0
}
