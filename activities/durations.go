package activities

import (
	"slices"
	"sync"
	"time"
)

// operation is what takes its time: a kind of job in a project.
type operation struct{ project, kind string }

// The kinds of operations.
const (
	changing = "change of OS"
	stopping = "stop"
	starting = "start"
)

// durationsKept are enough to know the spread, and few enough to follow a cloud that gets slower.
const durationsKept = 32

// durations are how long the last operations of each kind took that succeeded. They belong to the worker: what it
// has not seen it learns again after a restart.
type durations struct {
	mu   sync.Mutex
	seen map[operation][]time.Duration
}

func (d *durations) note(of operation, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[operation][]time.Duration{}
	}
	d.seen[of] = append(d.seen[of], took)
	if over := len(d.seen[of]) - durationsKept; over > 0 {
		d.seen[of] = slices.Delete(d.seen[of], 0, over)
	}
}

// expected is between when and when an operation is over, but for one in ten that is over before and one in ten
// that takes longer. A twentieth below and a quarter above leave room for what has not been seen.
func (d *durations) expected(of operation) (from, to time.Duration, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sorted := slices.Sorted(slices.Values(d.seen[of]))
	if len(sorted) == 0 {
		return 0, 0, false
	}
	tenth := len(sorted) / 10
	return sorted[tenth] * 19 / 20, sorted[len(sorted)-1-tenth] * 5 / 4, true
}
