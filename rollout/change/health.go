package change

import (
	"fmt"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// soakFailures is how many rounds of probes in a row have to fail until a healthy server counts as unhealthy: one lost
// packet is none.
const soakFailures = 3

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
// check fails by an answer alone: one that comes when its time is over and says that the application is not healthy. While it
// passes it may go on until it has been stable, however late it is.
type HealthWatch struct {
	in     HealthInput
	timing Timing
	checks []checkState
	failed int // rounds in a row, in a soak
}

// checkState is what is known of one check in this attempt.
type checkState struct {
	// stable is since when it has passed without a break, as far as it was probed. Gaps between probes count as in Stability.
	stable time.Duration
	last   Probe
	at     time.Time
}

// NewHealthWatch begins an attempt.
func NewHealthWatch(in HealthInput, timing Timing) HealthWatch {
	return HealthWatch{in: in, timing: timing, checks: make([]checkState, len(in.Checks))}
}

// Begin is the first decision.
func (w *HealthWatch) Begin(now time.Time) HealthDecision { return w.next(now, 0) }

// Observe is the event of a round: the answers to the checks that the decision named, in their order.
func (w *HealthWatch) Observe(probed []int, probes []Probe, now time.Time) HealthDecision {
	healthy := true
	for i, check := range probed {
		w.checks[check].observe(probes[i], now, w.timing.Poll)
		healthy = healthy && probes[i].Healthy
	}
	if w.in.Soak > 0 {
		return w.soak(healthy, now)
	}
	passed := 0
	for i, check := range w.in.Checks {
		state := w.checks[i]
		if !state.at.IsZero() && !state.last.Healthy && !now.Before(w.in.Since.Add(check.Within)) {
			return w.finish(false)
		}
		if state.last.Healthy && state.stable >= check.StableFor {
			passed++
		}
	}
	if passed == len(w.in.Checks) {
		return w.finish(true)
	}
	return w.next(now, w.timing.Poll)
}

// soak ends with the first answer after the soak that says healthy.
func (w *HealthWatch) soak(healthy bool, now time.Time) HealthDecision {
	w.failed++
	if healthy {
		w.failed = 0
	}
	switch {
	case w.failed >= soakFailures:
		return w.finish(false)
	case healthy && !now.Before(w.in.Since.Add(w.in.Soak)):
		return w.finish(true)
	}
	return w.next(now, w.timing.Poll)
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
	if !probe.Healthy || !c.last.Healthy {
		c.stable = 0
	} else {
		c.stable += min(at.Sub(c.at), 2*poll)
	}
	c.last, c.at = probe, at
}
