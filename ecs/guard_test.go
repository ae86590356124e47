package ecs_test

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// frozenClock is the clock of a worker that can be frozen.
type frozenClock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *frozenClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *frozenClock) freeze(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// freezingConn calls after once, when it has passed on that many writes.
type freezingConn struct {
	net.Conn
	writes int
	after  func(writes int)
}

func (c *freezingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.writes++
	c.after(c.writes)
	return n, err
}

func dialThen(then func(net.Conn) net.Conn) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return then(conn), nil
	}
}

func TestFrozenWorkerCannotSendLate(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, test := range []struct {
			name   string
			frozen time.Duration
			want   ecs.OutcomeKind
			sent   int
		}{
			{"not frozen", 0, ecs.Accepted, 1},
			{"frozen for less than the deadline", 10 * time.Second, ecs.Accepted, 1},
			{"frozen past the deadline", 31 * time.Second, ecs.NotSent, 0},
			{"frozen for a day", 24 * time.Hour, ecs.NotSent, 0},
		} {
			name := "plain, "
			if secure {
				name = "TLS, "
			}
			t.Run(name+test.name, func(t *testing.T) {
				var clock frozenClock
				cloud := unstartedCloud(t, answering(200, `{"job_id":"`+jobID+`"}`))
				c := secured(cloud, secure)
				c.Now = clock.now
				c.Dial = dialThen(func(conn net.Conn) net.Conn {
					clock.freeze(test.frozen) // between the decision to send and the first byte
					return conn
				})
				out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
				assert.Equal(t, test.want, out.Kind, "%v", out.Err)
				assert.Len(t, cloud.seen(), test.sent)
			})
		}
	}
}

func TestFrozenInTheMiddleOfARequestIsUnknown(t *testing.T) {
	var clock frozenClock
	cloud := unstartedCloud(t, answering(200, `{"job_id":"`+jobID+`"}`))
	c := secured(cloud, false)
	c.Now = clock.now
	c.Dial = dialThen(func(conn net.Conn) net.Conn {
		return &freezingConn{Conn: conn, after: func(writes int) {
			if writes == 1 {
				clock.freeze(time.Hour)
			}
		}}
	})
	request := rootRequest()
	request.UserData = ecs.NewSecret(string(make20KB()))
	out := newClient(t, c).ChangeOS(context.Background(), serverID, request)
	assert.Equal(t, ecs.Unknown, out.Kind, "%v", out.Err)
	assert.Empty(t, cloud.seen(), "the rest of the request was held back")
}

func make20KB() []byte {
	data := make([]byte, 20<<10)
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	return data
}

func TestEitherClockEndsTheDeadline(t *testing.T) {
	start := time.Now()
	for name, later := range map[string]time.Time{
		"both clocks":              start.Add(time.Minute),
		"suspended machine":        withMonotonic(start.Add(time.Minute), -time.Minute),
		"wall clock set back":      withMonotonic(start, time.Minute),
		"wall clock set far back":  withMonotonic(start.Add(-time.Hour), time.Hour+time.Minute),
		"a clock with a wall only": start.Round(0).Add(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			now := start
			cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
			c := secured(cloud, false)
			c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			c.Dial = dialThen(func(conn net.Conn) net.Conn {
				mu.Lock()
				defer mu.Unlock()
				now = later
				return conn
			})
			out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
			assert.Equal(t, ecs.NotSent, out.Kind, "%v", out.Err)
			assert.Empty(t, cloud.seen())
		})
	}
}

// withMonotonic moves only the monotonic reading of a time, which package time offers no way to do: a
// time.Time with such a reading keeps it, in nanoseconds, in its second word.
func withMonotonic(t time.Time, move time.Duration) time.Time {
	moved := t
	(*[2]int64)(unsafe.Pointer(&moved))[1] += int64(move)
	if moved.Sub(t) != move || !moved.Round(0).Equal(t.Round(0)) {
		panic("package time has changed how it keeps a monotonic reading")
	}
	return moved
}

func TestEarlierDeadlineOfTheCallerCounts(t *testing.T) {
	var clock frozenClock
	cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
	c := secured(cloud, false)
	c.Now = clock.now
	c.Dial = dialThen(func(conn net.Conn) net.Conn {
		clock.freeze(10 * time.Minute)
		return conn
	})
	c.RequestTimeout = time.Hour
	client := newClient(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	assert.Equal(t, ecs.NotSent, client.ChangeOS(ctx, serverID, rootRequest()).Kind)
	assert.Empty(t, cloud.seen())
}

// TestEveryReadIsGuardedAfresh: a connection that is used again takes the deadline of its new request.
func TestEveryReadIsGuardedAfresh(t *testing.T) {
	var clock frozenClock
	cloud := unstartedCloud(t, answering(200, `{"server":{"status":"ACTIVE"}}`))
	c := secured(cloud, true)
	c.Now = clock.now
	client := newClient(t, c)
	for range 3 {
		_, err := client.Server(context.Background(), serverID)
		require.NoError(t, err)
		clock.freeze(time.Hour)
	}
	assert.Equal(t, 1, cloud.connections())
}

// secured starts the cloud and returns the configuration for it.
func secured(c *cloud, secure bool) ecs.Config {
	if !secure {
		c.Start()
		return config(c.URL)
	}
	c.StartTLS()
	conf := config(c.URL)
	conf.RootCAs = x509.NewCertPool()
	conf.RootCAs.AddCert(c.Certificate())
	return conf
}
