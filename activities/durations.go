package activities

import (
	"slices"
	"sync"
	"time"
)

// durationsKept are enough to know the spread, and few enough to follow a cloud that gets slower.
const durationsKept = 32

// durations are how long the last changes of OS of each project took that succeeded. They belong to the worker: what
// it has not seen it learns again after a restart.
type durations struct {
	mu   sync.Mutex
	seen map[string][]time.Duration
}

func (d *durations) note(project string, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string][]time.Duration{}
	}
	d.seen[project] = append(d.seen[project], took)
	if over := len(d.seen[project]) - durationsKept; over > 0 {
		d.seen[project] = slices.Delete(d.seen[project], 0, over)
	}
}

// expected is between when and when a change is over, but for one in ten that is over before and one in ten
// that takes longer. A twentieth below and a quarter above leave room for what has not been seen.
func (d *durations) expected(project string) (from, to time.Duration, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sorted := slices.Sorted(slices.Values(d.seen[project]))
	if len(sorted) == 0 {
		return 0, 0, false
	}
	tenth := len(sorted) / 10
	return sorted[tenth] * 19 / 20, sorted[len(sorted)-1-tenth] * 5 / 4, true
}
