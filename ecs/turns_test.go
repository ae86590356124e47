package ecs_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// counter is a cloud at simulated time that notes when calls arrive, and may refuse them.
type counter struct {
	mu     sync.Mutex
	calls  []time.Time
	writes []time.Time
	answer func(r *http.Request) http.HandlerFunc // nil for a good one
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls = append(c.calls, time.Now())
	if r.Method == http.MethodPost {
		c.writes = append(c.writes, time.Now())
	}
	var refusal http.HandlerFunc
	if c.answer != nil {
		refusal = c.answer(r)
	}
	c.mu.Unlock()
	if refusal != nil {
		refusal(w, r)
		return
	}
	answering(200, `{"job_id":"`+jobID+`","server":{"status":"ACTIVE"}}`)(w, r)
}

// most is the largest number of calls in any one second.
func (c *counter) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := 0
	for i, first := range c.calls {
		n := 0
		for _, at := range c.calls[i:] {
			if at.Sub(first) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// since is how many calls came in a while after a moment.
func (c *counter) since(begin time.Time, d time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, at := range c.calls {
		if at.After(begin) && !at.After(begin.Add(d)) {
			n++
		}
	}
	return n
}

// paced runs the test at simulated time with a client that makes so many calls per second.
func paced(t *testing.T, callsPerSecond int, test func(t *testing.T, client *ecs.Client, cloud *counter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := newPipeNet()
		cloud := &counter{}
		server := &http.Server{Handler: cloud}
		go func() { _ = server.Serve(network) }()
		c := config("http://ecs.example")
		c.Dial, c.CallsPerSecond = network.Dial, callsPerSecond
		client := newClient(t, c)
		test(t, client, cloud)
		client.Close()
		_ = server.Close()
	})
}

// reads makes that many reads at once.
func reads(t *testing.T, client *ecs.Client, n int) *sync.WaitGroup {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			_, err := client.Server(t.Context(), serverID)
			assert.NoError(t, err)
		})
	}
	return &all
}

// keepsReading reads without a break, whatever the answers are, until the end of the context.
func keepsReading(ctx context.Context, client *ecs.Client) {
	for ctx.Err() == nil {
		_, _ = client.Server(ctx, serverID)
	}
}

func TestNeverMoreCallsPerSecond(t *testing.T) {
	for _, calls := range []int{2, 3, 5, 20, 100} {
		paced(t, calls, func(t *testing.T, client *ecs.Client, cloud *counter) {
			begun := time.Now()
			reads(t, client, 10*calls).Wait()
			assert.LessOrEqual(t, cloud.most(), calls)
			assert.Less(t, time.Since(begun), 21*time.Second, "and no less than half of them")
		})
	}
}

// TestCopiesShareTheTurns: it is one limit for one project, whoever reads.
func TestCopiesShareTheTurns(t *testing.T) {
	paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
		begun := time.Now()
		for _, copied := range []*ecs.Client{client, client.Patient(nil), client.Unhurried(), client.Urgent()} {
			reads(t, copied, 50)
		}
		time.Sleep(time.Minute)
		assert.LessOrEqual(t, cloud.most(), 20)
		assert.Equal(t, 195, cloud.since(begun, time.Minute), "and 5 at once")
	})
}

// TestWritesGoFirst: a write, and the look that justifies it, wait for one read at most.
func TestWritesGoFirst(t *testing.T) {
	paced(t, 4, func(t *testing.T, client *ecs.Client, cloud *counter) {
		all := reads(t, client, 300)
		synctest.Wait()
		begun := time.Now()
		for range 3 {
			out := client.ChangeOS(t.Context(), serverID, rootRequest())
			assert.Equal(t, ecs.Accepted, out.Kind, "%v", out.Err)
			_, err := client.Urgent().Server(t.Context(), serverID)
			assert.NoError(t, err)
		}
		assert.Less(t, time.Since(begun), 6*time.Second, "and not 100")
		all.Wait()
	})
}

// TestWhatHasBegunGoesFirst: reads about what has not begun let the others pass, and do not starve.
func TestWhatHasBegunGoesFirst(t *testing.T) {
	paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
		unhurried := reads(t, client.Unhurried(), 300)
		synctest.Wait()
		begun := time.Now()
		reads(t, client, 30).Wait()
		assert.Less(t, time.Since(begun), 5*time.Second, "and not 20")
		unhurried.Wait()
		assert.Less(t, time.Since(begun), 25*time.Second)
	})
}

// TestAWriteWithoutATurnIsNotSent: waiting never makes a write late.
func TestAWriteWithoutATurnIsNotSent(t *testing.T) {
	silence := func(r *http.Request) http.HandlerFunc {
		if r.Method == http.MethodGet {
			return answering(429, ``, "Retry-After", "60")
		}
		return nil
	}
	for name, within := range map[string]time.Duration{"by its own deadline": 0, "by an earlier one": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
				cloud.answer = silence
				_, err := client.Server(t.Context(), serverID)
				assertClass(t, ecs.ClassThrottled, err)
				ctx, want := t.Context(), client.RequestTimeout()
				if within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, within)
					defer cancel()
					want = within
				}
				begun := time.Now()
				out := client.ChangeOS(ctx, serverID, rootRequest())
				assert.Equal(t, ecs.NotSent, out.Kind)
				assert.ErrorIs(t, out.Err, ecs.ErrNoTurn)
				assert.Equal(t, ecs.CauseLimit, out.Err.Cause())
				assert.ErrorContains(t, out.Err, "it did not get its turn in time")
				assert.ErrorContains(t, out.Err, "(wait until less is under way, or allow more calls per second")
				assert.Equal(t, want, time.Since(begun))
				time.Sleep(time.Hour)
				assert.Empty(t, cloud.writes, "nor later")
			})
		})
	}
}

// TestAReadIsDatedByItsTurn: what it shows is no older than that, however long it has waited.
func TestAReadIsDatedByItsTurn(t *testing.T) {
	paced(t, 2, func(t *testing.T, client *ecs.Client, _ *counter) {
		all := reads(t, client, 100)
		synctest.Wait()
		begun := time.Now()
		server, err := client.Server(t.Context(), serverID)
		require.NoError(t, err)
		assert.Greater(t, time.Since(begun), client.RequestTimeout())
		assert.Equal(t, time.Now(), server.AsOf)
		all.Wait()
	})
}

// TestSlowsDown: half the pace after a throttled call, however many calls were under way.
func TestSlowsDown(t *testing.T) {
	for name, refusal := range map[string]http.HandlerFunc{
		"the gateway":                 answering(429, `{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached"}`),
		"the gateway of older clouds": answering(429, `{"error_code":"APIG.0308","error_msg":"m"}`),
		"the service":                 answering(503, `{"error":{"code":"Common.1503","message":"m"}}`),
		"behind a success":            answering(202, `{"error":{"code":"Common.0024","message":"m"}}`),
		"nothing but a status":        answering(429, ``),
	} {
		t.Run(name, func(t *testing.T) {
			afterAThrottledBurst(t, refusal, 15*time.Second, func(t *testing.T, callsFrom func(time.Duration) int) {
				assert.InDelta(t, 75, callsFrom(2*time.Second), 10, "half of 15 a second")
			})
		})
	}
}

// TestRecovers: by and by.
func TestRecovers(t *testing.T) {
	afterAThrottledBurst(t, answering(429, ``), 11*time.Minute, func(t *testing.T, callsFrom func(time.Duration) int) {
		assert.InDelta(t, 105, callsFrom(2*time.Minute), 10)
		assert.InDelta(t, 150, callsFrom(10*time.Minute), 5)
	})
}

// afterAThrottledBurst has a client read without a break, from a cloud that refuses the first half second. The test
// is told how many calls arrived in the ten seconds from any time on.
func afterAThrottledBurst(t *testing.T, refusal http.HandlerFunc, d time.Duration, test func(t *testing.T, callsFrom func(time.Duration) int)) {
	t.Helper()
	paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
		begun := time.Now()
		cloud.answer = func(*http.Request) http.HandlerFunc {
			if time.Since(begun) < time.Second/2 {
				return refusal
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for range 5 {
			readers.Go(func() { keepsReading(ctx, client) })
		}
		time.Sleep(d)
		cancel()
		readers.Wait()
		test(t, func(after time.Duration) int { return cloud.since(begun.Add(after), 10*time.Second) })
	})
}

// TestKeepsToTheLimitThatTheCloudNames: 200 calls a minute are 3.3 a second.
func TestKeepsToTheLimitThatTheCloudNames(t *testing.T) {
	const text = `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 minute","error_code":"APIGW.0308"}`
	paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
		var window []time.Time // of the gateway, which counts what it refuses too
		refused := 0
		cloud.answer = func(*http.Request) http.HandlerFunc {
			now := time.Now()
			window = append(window, now)
			for now.Sub(window[0]) >= time.Minute {
				window = window[1:]
			}
			if len(window) > 200 {
				refused++
				return answering(429, text)
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Minute, cancel)
		begun := time.Now()
		keepsReading(ctx, client)
		assert.Equal(t, 1, refused, "once is enough to know")
		assert.Zero(t, cloud.since(begun.Add(14*time.Second), 50*time.Second), "silence until the quota is whole again")
		assert.InDelta(t, 150, cloud.since(begun.Add(10*time.Minute), time.Minute), 5)
	})
}

// TestALimitIsThatOfOneAPI: one of a few changes of OS a minute slows down nothing else, and changes of all servers.
func TestALimitIsThatOfOneAPI(t *testing.T) {
	const text = `{"error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute","error_code":"APIGW.0308"}`
	const other = "6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"
	paced(t, 20, func(t *testing.T, client *ecs.Client, cloud *counter) {
		cloud.answer = func(r *http.Request) http.HandlerFunc {
			if r.Method == http.MethodPost && len(cloud.writes) == 1 {
				return answering(429, text)
			}
			return nil
		}
		out := client.ChangeOS(t.Context(), serverID, rootRequest())
		assert.Equal(t, ecs.Throttled, out.Kind)
		begun := time.Now()
		reads(t, client, 155).Wait()
		assert.InDelta(t, 10*time.Second, time.Since(begun), float64(time.Second), "at the full pace")

		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Minute)
		defer cancel()
		for ctx.Err() == nil {
			_ = client.ChangeOS(ctx, other, rootRequest())
			time.Sleep(time.Second)
		}
		assert.InDelta(t, 30*7.5, len(cloud.writes)-1, 2, "three quarters of the limit, after a minute of silence")
	})
}

func TestTooFewCallsPerSecond(t *testing.T) {
	for _, calls := range []int{-1, 1} {
		c := config("https://ecs.example")
		c.CallsPerSecond = calls
		_, err := ecs.New(c)
		require.Error(t, err)
		assert.ErrorContains(t, err, "calls per second are too few: at least 2")
	}
}
