package ecs

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// ToleratedSkew is where the local clock becomes worth mentioning.
const ToleratedSkew = 5 * time.Minute

const (
	// spoilingSkew is where the local clock is reason enough for a 401: signatures that are more than 15 minutes off
	// are refused, whatever the key, and an answer that is late hides some of it.
	spoilingSkew = 14 * time.Minute
	// maxRetryAfter bounds what an answer may ask for.
	maxRetryAfter = time.Hour
	maxRequestID  = 128
	maxCode       = 64
)

// failure is the error of a reply that is no usable success.
func (r reply) failure(call request) *Error {
	e := &Error{Op: call.op, Resource: call.resource, Err: r.why(r.err), action: call.action, scope: call.scope, enterprise: call.enterprise}
	if refusal, ok := errors.AsType[*Error](r.err); ok {
		e.notGranted(refusal, clean(notAuthorized+": "+refusal.What(), maxMessage))
		return e
	}
	if r.err != nil {
		e.cause, e.remedy = causeOfSilence(r.err)
		return e
	}
	e.Status = r.status
	e.skew, e.dated = skewOf(r.answer)
	f := parseFault(r.body)
	if f.foreign && r.status >= http.StatusBadRequest { // below that, the body is no fault: a server may hold one
		f.lookBelow(r.body)
	}
	if r.broken != nil {
		f = fault{foreign: true} // part of a fault could be taken for another one
		e.Err = r.why(r.broken)
	}
	e.Code = clean(f.code, maxCode)
	e.Message = clean(f.message, maxMessage)
	e.relayed, e.foreign = f.relayed, f.foreign
	e.RequestID = r.header.Get("X-Request-Id")
	if e.RequestID == "" {
		e.RequestID = f.requestID
	}
	e.RequestID = clean(e.RequestID, maxRequestID)
	if r.withhold {
		e.withhold(f, r.body, call.secrets)
	}
	e.RetryAfter = retryAfter(r.answer)
	if e.RetryAfter == 0 && e.Class() == ClassThrottled {
		e.RetryAfter = quotaIn(f.message).window
	}
	if r.status == http.StatusUnauthorized && r.req.Header.Get(signatureDate) != "" {
		e.ClockSkew = e.Skew()
	}
	return e
}

// unclear is the error of a success that does not hold what it should.
func (r reply) unclear(call request, why error) *Error {
	e := r.failure(call)
	if e.Code == "" {
		e.Message, e.Err, e.class = "", cleaned(why), ClassUnclear
	}
	return e
}

// why is the cause of an exchange without an answer that can be used. Before the first byte of the request was written, nothing
// can have been repeated.
func (r reply) why(err error) error {
	if err == nil || !r.withhold || !r.begun {
		return cleaned(err)
	}
	return &cleanError{text: silence(err), err: err}
}

// retryAfter reads the header, which holds seconds or a date. The cloud's dates are compared with its
// own clock.
func retryAfter(a answer) time.Duration {
	value := a.header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return bound(seconds, time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		now = a.at
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}

// throttleText is how the gateway words its limit: "limit:200,time:1 minute".
var throttleText = regexp.MustCompile(`limit:\s*(\d+),\s*time:\s*(\d+)\s*(second|minute|hour)`)

// quota is a limit of the gateway: so many calls in each window. After the window, it is whole again.
type quota struct {
	calls  int64
	window time.Duration
}

// quotaIn reads the limit that a text names, the zero value when it names none.
func quotaIn(text string) quota {
	match := throttleText.FindStringSubmatch(text)
	if match == nil {
		return quota{}
	}
	calls, _ := strconv.ParseInt(match[1], 10, 64) // beyond its range it is the largest number: no limit to heed
	count, err := strconv.ParseInt(match[2], 10, 64)
	if err != nil {
		return quota{calls, maxRetryAfter}
	}
	switch match[3] {
	case "second":
		return quota{calls, bound(count, time.Second)}
	case "minute":
		return quota{calls, bound(count, time.Minute)}
	}
	return quota{calls, bound(count, time.Hour)}
}

func bound(count int64, unit time.Duration) time.Duration {
	return time.Duration(min(max(0, count), int64(maxRetryAfter/unit))) * unit
}

// skewOf is how far the local clock is ahead of the cloud's, if the answer has a date.
func skewOf(a answer) (skew time.Duration, dated bool) {
	cloud, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return a.at.Sub(cloud), true
}
