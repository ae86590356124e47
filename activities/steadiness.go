package activities

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// steadiness measures for how long a server has shown the same thing.
type steadiness struct {
	last    rollout.Observation
	at      time.Time
	held    time.Duration
	longest time.Duration
}

// steadiness begins a measurement. A gap between two looks counts for two poll intervals at most: a worker
// that slept in between has not seen what the server showed meanwhile.
func (a *Activities) steadiness() steadiness {
	return steadiness{longest: 2 * a.Timing.Poll}
}

// see notes a look and tells for how long nothing has changed.
func (s *steadiness) see(now rollout.Observation, at time.Time) time.Duration {
	now.Updated = "" // bookkeeping of the cloud is no unrest
	if s.at.IsZero() || now != s.last {
		s.held = 0
	} else {
		s.held += min(at.Sub(s.at), s.longest)
	}
	s.last, s.at = now, at
	return s.held
}
