package ecs

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errTooLate = errors.New("the deadline of the request had passed before it was written")
	errGivenUp = errors.New("the request was given up before it was written")
)

// delivery follows the bytes of one request. It is asked at the moment of every write, so a process
// that was frozen after it decided to send, and thawed much later, cannot send any more.
type delivery struct {
	now      func() time.Time
	deadline time.Time
	beginBy  time.Time // the first byte is written before that or not at all; zero is the deadline

	mu    sync.Mutex
	begun bool // the network was handed at least one byte
	over  bool
}

// admit allows the next bytes to be written, or says why not. Both clocks are compared: the monotonic
// one stands still while a virtual machine is suspended, the wall clock may be set back.
func (d *delivery) admit() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return errGivenUp
	}
	now, until := d.now(), d.deadline
	if !d.begun && !d.beginBy.IsZero() && d.beginBy.Before(until) {
		until = d.beginBy
	}
	if !now.Before(until) || !now.Round(0).Before(until.Round(0)) {
		return errTooLate
	}
	d.begun = true // before the write: how much of a failed write left is anybody's guess
	return nil
}

// finish allows no further byte and tells whether there was one. Without it, a request that was given
// up could still be written by the transport's own goroutine after it was reported as not sent.
func (d *delivery) finish() (begun bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	return d.begun
}

// trace puts the delivery in charge of the connection that the transport chose for the request.
func (d *delivery) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn, ok := guarded(info.Conn)
		if !ok {
			_ = info.Conn.Close() // never write what cannot be stopped
			return
		}
		conn.delivery.Store(d)
	}}
}

// guardedConn asks the delivery in charge before each write. Before the first one is in charge, what is
// written belongs to the connection: TLS handshakes and the greeting of a proxy.
type guardedConn struct {
	net.Conn
	delivery atomic.Pointer[delivery]
}

func (c *guardedConn) Write(p []byte) (int, error) {
	if d := c.delivery.Load(); d != nil {
		if err := d.admit(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// guarded finds the guard below any layers of TLS.
func guarded(conn net.Conn) (*guardedConn, bool) {
	for {
		switch layer := conn.(type) {
		case *guardedConn:
			return layer, true
		case *tls.Conn:
			conn = layer.NetConn()
		default:
			return nil, false
		}
	}
}
