package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

// waiters are servers of which nobody knows whether their change may still come, after one attempt each.
func waiters(n int) rollout.Progress {
	var p rollout.Progress
	for i := range n {
		disk := rollout.Fingerprint{VolumeID: fmt.Sprint(i)}
		p.Failures = append(p.Failures, rollout.ServerProgress{ID: fmt.Sprint(i), End: rollout.FailedChanged, Attempts: 1, Before: disk, After: disk})
	}
	return p
}

// counting is asked what nobody has said but of the settled, and takes a while for it.
type counting struct {
	sync.Mutex
	takes   time.Duration
	settled map[string]bool
	err     error
	asked   map[string]int
}

func (c *counting) ask(ctx context.Context, _, serverID string) (progressview.Outlook, error) {
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		return progressview.MayCome, ctx.Err()
	}
	c.Lock()
	defer c.Unlock()
	c.asked[serverID]++
	if c.settled[serverID] {
		return progressview.NothingComes, c.err
	}
	return progressview.UnderWay, c.err
}

func settledOf(known map[string]progressview.Outlook) (n int) {
	for _, of := range known {
		if of == progressview.NothingComes {
			n++
		}
	}
	return n
}

// TestOutlookerGetsToEverybody, however slowly it is told, and does not ask again what it has been told.
func TestOutlookerGetsToEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := waiters(60)
		c := &counting{takes: 700 * time.Millisecond, settled: map[string]bool{}, asked: map[string]int{}}
		for i := range 60 {
			c.settled[fmt.Sprint(i)] = i != 7
		}
		s := newOutlooker(c.ask)
		first := s.of(t.Context(), p, 2*time.Second)
		assert.Equal(t, 10, settledOf(first)+1, "five at a time, as far as the patience goes")
		known := first
		for range 3 { // an answer that was not awaited is asked for again like one that was
			for range 6 {
				known = s.of(t.Context(), p, 2*time.Second)
			}
			time.Sleep(outlookInterval)
		}
		assert.Equal(t, 59, settledOf(known))
		assert.Equal(t, progressview.UnderWay, known["7"])
		assert.Equal(t, 3, c.asked["7"], "it waits, and may not for ever")
		assert.Equal(t, 1, c.asked["8"])

		p.Failures[8].Attempts = 2
		assert.Equal(t, progressview.MayCome, s.of(t.Context(), p, 0)["8"], "that was another attempt")
	})
}

// TestOutlookerAsksEverybodyInTurn, also when it is told nothing in time, and nobody twice in a short time.
func TestOutlookerAsksEverybodyInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{takes: 3 * time.Second, settled: map[string]bool{}, asked: map[string]int{}}
		begun := map[string]int{}
		s := newOutlooker(func(ctx context.Context, project, serverID string) (progressview.Outlook, error) {
			c.Lock()
			begun[serverID]++
			c.Unlock()
			return c.ask(ctx, project, serverID)
		})
		for range 12 {
			s.of(t.Context(), waiters(60), 2*time.Second)
		}
		assert.Len(t, begun, 60)
		for range 12 {
			s.of(t.Context(), waiters(60), 2*time.Second)
		}
		for id, n := range begun {
			assert.LessOrEqual(t, n, 2, id)
		}
		time.Sleep(outlookInterval)
		s.of(t.Context(), waiters(60), 10*time.Minute)
		assert.Len(t, c.asked, 60)
	})
}

// TestOutlookerThatIsNotTold does not take a word back, and takes no silence for one.
func TestOutlookerThatIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{settled: map[string]bool{"0": true}, asked: map[string]int{}}
		s := newOutlooker(c.ask)
		assert.Equal(t, map[string]progressview.Outlook{"0": progressview.NothingComes, "1": progressview.UnderWay}, s.of(t.Context(), waiters(2), time.Second))
		c.err = errors.New("down")
		c.settled["1"] = true
		time.Sleep(outlookInterval)
		assert.Equal(t, map[string]progressview.Outlook{"0": progressview.NothingComes, "1": progressview.UnderWay}, s.of(t.Context(), waiters(2), time.Second))
		c.err = nil
		time.Sleep(outlookInterval)
		assert.Equal(t, map[string]progressview.Outlook{"0": progressview.NothingComes, "1": progressview.NothingComes}, s.of(t.Context(), waiters(2), time.Second))
	})
}
