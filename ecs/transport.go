package ecs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"
)

const (
	// maxHeaderBytes and maxBodyBytes bound an answer. A server with all its attributes and 32 KB of
	// user data takes below 100 KB, and a list holds a hundred of them, or a thousand without.
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 4 << 20
	maxListBytes   = 16 << 20

	idleTimeout      = 60 * time.Second
	idleConnsPerHost = 16
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// transport sends each request once. http.Transport is used without http.Client, which alone knows
// redirects, and without GetBody or HTTP/2, by which http.Transport could send a body again.
type transport struct {
	// reads keeps its connections alive.
	reads *http.Transport
	// writes opens a connection for each request. An idle connection that the cloud has just closed
	// would turn a write into a question that nobody can answer.
	writes *http.Transport
}

func newTransport(dial dialFunc, roots *x509.CertPool, timeout time.Duration) *transport {
	dialRead, dialWrite := dial, dial
	if dial == nil {
		dialRead = newDialer(timeout).DialContext
		dialWrite = dialDroppable(newDialer(timeout))
	}
	t := &transport{
		reads:  newHTTPTransport(dialRead, roots),
		writes: newHTTPTransport(dialWrite, roots),
	}
	t.writes.DisableKeepAlives = true
	return t
}

func newHTTPTransport(dial dialFunc, roots *x509.CertPool) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &guardedConn{Conn: conn}, nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		Protocols:              &http1,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConnsPerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

func (t *transport) close() {
	t.reads.CloseIdleConnections()
	t.writes.CloseIdleConnections()
}
