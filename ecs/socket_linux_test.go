package ecs

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWritesAreDroppedWithTheirConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	conn, err := dialDroppable(newDialer(30*time.Second))(context.Background(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	peer, err := listener.Accept()
	require.NoError(t, err)
	defer peer.Close()

	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	var timeout int
	require.NoError(t, raw.Control(func(fd uintptr) {
		timeout, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}))
	require.NoError(t, err)
	assert.Equal(t, 30_000, timeout, "milliseconds")

	require.NoError(t, conn.Close())
	_, err = io.ReadAll(peer)
	assert.ErrorIs(t, err, syscall.ECONNRESET, "the connection is aborted, not ended")
}
