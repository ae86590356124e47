package ecs_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

var errRecalled = errors.New("the rollout was aborted")

// TestAWriteThatItsCheckRefusesIsNotSent: no connection is made for it.
func TestAWriteThatItsCheckRefusesIsNotSent(t *testing.T) {
	cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
	client := newClient(t, secured(cloud, false))
	refused := ecs.WithWriteCheck(t.Context(), func(context.Context) (time.Time, error) { return time.Time{}, errRecalled })
	for name, out := range map[string]ecs.Outcome{
		"changeos": client.ChangeOS(refused, serverID, rootRequest()),
		"stop":     client.StopServers(refused, []string{serverID}, ecs.StopSoft),
	} {
		assert.Equal(t, ecs.NotSent, out.Kind, name)
		assert.ErrorIs(t, out.Err, errRecalled, name)
	}
	assert.Zero(t, cloud.connections())

	_, err := client.Server(refused, serverID)
	assert.NotErrorIs(t, err, errRecalled, "reads have no check")
	assert.Len(t, cloud.seen(), 1)
}

// TestAWriteBeginsBeforeItsCheckExpires: the connection may be slow, and the rest of a long request may be.
func TestAWriteBeginsBeforeItsCheckExpires(t *testing.T) {
	for name, test := range map[string]struct {
		connecting, writing time.Duration
		want                ecs.OutcomeKind
	}{
		"at once":                {0, 0, ecs.Accepted},
		"slow connection":        {3 * time.Second, 0, ecs.NotSent},
		"slow after its begin":   {0, 3 * time.Second, ecs.Accepted},
		"past the deadline, too": {0, time.Minute, ecs.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			var clock frozenClock
			cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
			c := secured(cloud, false)
			c.Now = clock.now
			c.Dial = dialThen(func(conn net.Conn) net.Conn {
				clock.freeze(test.connecting)
				return &freezingConn{Conn: conn, after: func(writes int) {
					if writes == 1 {
						clock.freeze(test.writing)
					}
				}}
			})
			ctx := ecs.WithWriteCheck(t.Context(), func(context.Context) (time.Time, error) { return clock.now().Add(2 * time.Second), nil })
			request := rootRequest()
			request.UserData = ecs.NewSecret(string(make20KB()))
			out := newClient(t, c).ChangeOS(ctx, serverID, request)
			require.Equal(t, test.want, out.Kind, "%v", out.Err)
		})
	}
}

// TestTheCheckRunsWhenTheWriteHasItsTurn: what was true before the wait may not be any more.
func TestTheCheckRunsWhenTheWriteHasItsTurn(t *testing.T) {
	cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
	c := secured(cloud, false)
	c.CallsPerSecond = ecs.MinCallsPerSecond
	client := newClient(t, c)
	begun := time.Now()
	var checked time.Time
	ctx := ecs.WithWriteCheck(t.Context(), func(context.Context) (time.Time, error) { checked = time.Now(); return time.Time{}, nil })
	for range 2 {
		require.Equal(t, ecs.Accepted, client.ChangeOS(ctx, serverID, rootRequest()).Kind)
	}
	assert.Greater(t, checked.Sub(begun), 500*time.Millisecond)
}
