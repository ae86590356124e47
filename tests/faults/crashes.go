package faults

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// crashes counts how often each crash point is reached, and finds the blows of a schedule that are due there.
type crashes struct {
	mu      sync.Mutex
	pending []Crash
	reached map[place]int
	struck  map[Point]map[Blow]int
	dealt   []dealt
}

// place is a point, and the server on whose behalf it is reached: empty for any.
type place struct {
	Point
	server string
}

// dealt is a blow that was dealt.
type dealt struct {
	at    time.Time
	crash Crash
}

func newCrashes(pending []Crash) *crashes {
	return &crashes{pending: pending, reached: map[place]int{}, struck: map[Point]map[Blow]int{}}
}

// reach notes that a process has reached a point and returns the blow that is due there. Each is due once.
func (c *crashes) reach(at Point, server string) (Crash, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached[place{at, ""}]++
	if server != "" {
		c.reached[place{at, server}]++
	}
	for i, crash := range c.pending {
		if crash.At != at || crash.Server != "" && crash.Server != server || c.reached[place{at, crash.Server}] < crash.Nth {
			continue
		}
		c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
		return crash, true
	}
	return Crash{}, false
}

// account is what was dealt until now: somebody may still be at it.
func (c *crashes) account() (all []dealt, struck map[Point]map[Blow]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	struck = map[Point]map[Blow]int{}
	for point, blows := range c.struck {
		struck[point] = maps.Clone(blows)
	}
	return slices.Clone(c.dealt), struck
}

// count notes a blow that a living process was dealt.
func (c *crashes) count(crash Crash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.struck[crash.At] == nil {
		c.struck[crash.At] = map[Blow]int{}
	}
	c.struck[crash.At][crash.Blow]++
	c.dealt = append(c.dealt, dealt{time.Now(), crash})
}
