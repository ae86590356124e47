//go:build !linux

package ecs

import (
	"syscall"
	"time"
)

// boundRetransmission exists on Linux only; elsewhere the kernel's own limits apply.
func boundRetransmission(time.Duration) func(network, address string, raw syscall.RawConn) error {
	return nil
}
