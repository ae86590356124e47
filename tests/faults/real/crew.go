package real

import (
	"context"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/tests/harness"
)

// crew are the workers of one rollout, each with connections of its own, and what happens to them.
type crew struct {
	lab   *harness.Lab
	dice  *dice
	tally *Tally

	mu      sync.Mutex
	members []*member // in the order in which they came
	under   sync.WaitGroup
}

type member struct {
	*stack.Worker
	cloud, temporal *Link
	frozen          bool
	leaves          bool // its end is nothing to wonder about
}

// mostMembers is how many workers a machine of two cores bears for one rollout.
const mostMembers = 3

// work lets the troubles happen, one after the other and each in its own time, until ctx ends. Then it mends
// everything and makes sure that somebody works.
func (c *crew) work(ctx context.Context, troubles []Trouble) {
	for _, trouble := range troubles {
		if !pause(ctx, trouble.After) {
			break
		}
		c.strike(ctx, trouble)
	}
	<-ctx.Done()
	c.under.Wait()
	if c.awake() == nil {
		c.hire()
	}
}

// pause is false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *crew) strike(ctx context.Context, trouble Trouble) {
	m := c.awake()
	if m == nil {
		return
	}
	after := func(do func()) { c.under.Go(func() { pause(ctx, trouble.For); do() }) }
	mend := func(links ...*Link) {
		after(func() {
			for _, link := range links {
				link.Mend()
			}
		})
	}
	delay := c.dice.between(100*time.Millisecond, 900*time.Millisecond)
	switch trouble.Kind {
	case Kill:
		c.dismiss(m, m.Kill)
		after(c.hire)
	case Absence:
		for ; m != nil; m = c.awake() {
			c.dismiss(m, m.Kill)
		}
		after(c.hire)
	case Terminate:
		c.under.Go(c.hire)
		c.under.Go(func() { c.dismiss(m, m.Stop) })
	case Join:
		c.mu.Lock()
		room := len(c.members) < mostMembers
		c.mu.Unlock()
		if !room {
			return
		}
		c.under.Go(c.hire)
	case Freeze:
		c.freeze(m)
		after(func() { c.thaw(m) })
	case CloudCut:
		m.cloud.Cut()
		mend(m.cloud)
	case CloudSlow:
		m.cloud.Slow(delay)
		mend(m.cloud)
	case CloudHole:
		m.cloud.Hole()
		mend(m.cloud)
	case TemporalCut:
		m.temporal.Cut()
		mend(m.temporal)
	case TemporalSlow:
		m.temporal.Slow(delay)
		mend(m.temporal)
	case TemporalHole:
		m.temporal.Hole()
		mend(m.temporal)
	}
	c.tally.Happened(string(trouble.Kind))
}

// awake gives a worker that is not frozen, nil for none.
func (c *crew) awake() *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var able []*member
	for _, m := range c.members {
		if !m.frozen && !m.leaves {
			able = append(able, m)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[c.dice.IntN(len(able))]
}

// dismiss takes a worker out of the crew and ends it.
func (c *crew) dismiss(m *member, end func() error) {
	c.mu.Lock()
	m.leaves = true
	c.members = slices.DeleteFunc(c.members, func(other *member) bool { return other == m })
	c.mu.Unlock()
	_ = end() // it may have gone before
}

// freeze stops a worker in the middle of whatever it does. Others carry on.
func (c *crew) freeze(m *member) {
	c.mu.Lock()
	m.frozen = true
	c.mu.Unlock()
	_ = m.Signal(syscall.SIGSTOP)
	if c.awake() == nil {
		c.under.Go(c.hire)
	}
}

func (c *crew) thaw(m *member) {
	_ = m.Signal(syscall.SIGCONT)
	c.mu.Lock()
	defer c.mu.Unlock()
	m.frozen = false
}

// hire starts a worker. While there is no Temporal it cannot start, and a supervisor tries again.
func (c *crew) hire() {
	t := c.lab.T
	cloud, err := NewLink(t.Context(), strings.TrimPrefix(c.lab.URL, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(cloud.Close)
	temporal, err := NewLink(t.Context(), c.lab.Temporal.Address)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(temporal.Close)
	for {
		worker, err := c.lab.TryWorker(map[string]string{
			"TEMPORAL_ADDRESS":     temporal.Address(),
			"REIMAGE_ECS_ENDPOINT": "http://" + cloud.Address(), "REIMAGE_IMS_ENDPOINT": "http://" + cloud.Address(),
			"REIMAGE_MAX_LAG": "3s", "REIMAGE_SETTLE_TIME": "7s",
		})
		if err == nil {
			m := &member{Worker: worker, cloud: cloud, temporal: temporal}
			c.mu.Lock()
			c.members = append(c.members, m)
			c.mu.Unlock()
			go c.supervise(m)
			return
		}
		if t.Context().Err() != nil {
			return
		}
		t.Logf("a worker could not start: %v", err)
		pause(t.Context(), 500*time.Millisecond)
	}
}

// supervise replaces a worker that ends by itself, as a supervisor would.
func (c *crew) supervise(m *member) {
	select {
	case <-m.Exited():
	case <-c.lab.T.Context().Done():
		return
	}
	c.mu.Lock()
	expected := m.leaves
	c.mu.Unlock()
	if expected {
		return
	}
	c.tally.Happened("worker ended by itself")
	c.dismiss(m, m.Kill)
	c.hire()
}
