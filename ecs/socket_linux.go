package ecs

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of <netinet/tcp.h>, in milliseconds.
const tcpUserTimeout = 18

// boundRetransmission makes the kernel abort a connection whose data stays unacknowledged for longer
// than the request may take. A frozen process cannot do that by itself. A kernel without the option
// keeps its own, longer limits.
func boundRetransmission(timeout time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(timeout.Milliseconds()))
		})
	}
}
