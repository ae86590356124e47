package faults

import (
	"sync"
	"time"
)

// crashes counts how often each crash point is reached, and deals the blows of a schedule.
type crashes struct {
	mu      sync.Mutex
	pending []Crash
	reached map[Point]int
	struck  map[Point]map[Blow]int
	dealt   []dealt
}

// dealt is a blow that was dealt.
type dealt struct {
	at    time.Time
	crash Crash
}

func newCrashes(pending []Crash) *crashes {
	return &crashes{pending: pending, reached: map[Point]int{}, struck: map[Point]map[Blow]int{}}
}

// reach notes that a process has reached a point and returns the blow that is due there. Each is dealt once.
func (c *crashes) reach(at Point) (Crash, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached[at]++
	for i, crash := range c.pending {
		if crash.At != at || c.reached[at] < crash.Nth {
			continue
		}
		c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
		if c.struck[at] == nil {
			c.struck[at] = map[Blow]int{}
		}
		c.struck[at][crash.Blow]++
		c.dealt = append(c.dealt, dealt{time.Now(), crash})
		return crash, true
	}
	return Crash{}, false
}
