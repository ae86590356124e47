package engine_test

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// durations are log-normal with a median of 5 minutes and a sigma of 0.47: p99 is near 15 minutes.
func durations(n int, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, seed))
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(float64(5*time.Minute) * math.Exp(0.47*random.NormFloat64()))
	}
	return all
}

// landings are the servers in flight, by the time at which they end.
type landings []flight

func (l landings) Len() int           { return len(l) }
func (l landings) Less(i, j int) bool { return l[i].at.Before(l[j].at) }
func (l landings) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *landings) Push(x any)        { *l = append(*l, x.(flight)) }
func (l *landings) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

// run plays a whole rollout, one event a decision, and returns how long it took.
func run(t testing.TB, p rollout.Plan, took []time.Duration) time.Duration {
	now := day()
	e := engine.New(p, "ann", now)
	var air landings
	for {
		d := e.Advance(now)
		if d.Over {
			require.Equal(t, len(p.Servers), e.Counts().Done)
			return now.Sub(day())
		}
		for _, start := range d.Start {
			heap.Push(&air, flight{server: start.Server, at: now.Add(took[start.Server])})
		}
		landed := heap.Pop(&air).(flight)
		now = landed.at
		e.Finished(landed.server, engine.Outcome{End: rollout.Done}, now)
	}
}

// TestMakespan compares the window of the engine with the least time in which so many slots can do the work:
// the longest server, or all of it spread evenly. An ideal greedy schedule takes whatever server is next as
// soon as a slot is free.
func TestMakespan(t *testing.T) {
	const n, slots = 300, 50
	for seed := range uint64(5) {
		took := durations(n, seed)
		var sum, longest time.Duration
		for _, d := range took {
			sum, longest = sum+d, max(longest, d)
		}
		least, greedy := max(longest, sum/slots), listSchedule(took, slots)
		got := run(t, plan(n, slots, 0), took)
		t.Logf("seed %d: %d servers, %d in flight: %s, lower bound %s (ratio %.3f), greedy %s (ratio %.3f)", seed, n, slots,
			got.Round(time.Second), least.Round(time.Second), float64(got)/float64(least), greedy.Round(time.Second), float64(got)/float64(greedy))
		assert.Equal(t, greedy, got, "a slot stood empty while a server was pending")
	}
}

// listSchedule is how long the greedy schedule takes: each server in turn goes to the slot that is free first.
func listSchedule(took []time.Duration, slots int) time.Duration {
	free := make([]time.Duration, slots)
	var end time.Duration
	for _, d := range took {
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		free[first] += d
		end = max(end, free[first])
	}
	return end
}

// BenchmarkRollout plays a rollout of 10,000 servers with 200 in flight, in zones and groups.
func BenchmarkRollout(b *testing.B) {
	const n = 10_000
	p := fleet(n)
	p.Caps.InFlight = 200
	p.Waves = []rollout.Wave{{Name: "canary", End: 10}, {Name: "early", End: 1000}, {Name: "rest", End: n}}
	for i := range p.Servers {
		p.Servers[i].Zone, p.Servers[i].Group = string(rune('a'+i%3)), string(rune('a'+i%20))
	}
	p.Caps.Zones, p.Caps.Groups = capped("", "abc", 200), capped("", "abcdefghijklmnopqrst", 200)
	for i := range p.Caps.Zones {
		p.Caps.Zones[i].Cap = 80
	}
	for i := range p.Caps.Groups {
		p.Caps.Groups[i].Cap = 40
	}
	took := durations(n, 1)
	b.ReportAllocs()
	for b.Loop() {
		run(b, p, took)
	}
}
