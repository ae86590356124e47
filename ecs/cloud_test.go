package ecs_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const (
	projectID = "6af1c92eaf7e471fb35c82eecd4b7b5d"
	serverID  = "616fb98f-46ca-475e-917e-2563e5a8cd19"
	otherID   = "726fb98f-46ca-475e-917e-2563e5a8cd20"
	imageID   = "e215580f-73ad-429d-b6f2-5433947433b0"
	jobID     = "70a599e0-31e7-49b7-b260-868f441e862b"
)

// cloud is a server that notes what it was asked.
type cloud struct {
	*httptest.Server
	mu       sync.Mutex
	requests []recorded
	conns    int
}

type recorded struct {
	method, target string
	header         http.Header
	body           string
}

func newCloud(t *testing.T, handler http.HandlerFunc) *cloud {
	t.Helper()
	c := unstartedCloud(t, handler)
	c.Start()
	return c
}

func unstartedCloud(t *testing.T, handler http.HandlerFunc) *cloud {
	t.Helper()
	c := &cloud{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // a request that did not arrive whole
		}
		c.mu.Lock()
		c.requests = append(c.requests, recorded{r.Method, r.RequestURI, r.Header.Clone(), string(body)})
		c.mu.Unlock()
		handler(w, r)
	}))
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.mu.Lock()
			c.conns++
			c.mu.Unlock()
		}
	}
	c.Config.ErrorLog = log.New(io.Discard, "", 0) // failing handshakes are part of some tests
	t.Cleanup(c.Close)
	return c
}

func (c *cloud) seen() []recorded {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

func (c *cloud) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns
}

// answering returns a handler with one answer. The headers come in pairs.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func config(base string) ecs.Config {
	return ecs.Config{
		ProjectID:      projectID,
		ECS:            base,
		IMS:            base,
		CallsPerSecond: 100_000, // nothing waits, but for tests of that
		Credentials:    ecs.AccessKey{ID: "EXAMPLEAK00000000000", Secret: ecs.NewSecret("EXAMPLESK0000000000000000000000000000000")},
	}
}

func newClient(t *testing.T, c ecs.Config) *ecs.Client {
	t.Helper()
	client, err := ecs.New(c)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func clientOf(t *testing.T, c *cloud) *ecs.Client {
	t.Helper()
	return newClient(t, config(c.URL))
}

// pipeNet is a network in memory: what is dialed is accepted.
type pipeNet struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeNet() *pipeNet {
	return &pipeNet{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipeNet) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeNet) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeNet) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipeNet) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func rootRequest() ecs.ChangeOSRequest { return ecs.ChangeOSRequest{ImageID: imageID} }
