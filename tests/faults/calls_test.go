package faults_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
)

const (
	// callsPerSecond is what the cloud bears in these tests: the default of the worker.
	callsPerSecond = 20
	// fleet is the number of servers for which the calls are counted.
	fleet = 500
)

// calm is how a rollout went in which nothing goes wrong.
type calm struct{ faults.Outcome }

func rollCalmly(t *testing.T, servers, inFlight int, change emulator.Span) calm {
	t.Helper()
	return roll(t, faults.Calm(servers, inFlight, callsPerSecond, change), servers)
}

// roll runs a schedule that must end with all servers done.
func roll(t *testing.T, schedule faults.Schedule, servers int) calm {
	t.Helper()
	var c calm
	synctest.Test(t, func(t *testing.T) {
		var err error
		c.Outcome, err = faults.Run(context.Background(), schedule)
		require.NoError(t, err)
	})
	require.Empty(t, c.Violations)
	require.Equal(t, map[rollout.ServerEnd]int{rollout.Done: servers}, c.Ends)
	require.Len(t, c.Delays, servers)
	return c
}

func (c calm) perServer() float64 {
	all := 0
	for _, n := range c.Requests {
		all += n
	}
	return float64(all) / float64(c.Servers)
}

func (c calm) median() time.Duration { return c.Delays[len(c.Delays)/2] }

// String says what was called how often for each server.
func (c calm) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d servers in %s: %.2f calls each, noticed after %s (median; 9 in 10 within %s), %d calls throttled\n",
		c.Servers, c.Took, c.perServer(), c.median(), c.Delays[len(c.Delays)*9/10], c.Throttled)
	for _, at := range slices.Sorted(maps.Keys(c.Requests)) {
		fmt.Fprintf(&b, "%8.2f  %s\n", float64(c.Requests[at])/float64(c.Servers), at)
	}
	return b.String()
}

// TestFewCalls: at most ten calls for a server, from the first look to the proof, the end of its job noticed within
// three seconds, and not one call more than the cloud bears.
func TestFewCalls(t *testing.T) {
	tests := map[string]struct {
		inFlight int
		change   emulator.Span
	}{
		"a tenth of them at a time": {fleet / 10, emulator.Span{Median: 90 * time.Second}},
		"all of them at a time":     {fleet, emulator.Span{Median: 90 * time.Second, Spread: 10 * time.Second}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := rollCalmly(t, fleet, test.inFlight, test.change)
			t.Log(c)
			assert.LessOrEqual(t, c.perServer(), 10.0)
			assert.LessOrEqual(t, c.median(), 3*time.Second)
			assert.Zero(t, c.Throttled)
		})
	}
}

// TestJobsThatTrailBehindTheirServers by 3 to 9 seconds cost one call more, and are noticed some 10 seconds later.
func TestJobsThatTrailBehindTheirServers(t *testing.T) {
	schedule := faults.Calm(180, 90, callsPerSecond, emulator.Span{Median: 90 * time.Second, Spread: 10 * time.Second})
	schedule.Cloud.Timing.Lead = emulator.Span{Median: 6 * time.Second, Spread: 3 * time.Second}
	c := roll(t, schedule, 180)
	t.Log(c)
	assert.LessOrEqual(t, c.perServer(), 11.0)
	assert.LessOrEqual(t, c.median(), 17*time.Second, "after the server was done")
	assert.Zero(t, c.Throttled)
}

// TestWaitingIsNoFailure: on a cloud that allows little, healthy servers wait, and all of them are done.
func TestWaitingIsNoFailure(t *testing.T) {
	change := emulator.Span{Median: 90 * time.Second, Spread: 10 * time.Second}
	limited := func(servers, inFlight, calls, after int) faults.Schedule {
		s := faults.Calm(servers, inFlight, callsPerSecond, change)
		s.Cloud.Faults = []emulator.Fault{{
			Op: emulator.OpChangeOS, Kind: emulator.Throttle, After: after, Times: 1,
			Message: fmt.Sprintf("The throttling threshold has been reached: policy user over ratelimit,limit:%d,time:1 minute", calls),
		}}
		return s
	}
	for name, schedule := range map[string]faults.Schedule{
		"ten changes of OS a minute":      limited(100, 25, 10, 20),
		"200 changes of OS a minute":      limited(300, 300, 200, 0),
		"three calls a second altogether": faults.Calm(100, 100, 3, change),
	} {
		t.Run(name, func(t *testing.T) { t.Log(roll(t, schedule, schedule.Cloud.Servers)) })
	}
}

// BenchmarkFewCalls measures what TestFewCalls demands, with less and more to do at a time. All of it is simulated: the
// time of the machine says nothing.
func BenchmarkFewCalls(b *testing.B) {
	for _, inFlight := range []int{1, 50, 100, 500} {
		for _, spread := range []time.Duration{0, 10 * time.Second, 30 * time.Second} {
			b.Run(fmt.Sprintf("in-flight=%d/change=90s±%s", inFlight, spread), func(b *testing.B) {
				for b.Loop() {
					servers := fleet
					if inFlight == 1 {
						servers = 20
					}
					var c calm
					inTest(b, func(t *testing.T) {
						c = rollCalmly(t, servers, inFlight, emulator.Span{Median: 90 * time.Second, Spread: spread})
					})
					b.Log(c)
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(c.perServer(), "calls/server")
					b.ReportMetric(c.median().Seconds(), "s-until-noticed")
					b.ReportMetric(float64(c.Throttled), "throttled")
					b.ReportMetric(c.Took.Seconds(), "s-rollout")
				}
			})
		}
	}
}

// inTest runs a test inside a benchmark: only tests have simulated time.
func inTest(b *testing.B, test func(t *testing.T)) {
	b.Helper()
	everything := func(_, _ string) (bool, error) { return true, nil }
	if !testing.RunTests(everything, []testing.InternalTest{{Name: b.Name(), F: test}}) {
		b.Fatal("the rollout was not a calm one")
	}
}
