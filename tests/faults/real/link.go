package real

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Link is a TCP connection to somewhere that can be made to fail. It is our own, and not toxiproxy's: that one
// brings fourteen modules (an HTTP API, Prometheus, a supervisor) into the module graph for these lines, wants its
// API server even where nobody asks it anything, and cannot tell a client that is gone from one that waits, which
// is what decides whether a request held back by the network may still arrive.
type Link struct {
	listener net.Listener
	wait     sync.WaitGroup

	mu       sync.Mutex
	upstream string
	state    linkState
	delay    time.Duration
	changed  chan struct{} // closed when state changes
	open     map[*net.TCPConn]struct{}
}

type linkState int

const (
	linkUp     linkState = iota
	linkCut              // connections are reset, new ones too
	linkSlow             // every piece of data waits for the delay
	linkHole             // nothing passes, nobody is told
	linkClosed           // for good
)

// NewLink listens on a port of the kernel's choice.
func NewLink(ctx context.Context, upstream string) (*Link, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{listener: listener, upstream: upstream, changed: make(chan struct{}), open: make(map[*net.TCPConn]struct{})}
	l.wait.Go(l.accept)
	return l, nil
}

// Address is where the link listens.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Lead makes new connections go to another address.
func (l *Link) Lead(upstream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upstream = upstream
}

// Cut resets all connections and every new one, until Mend.
func (l *Link) Cut() { l.turn(linkCut, 0) }

// Slow makes every piece of data wait, in both directions, until Mend.
func (l *Link) Slow(delay time.Duration) { l.turn(linkSlow, delay) }

// Hole lets nothing pass until Mend. What is on its way is held back, as TCP does by sending again, and arrives
// after that; unless its sender has given up meanwhile, because then nobody sends it again. The worker's sockets do
// give up: they do not linger (ecs/socket.go).
func (l *Link) Hole() { l.turn(linkHole, 0) }

// Mend lets everything pass again.
func (l *Link) Mend() { l.turn(linkUp, 0) }

// Close ends the link and everything that goes through it.
func (l *Link) Close() {
	l.turn(linkClosed, 0)
	_ = l.listener.Close()
	l.wait.Wait()
}

func (l *Link) turn(state linkState, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == linkClosed {
		return
	}
	l.state, l.delay = state, delay
	close(l.changed)
	l.changed = make(chan struct{})
	if state == linkCut || state == linkClosed {
		for connection := range l.open {
			reset(connection)
		}
	}
}

func (l *Link) accept() {
	for {
		connection, err := l.listener.Accept()
		if err != nil {
			return
		}
		client := connection.(*net.TCPConn)
		if !l.keep(client) {
			reset(client)
			continue
		}
		l.wait.Go(func() {
			defer l.forget(client)
			l.join(client)
		})
	}
}

// keep remembers a connection so that it can be cut. It is false when the link is cut now.
func (l *Link) keep(connection *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == linkCut || l.state == linkClosed {
		return false
	}
	l.open[connection] = struct{}{}
	return true
}

func (l *Link) forget(connection *net.TCPConn) {
	l.mu.Lock()
	delete(l.open, connection)
	l.mu.Unlock()
	_ = connection.Close()
}

// join carries one connection to its end.
func (l *Link) join(client *net.TCPConn) {
	fromClient := read(client)
	defer fromClient.drain()
	if !l.pass(fromClient.gone) { // not even the first packet comes through a hole
		reset(client)
		return
	}
	l.mu.Lock()
	upstream := l.upstream
	l.mu.Unlock()
	dialed, err := net.DialTimeout("tcp", upstream, 5*time.Second)
	if err != nil {
		reset(client)
		return
	}
	server := dialed.(*net.TCPConn)
	if !l.keep(server) {
		reset(server)
		reset(client)
		return
	}
	defer l.forget(server)
	fromServer := read(server)
	defer fromServer.drain()

	var both sync.WaitGroup
	both.Go(func() { l.carry(fromClient, client, server, fromClient.gone) })
	// A server that has closed still has its answer delivered, as long as there is somebody to take it.
	both.Go(func() { l.carry(fromServer, server, client, fromClient.gone) })
	both.Wait()
}

// carry passes on what was read, and the end of it.
func (l *Link) carry(from *stream, source, to *net.TCPConn, gone <-chan struct{}) {
	for piece := range from.pieces {
		if !l.pass(gone) {
			reset(to)
			reset(source)
			return
		}
		if _, err := to.Write(piece); err != nil {
			reset(source)
			return
		}
	}
	if !l.pass(gone) || from.err != nil {
		reset(to)
		return
	}
	_ = to.CloseWrite()
}

// pass waits until the link lets a piece of data through. It is false when the piece is lost: the link is closed, or
// the client went away while nothing passed.
func (l *Link) pass(gone <-chan struct{}) bool {
	for {
		l.mu.Lock()
		state, delay, changed := l.state, l.delay, l.changed
		l.mu.Unlock()
		switch state {
		case linkUp:
			return true
		case linkSlow:
			select {
			case <-time.After(delay):
				return true
			case <-changed:
			}
		case linkHole:
			select {
			case <-gone:
				return false
			case <-changed:
			}
		default:
			return false
		}
	}
}

// stream is what comes from one end of a connection. It is read ahead, so that its end is noticed while nothing
// passes.
type stream struct {
	pieces chan []byte
	gone   chan struct{} // closed at the end
	err    error         // how it ended, nil for an orderly end; to be read once pieces is closed
}

func read(connection *net.TCPConn) *stream {
	const ahead = 64
	s := &stream{pieces: make(chan []byte, ahead), gone: make(chan struct{})}
	go func() {
		defer close(s.pieces)
		defer close(s.gone)
		for {
			buffer := make([]byte, 16<<10)
			n, err := connection.Read(buffer)
			if n > 0 {
				s.pieces <- buffer[:n]
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					s.err = err
				}
				return
			}
		}
	}()
	return s
}

// drain lets the reader end. The connection is closed by then, or about to be.
func (s *stream) drain() {
	go func() {
		for range s.pieces { // nobody wants them any more
		}
	}()
}

// reset ends a connection so that the other side cannot take it for an orderly end.
func reset(connection *net.TCPConn) {
	_ = connection.SetLinger(0)
	_ = connection.Close()
}
