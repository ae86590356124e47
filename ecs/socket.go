package ecs

import (
	"context"
	"net"
	"time"
)

// newDialer gives up with the request: nobody waits for the connection longer. Data that the network
// does not take in that time is dropped by the kernel where it can (see boundRetransmission).
func newDialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: boundRetransmission(timeout)}
}

// dialDroppable makes connections that drop unsent data when they are closed or their process is
// killed. Otherwise the kernel keeps a request that the network did not take and delivers it minutes
// after everybody gave it up: a change of OS that comes late.
func dialDroppable(dialer *net.Dialer) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			if err := tcp.SetLinger(0); err != nil {
				_ = conn.Close()
				return nil, err
			}
		}
		return conn, nil
	}
}
