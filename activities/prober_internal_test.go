package activities

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// here is a server whose fixed address is this machine.
var here = ecs.Server{Addresses: []ecs.Address{{IP: netip.MustParseAddr("127.0.0.1")}}}

func portOf(t *testing.T, listener net.Listener) int {
	t.Helper()
	return listener.Addr().(*net.TCPAddr).Port
}

// listening serves each connection by a function.
func listening(t *testing.T, serve func(net.Conn)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	return portOf(t, listener)
}

// reasonOf is why a probe says that the server is not healthy, empty when it is.
func reasonOf(t *testing.T, server ecs.Server, check rollout.HealthCheck) string {
	t.Helper()
	probe, err := Prober{}.probe(t.Context(), server, check.WithDefaults())
	require.NoError(t, err)
	assert.Equal(t, probe.Healthy, probe.Reason == "")
	return probe.Reason
}

func TestProbeHTTP(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		switch r.URL.Path {
		case "/health":
			fmt.Fprint(w, "all is ok, secret-of-the-server")
		case "/moved":
			http.Redirect(w, r, "/health", http.StatusFound)
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", maxProbeBody)+"ok")
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(app.Close)
	check := rollout.HealthCheck{Type: rollout.CheckHTTP, Port: portOf(t, app.Listener), Path: "/health", Host: "web.example"}
	with := func(change func(*rollout.HealthCheck)) rollout.HealthCheck {
		c := check
		change(&c)
		return c
	}
	assert.Empty(t, reasonOf(t, here, check))
	assert.Equal(t, "web.example", asked.Load().Host)
	assert.Empty(t, asked.Load().Header.Get("Authorization"))
	for want, c := range map[string]rollout.HealthCheck{
		"":                   with(func(c *rollout.HealthCheck) { c.Contains = "is ok" }),
		"status 503":         with(func(c *rollout.HealthCheck) { c.Path = "/dead" }),
		"status 302":         with(func(c *rollout.HealthCheck) { c.Path = "/moved" }),
		"status 200":         with(func(c *rollout.HealthCheck) { c.Status = 204 }),
		`does not hold "no"`: with(func(c *rollout.HealthCheck) { c.Contains = "no" }),
		`does not hold "ok"`: with(func(c *rollout.HealthCheck) { c.Contains, c.Path = "ok", "/long" }),
		"the cloud shows no floating address of it": with(func(c *rollout.HealthCheck) { c.Address = rollout.AddressFloating }),
	} {
		reason := reasonOf(t, here, c)
		assert.Contains(t, reason, want)
		assert.NotContains(t, reason, "secret-of-the-server")
	}
	assert.Empty(t, reasonOf(t, here, with(func(c *rollout.HealthCheck) { c.Path, c.Status = "/moved", 302 })), "a redirect may be what is asked for")
	assert.Contains(t, reasonOf(t, here, with(func(c *rollout.HealthCheck) { c.Type = rollout.CheckHTTPS })), "it does not answer with TLS")
}

func TestProbeHTTPS(t *testing.T) {
	app := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(app.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw}))
	check := rollout.HealthCheck{Type: rollout.CheckHTTPS, Port: portOf(t, app.Listener)}
	assert.Contains(t, reasonOf(t, here, check), "its certificate is signed by an unknown authority")
	check.CA = ca
	assert.Empty(t, reasonOf(t, here, check), "the certificate is for the address")
	check.Host = "example.com:8443"
	assert.Empty(t, reasonOf(t, here, check), "and for the name")
	check.Host = "elsewhere.test"
	assert.Contains(t, reasonOf(t, here, check), "its certificate is for another name")
	check.CA, check.Insecure = "", true
	assert.Empty(t, reasonOf(t, here, check))
}

func TestProbeSSHAndTCP(t *testing.T) {
	for name, c := range map[string]struct {
		send string
		want string
	}{
		"a server":        {"SSH-2.0-OpenSSH_9.6\r\n", ""},
		"lines before":    {"welcome\r\nSSH-2.0-x\r\n", ""},
		"another service": {"220 mail ESMTP\r\n", "does not answer as an SSH server"},
		"endless":         {strings.Repeat("x", 2*maxBanner), "does not answer as an SSH server"},
		"closes at once":  {"", "does not answer as an SSH server"},
	} {
		port := listening(t, func(conn net.Conn) { _, _ = conn.Write([]byte(c.send)) })
		reason := reasonOf(t, here, rollout.HealthCheck{Type: rollout.CheckSSH, Port: port})
		if c.want == "" {
			assert.Empty(t, reason, name)
		} else if !strings.Contains(reason, "reset by peer") { // what it sent may be lost with its end
			assert.Contains(t, reason, c.want, name)
		}
		assert.Empty(t, reasonOf(t, here, rollout.HealthCheck{Type: rollout.CheckTCP, Port: port}), name)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := portOf(t, closed)
	require.NoError(t, closed.Close())
	assert.Contains(t, reasonOf(t, here, rollout.HealthCheck{Type: rollout.CheckTCP, Port: port}), "connection refused")
	assert.Contains(t, reasonOf(t, ecs.Server{}, rollout.HealthCheck{Type: rollout.CheckTCP, Port: port}), "no fixed address")
}

// TestProbeOfAnEndlessAnswer ends by itself.
func TestProbeOfAnEndlessAnswer(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(app.Close)
	assert.Contains(t, reasonOf(t, here, rollout.HealthCheck{Type: rollout.CheckHTTP, Port: portOf(t, app.Listener), Contains: "x"}), "does not hold")
}

// TestProbeRepeatsNothing of what a server answers, however odd it is.
func TestProbeRepeatsNothing(t *testing.T) {
	const secret = "hunter2-of-the-server"
	for _, answer := range []string{
		"HTTP/1.1 " + secret + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n", secret, "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"HTTP/1.1 " + strings.Repeat(secret, 1<<16) + "\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://" + secret + "/\r\nContent-Length: 0\r\n\r\n",
	} {
		port := listening(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4<<10))
			_, _ = conn.Write([]byte(answer))
		})
		for _, kind := range []rollout.HealthCheckType{rollout.CheckHTTP, rollout.CheckHTTPS, rollout.CheckSSH} {
			reason := reasonOf(t, here, rollout.HealthCheck{Type: kind, Port: port})
			assert.NotEmpty(t, reason)
			assert.NotContains(t, reason, "hunter2")
			assert.Less(t, len(reason), 200)
		}
	}
}

// TestProbeThatTheWorkerCannotMake is no answer of the server.
func TestProbeThatTheWorkerCannotMake(t *testing.T) {
	check := rollout.HealthCheck{Type: rollout.CheckTCP, Port: 80}.WithDefaults()
	for _, local := range []error{syscall.ENETUNREACH, syscall.EPERM, syscall.EMFILE} {
		prober := Prober{Worker: "4711@build-07", Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: local}
		}}
		_, err := prober.probe(t.Context(), here, check)
		assertProbesRefused(t, err)
		assert.ErrorContains(t, err, "the worker cannot connect to 127.0.0.1:80")
		assert.ErrorContains(t, err, "(worker 4711@build-07)")
	}
	_, err := Prober{Off: true}.probe(t.Context(), here, check)
	assertProbesRefused(t, err)
	assert.ErrorContains(t, err, "REIMAGE_PROBES=off")

	unreachable := Prober{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
	}}
	probe, err := unreachable.probe(t.Context(), here, check)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:80: no route to host", probe.Reason)
}

func assertProbesRefused(t *testing.T, err error) {
	t.Helper()
	refused, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, api.ErrProbesRefused, refused.Type())
	assert.False(t, refused.NonRetryable(), "another worker may be able to")
	assert.True(t, api.IsOfWorker(refused.Type()))
}

// TestProbeEndsWithItsContext.
func TestProbeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	port := listening(t, func(net.Conn) { cancel(); time.Sleep(10 * time.Millisecond) })
	_, err := Prober{}.probe(ctx, here, rollout.HealthCheck{Type: rollout.CheckSSH, Port: port}.WithDefaults())
	if err != nil { // the connection may have been closed first
		assert.ErrorIs(t, err, context.Canceled)
	}
}
