package change_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

var proofAt = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func httpCheck(after, stable, within time.Duration) rollout.HealthCheck {
	return rollout.HealthCheck{Type: rollout.CheckHTTP, Port: 80, Path: "/", After: after, StableFor: stable, Within: within}
}

// watched plays a watch: what the checks answer after so long. It returns the verdict and how long it took.
func watched(t require.TestingT, in change.HealthInput, begin time.Duration, answer func(check int, after time.Duration) bool) (change.HealthVerdict, time.Duration) {
	in.Since = proofAt
	now := proofAt.Add(begin)
	watch := change.NewHealthWatch(in, change.Timing{Poll: 10 * time.Second}, now)
	next := watch.Begin()
	for range 100_000 {
		now = now.Add(next.Wait)
		require.NotEmpty(t, next.Probe)
		probes := make([]change.Probe, len(next.Probe))
		for i, check := range next.Probe {
			probes[i] = change.Probe{Healthy: answer(check, now.Sub(proofAt)), Reason: "status 503"}
		}
		if next = watch.Observe(next.Probe, probes, now); next.Finished {
			return next.Verdict, now.Sub(proofAt)
		}
	}
	require.Fail(t, "the watch has no end")
	return change.HealthVerdict{}, 0
}

func TestHealthWatch(t *testing.T) {
	from := func(up time.Duration) func(int, time.Duration) bool {
		return func(_ int, after time.Duration) bool { return after >= up }
	}
	one := []rollout.HealthCheck{httpCheck(0, 30*time.Second, 2*time.Minute)}
	for name, c := range map[string]struct {
		checks  []rollout.HealthCheck
		begin   time.Duration
		answer  func(int, time.Duration) bool
		healthy bool
		took    time.Duration
	}{
		"at once":                        {one, 0, from(0), true, 30 * time.Second},
		"after a while":                  {one, 0, from(time.Minute), true, 90 * time.Second},
		"just in time, and has its time": {one, 0, from(2 * time.Minute), true, 2*time.Minute + 30*time.Second},
		"never":                          {one, 0, from(time.Hour), false, 2 * time.Minute},
		"flaps":                          {one, 0, func(_ int, after time.Duration) bool { return int(after.Seconds())/10%2 == 0 }, false, 3*time.Minute + 10*time.Second},
		"one lost packet after its time": {[]rollout.HealthCheck{one[0], httpCheck(3*time.Minute, 10*time.Second, 5*time.Minute)}, 0, func(check int, after time.Duration) bool { return check == 1 || after != 150*time.Second }, true, 190 * time.Second},
		"an attempt long after its time": {one, time.Hour, from(0), true, time.Hour + 30*time.Second},
		"an unhealthy one long after":    {one, time.Hour, from(2 * time.Hour), false, time.Hour + 20*time.Second},
		"is left alone first":            {[]rollout.HealthCheck{httpCheck(time.Minute, 30*time.Second, 5*time.Minute)}, 0, from(0), true, 90 * time.Second},
		"all at the same time":           {[]rollout.HealthCheck{one[0], httpCheck(time.Minute, 20*time.Second, 5*time.Minute)}, 0, from(0), true, 80 * time.Second},
		"one of two fails":               {[]rollout.HealthCheck{one[0], one[0]}, 0, func(check int, _ time.Duration) bool { return check == 0 }, false, 2 * time.Minute},
		"the first dies while the second waits": {
			[]rollout.HealthCheck{one[0], httpCheck(3*time.Minute, 10*time.Second, 5*time.Minute)}, 0,
			func(check int, after time.Duration) bool { return check == 1 || after < 150*time.Second }, false, 170 * time.Second,
		},
	} {
		verdict, took := watched(t, change.HealthInput{Checks: c.checks}, c.begin, c.answer)
		assert.Equal(t, c.healthy, verdict.Healthy, name)
		assert.Equal(t, c.took, took, name)
		if !c.healthy {
			assert.Contains(t, verdict.Reason, "http :80/: status 503", name)
		}
	}
}

// TestSoakWatch: one lost packet ends nothing, three rounds in a row do, and the end of the soak needs an answer.
func TestSoakWatch(t *testing.T) {
	in := change.HealthInput{Checks: []rollout.HealthCheck{httpCheck(0, 10*time.Second, time.Minute)}, Soak: 2 * time.Minute}
	for name, c := range map[string]struct {
		begin   time.Duration
		answer  func(after time.Duration) bool
		healthy bool
		took    time.Duration
	}{
		"healthy":               {0, func(time.Duration) bool { return true }, true, 2 * time.Minute},
		"two failures":          {0, func(after time.Duration) bool { return after < 30*time.Second || after > 40*time.Second }, true, 2 * time.Minute},
		"dies":                  {0, func(after time.Duration) bool { return after < time.Minute }, false, 80 * time.Second},
		"flaps":                 {0, func(after time.Duration) bool { return int(after.Seconds())/10%3 == 0 }, false, 2*time.Minute + 40*time.Second},
		"dies at the end":       {0, func(after time.Duration) bool { return after < 2*time.Minute }, false, 2*time.Minute + 20*time.Second},
		"an attempt long after": {time.Hour, func(time.Duration) bool { return true }, true, time.Hour + 10*time.Second},
	} {
		verdict, took := watched(t, in, c.begin, func(_ int, after time.Duration) bool { return c.answer(after) })
		assert.Equal(t, c.healthy, verdict.Healthy, name)
		assert.Equal(t, c.took, took, name)
	}
}

// TestHealthWatchEnds: every watch ends within its bound, healthy only if all checks have passed for their time, and unhealthy
// only by an answer that says so at a time when that decides.
func TestHealthWatchEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Second
		}
		var checks []rollout.HealthCheck
		for range rapid.IntRange(1, 3).Draw(t, "checks") {
			c := httpCheck(seconds("after", 0, 60), seconds("stable", 0, 60), 0)
			c.Within = c.After + c.StableFor + seconds("more", 0, 100)
			checks = append(checks, c)
		}
		begin := seconds("begin", 0, 300)
		flips := rapid.SliceOfN(rapid.Bool(), 200, 200).Draw(t, "answers")
		asked := 0
		last := map[int]bool{}
		verdict, took := watched(t, change.HealthInput{Checks: checks}, begin, func(check int, after time.Duration) bool {
			require.GreaterOrEqual(t, after, checks[check].After, "it is left alone")
			last[check] = asked >= len(flips) || flips[asked]
			asked++
			return last[check]
		})
		require.LessOrEqual(t, took, begin+rollout.Health{Checks: checks}.Longest()+60*time.Second)
		for check := range checks {
			if verdict.Healthy {
				require.True(t, last[check])
			}
		}
		if !verdict.Healthy {
			unhealthy := false
			for check, c := range checks {
				answered, ok := last[check]
				unhealthy = unhealthy || ok && !answered && took >= c.Within
			}
			require.True(t, unhealthy)
		}
	})
}
