package ecs

import (
	"cmp"
	"context"
	"errors"
	"time"
)

const (
	// patientTries bounds how often a patient client asks the same question.
	patientTries = 5
	// throttledPause is for a cloud that throttles without saying for how long.
	throttledPause = 10 * time.Second
	// longestPause is as long as one limit of the gateway lasts. Whoever is asked to wait longer should
	// not hold on to what has been read so far.
	longestPause = time.Minute
	// firstPause doubles with each try.
	firstPause = time.Second
)

// Patient is the same client for reading in bulk: each of its reads is tried a few times before it fails
// with trouble that may pass. A list of a hundred pages would hardly ever be read to its end if one refused
// page spoilt it. Its reads are in no hurry. Writes are sent once, as ever.
//
// Unless says is nil it is told with what a read has failed that is tried again, by many reads at once.
func (c *Client) Patient(says func(failed *Error)) *Client {
	patient := *c
	patient.tries, patient.reads, patient.says = patientTries, unhurried, says
	return &patient
}

// Unhurried is the same client for reads about what has not begun: while calls wait for their turn, those about
// what is under way go first. All writes are in a hurry.
func (c *Client) Unhurried() *Client {
	later := *c
	later.reads = unhurried
	return &later
}

// Urgent is the same client for the look that justifies a write: while calls wait for their turn, it goes first, as
// the write does.
func (c *Client) Urgent() *Client {
	first := *c
	first.reads = urgent
	return &first
}

// askAgain waits, if the error may pass and tries are left, and tells whether to ask again.
func (c *Client) askAgain(ctx context.Context, err error, try int) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || try >= c.tries || errors.Is(err, errTooLarge) {
		return false
	}
	pause := firstPause << (try - 1)
	switch e.Class() {
	case ClassTransient, ClassUnclear:
	case ClassThrottled:
		pause = cmp.Or(e.RetryAfter, throttledPause)
	default:
		return false
	}
	if pause > longestPause {
		return false
	}
	if c.says != nil {
		c.says(e)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
