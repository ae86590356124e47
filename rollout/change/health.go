package change

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

const (
	// maxFailures is how many answers in a row have to say that an application is not healthy, where one more decides: one lost
	// packet is no end.
	maxFailures = 3
	// MaxProbe is how long one probe may take.
	MaxProbe = 5 * time.Second
)

// HealthInput says what makes a server healthy.
type HealthInput struct {
	// Checks have their defaults filled in.
	Checks []rollout.HealthCheck
	// Since is when the proof of the new disk was there. All times count from it, whatever attempt it is.
	Since time.Time
	// Soak is for how long a server that has passed the checks has to stay healthy. Zero is for the checks themselves.
	Soak time.Duration
}

// Probe is the answer to one check.
type Probe struct {
	Healthy bool
	// Reason is why it is not healthy, or what was answered.
	Reason string
}

// HealthVerdict is how the checks ended.
type HealthVerdict struct {
	Healthy bool
	// Reason names each check that did not pass, and its last answer.
	Reason string
}

// HealthDecision is what to do next.
type HealthDecision struct {
	// Wait comes before the probes.
	Wait time.Duration
	// Probe are the positions of the checks to probe, in their order.
	Probe []int
	// Finished is true when there is nothing more to probe.
	Finished bool
	Verdict  HealthVerdict
}

// HealthWatch decides when a server is healthy: when every check has passed without a break for its time, all at once. A
// check fails by answers alone: when its time is over, and several in a row say that the application is not healthy, or it has had
// time to become stable and is not. In a soak several in a row end it at any time.
type HealthWatch struct {
	in     HealthInput
	timing Timing
	begin  time.Time
	checks []checkState
}

// checkState is what is known of one check in this attempt.
type checkState struct {
	// stable is for how long it has passed without a break, as far as it was probed, and failures how many answers in a row
	// were not healthy.
	stable   time.Duration
	failures int
	last     Probe
	at       time.Time
}

// NewHealthWatch begins an attempt.
func NewHealthWatch(in HealthInput, timing Timing, now time.Time) HealthWatch {
	return HealthWatch{in: in, timing: timing, begin: now, checks: make([]checkState, len(in.Checks))}
}

// Begin is the first decision.
func (w *HealthWatch) Begin() HealthDecision { return w.next(w.begin, 0) }

// Observe is the event of a round: the answers to the checks that the decision named, in their order.
func (w *HealthWatch) Observe(probed []int, probes []Probe, now time.Time) HealthDecision {
	for i, check := range probed {
		w.checks[check].observe(probes[i], now, w.timing.Poll)
	}
	passed := 0
	for i, check := range w.in.Checks {
		state := w.checks[i]
		if state.failures > 0 && w.hasFailed(check, state, now) {
			return w.finish(false)
		}
		if state.last.Healthy && state.stable >= check.StableFor {
			passed++
		}
	}
	if passed == len(w.in.Checks) && !now.Before(w.in.Since.Add(w.in.Soak)) {
		return w.finish(true)
	}
	return w.next(now, w.timing.Poll)
}

// hasFailed is asked of a check whose last answer was not healthy.
func (w *HealthWatch) hasFailed(check rollout.HealthCheck, state checkState, now time.Time) bool {
	deadline := w.in.Since.Add(check.Within)
	if w.in.Soak > 0 {
		deadline = w.in.Since.Add(w.in.Soak)
	}
	isOver := !now.Before(deadline)
	if deadline.Before(w.begin) {
		deadline = w.begin // however late it is, it has the time to become stable
	}
	hadTime := !now.Before(deadline.Add(check.StableFor + maxFailures*w.timing.Poll))
	return hadTime || state.failures >= maxFailures && (isOver || w.in.Soak > 0)
}

// next probes every check that is left alone no longer.
func (w *HealthWatch) next(now time.Time, wait time.Duration) HealthDecision {
	d := HealthDecision{Wait: wait}
	at := now.Add(wait)
	var earliest time.Time
	for i, check := range w.in.Checks {
		from := w.in.Since.Add(check.After)
		if w.in.Soak > 0 || !at.Before(from) {
			d.Probe = append(d.Probe, i)
		} else if earliest.IsZero() || from.Before(earliest) {
			earliest = from
		}
	}
	if len(d.Probe) > 0 {
		return d
	}
	d.Wait = earliest.Sub(now)
	for i, check := range w.in.Checks {
		if !earliest.Before(w.in.Since.Add(check.After)) {
			d.Probe = append(d.Probe, i)
		}
	}
	return d
}

func (w *HealthWatch) finish(healthy bool) HealthDecision {
	verdict := HealthVerdict{Healthy: healthy}
	if !healthy {
		verdict.Reason = w.Trouble()
	}
	return HealthDecision{Finished: true, Verdict: verdict}
}

// Trouble names the checks that do not pass, with their last answers. Empty when all pass that were probed.
func (w *HealthWatch) Trouble() string {
	var parts []string
	for i, check := range w.in.Checks {
		if state := w.checks[i]; !state.at.IsZero() && !state.last.Healthy {
			parts = append(parts, fmt.Sprintf("%s: %s", check, state.last.Reason))
		}
	}
	return strings.Join(parts, "; ")
}

func (c *checkState) observe(probe Probe, at time.Time, poll time.Duration) {
	switch {
	case !probe.Healthy:
		c.stable = 0
		c.failures++
	case c.failures > 0 || c.at.IsZero():
		c.stable, c.failures = 0, 0
	default: // a gap between two answers counts as in Stability
		c.stable += min(at.Sub(c.at), 2*poll+MaxProbe)
	}
	c.last, c.at = probe, at
}
