package memnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Network is many listeners by address. The zero value has none. It is safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*placed
}

// placed is a listener that leaves its network when it is closed.
type placed struct {
	*Listener
	network *Network
	address string
}

// Listen opens a listener on "host:port". An address that is taken is refused, as by the operating system.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: %w", address, syscall.EADDRINUSE)
	}
	if n.listeners == nil {
		n.listeners = map[string]*placed{}
	}
	l := &placed{Listen(), n, address}
	n.listeners[address] = l
	return l, nil
}

// Dial opens a connection to the listener of the address. Without one the connection is refused.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	refused := fmt.Errorf("dial %s %s: %w", network, address, syscall.ECONNREFUSED)
	if l == nil {
		return nil, refused
	}
	connection, err := l.Dial(ctx, network, address)
	if err != nil && ctx.Err() == nil {
		return nil, refused
	}
	return connection, err
}

// Close ends the listener. Its address is free again.
func (l *placed) Close() error {
	l.network.mu.Lock()
	if l.network.listeners[l.address] == l {
		delete(l.network.listeners, l.address)
	}
	l.network.mu.Unlock()
	return l.Listener.Close()
}
