package ecs

import (
	"net"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNotSentCannotBeSentAfterwards: the transport writes in a goroutine of its own, which may come to
// it only after the call has returned and was reported as not sent.
func TestNotSentCannotBeSentAfterwards(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	d := &delivery{now: time.Now, deadline: time.Now().Add(time.Hour)}
	conn := &guardedConn{Conn: here}
	d.trace().GotConn(httptrace.GotConnInfo{Conn: conn})

	require.False(t, d.finish())
	_, err := conn.Write([]byte("x"))
	assert.ErrorIs(t, err, errGivenUp)
}

func TestUnguardedConnectionIsClosed(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	d := &delivery{now: time.Now, deadline: time.Now().Add(time.Hour)}
	d.trace().GotConn(httptrace.GotConnInfo{Conn: here})
	_, err := here.Write([]byte("x"))
	assert.Error(t, err)
}
