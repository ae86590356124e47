package ecs_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// rawCloud reads whole requests from bare connections and lets act do what it wants with each.
func rawCloud(t *testing.T, act func(conn *net.TCPConn)) (base string, requests *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	requests = &atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
				requests.Add(1)
				act(conn.(*net.TCPConn))
			}()
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

func TestLostAnswersAreUnknownAndSentOnce(t *testing.T) {
	reset := func(conn *net.TCPConn) { _ = conn.SetLinger(0) }
	say := func(text string) func(*net.TCPConn) {
		return func(conn *net.TCPConn) { fmt.Fprint(conn, text) }
	}
	for name, test := range map[string]struct {
		act   func(*net.TCPConn)
		cause error
	}{
		"reset":                 {reset, nil},
		"closed":                {func(*net.TCPConn) {}, io.EOF},
		"closed in the body":    {say("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"job_id\":\"" + jobID + "\"}"), io.ErrUnexpectedEOF},
		"reset in the body":     {func(c *net.TCPConn) { say("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{")(c); reset(c) }, nil},
		"no HTTP":               {say("SSH-2.0-OpenSSH_9.6\r\n"), nil},
		"cut head":              {say("HTTP/1.1 200 OK\r\nContent-Le"), nil},
		"huge head":             {say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\nContent-Length: 14\r\n\r\n{\"job_id\":\"x\"}"), nil},
		"endless informational": {say(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000)), nil},
		"switched protocols":    {say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{\"job_id\":\"x\"}"), nil},
		"unasked gzip":          {say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 14\r\n\r\n{\"job_id\":\"x\"}"), nil},
		"huge body":             {say("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{\"job_id\":\"x\"}" + strings.Repeat(" ", 9_000_000)), nil},
		"cut refusal":           {say("HTTP/1.1 400 Bad Request\r\nContent-Length: 90\r\n\r\n{\"error\":{\"code\":\"Ecs.0005\",\"message\":\"m\"}}"), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			base, requests := rawCloud(t, test.act)
			out := newClient(t, config(base)).ChangeOS(context.Background(), serverID, rootRequest())
			assert.Equal(t, ecs.Unknown, out.Kind, "%v", out.Err)
			require.NotNil(t, out.Err)
			assert.EqualValues(t, 1, requests.Load())
			if test.cause != nil {
				assert.ErrorIs(t, out.Err, test.cause)
			}
		})
	}
}

// TestEndlessAnswers: reading stops where an answer gets too large, whatever its status is.
func TestEndlessAnswers(t *testing.T) {
	for status, says := range map[string]string{"200 OK": "HTTP 200: the answer is larger than 4 MB", "503 Gone Fishing": "HTTP 503: the answer is larger than 4 MB"} {
		sent := make(chan int, 1)
		base, _ := rawCloud(t, func(conn *net.TCPConn) {
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("7", 64<<10))
			_, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n", status)
			n := 0
			for ; err == nil; n += 64 << 10 {
				_, err = io.WriteString(conn, chunk)
			}
			sent <- n
		})
		_, err := newClient(t, config(base)).Server(context.Background(), serverID)
		assert.ErrorContains(t, err, says)
		assert.Less(t, <-sent, 32<<20, "what the sockets between hold comes on top")
	}
}

func TestStatusOfACutAnswerIsKept(t *testing.T) {
	base, _ := rawCloud(t, func(conn *net.TCPConn) {
		fmt.Fprint(conn, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 90\r\n\r\n{")
	})
	out := newClient(t, config(base)).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.Throttled, out.Kind)
	assert.Equal(t, 429, out.Err.Status)
	assert.Equal(t, 7*time.Second, out.Err.RetryAfter)
}

func TestUnreachableCloudIsNotSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	cloud := unstartedCloud(t, answering(200, `{"job_id":"x"}`))
	cloud.StartTLS()

	refused := newClient(t, config(closed)).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, refused.Kind, "%v", refused.Err)
	assert.ErrorIs(t, refused.Err, syscall.ECONNREFUSED)
	assert.Equal(t, ecs.ClassTransient, refused.Err.Class())

	noName := newClient(t, config("http://no-such-host.invalid")).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, noName.Kind, "%v", noName.Err)

	distrusted := clientOf(t, cloud).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, distrusted.Kind, "%v", distrusted.Err)
	assert.ErrorContains(t, distrusted.Err, "certificate")

	plain := newClient(t, config(strings.Replace(cloud.URL, "https", "http", 1)))
	assert.NotEqual(t, ecs.NotSent, plain.ChangeOS(context.Background(), serverID, rootRequest()).Kind, "bytes went out, to whatever listens there")
	assert.Empty(t, cloud.seen())
}

func TestCancelledBeforeTheCallIsNotSent(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"x"}`))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out := clientOf(t, cloud).ChangeOS(ctx, serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, out.Kind)
	assert.ErrorIs(t, out.Err, context.Canceled)
	assert.Empty(t, cloud.seen())
}

func TestAuthorizationFailureIsNotSent(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"x"}`))
	c := config(cloud.URL)
	c.Credentials = brokenCredentials{}
	out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.NotSent, out.Kind)
	assert.ErrorIs(t, out.Err, errNoToken)
	assert.Empty(t, cloud.seen())
}

var errNoToken = errors.New("the identity service is away")

type brokenCredentials struct{}

func (brokenCredentials) Authorize(*http.Request, []byte, time.Time) error { return errNoToken }

func TestHangingCloudIsUnknownAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipeNet()
		var requests atomic.Int32
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			requests.Add(1)
			<-r.Context().Done()
		})}
		go func() { _ = server.Serve(network) }()
		defer server.Close()
		c := config("http://ecs.example")
		c.Dial = network.Dial
		client := newClient(t, c)

		start := time.Now()
		out := client.ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, ecs.Unknown, out.Kind)
		assert.ErrorIs(t, out.Err, context.DeadlineExceeded)
		assert.Equal(t, 30*time.Second, time.Since(start))
		assert.EqualValues(t, 1, requests.Load())

		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start = time.Now()
		_, err := client.Server(ctx, serverID)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

// TestSwitchedProtocolIsNotReadFrom: such an answer is followed by a bare connection without an end,
// which no deadline of the request closes.
func TestSwitchedProtocolIsNotReadFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipeNet()
		released := make(chan struct{})
		defer close(released)
		go func() {
			conn, err := network.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			req, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			<-released
		}()
		c := config("http://ecs.example")
		c.Dial = network.Dial
		start := time.Now()
		out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, ecs.Unknown, out.Kind)
		assert.Zero(t, time.Since(start))
	})
}

func TestDialThatHangsIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config("http://ecs.example")
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
		assert.Equal(t, ecs.NotSent, out.Kind)
		assert.ErrorIs(t, out.Err, context.DeadlineExceeded)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := newCloud(t, answering(200, `{"job_id":"x"}`))
		cloud := newCloud(t, answering(status, ``, "Location", elsewhere.URL))
		client := clientOf(t, cloud)
		assert.Equal(t, ecs.Unknown, client.ChangeOS(context.Background(), serverID, rootRequest()).Kind)
		_, err := client.Server(context.Background(), serverID)
		assertClass(t, ecs.ClassUnclear, err)
		assert.Len(t, cloud.seen(), 2)
		assert.Empty(t, elsewhere.seen())
	}
}

func TestReadsReuseConnectionsAndWritesDoNot(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"`+jobID+`","server":{"status":"ACTIVE"}}`))
	client := clientOf(t, cloud)
	for range 5 {
		_, err := client.Server(context.Background(), serverID)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, cloud.connections())
	for range 3 {
		require.Equal(t, ecs.Accepted, client.ChangeOS(context.Background(), serverID, rootRequest()).Kind)
	}
	assert.Equal(t, 4, cloud.connections())
	_, err := client.Server(context.Background(), serverID)
	require.NoError(t, err)
	assert.Equal(t, 4, cloud.connections(), "the connection of the reads is still there")
}

func TestConcurrentUse(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"job_id":"`+jobID+`","server":{"status":"ACTIVE"}}`))
	client := clientOf(t, cloud)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_, err := client.Server(context.Background(), serverID)
			assert.NoError(t, err)
			assert.Equal(t, ecs.Accepted, client.ChangeOS(context.Background(), serverID, rootRequest()).Kind)
		})
	}
	group.Wait()
	assert.Len(t, cloud.seen(), 40)
}

func TestTLS(t *testing.T) {
	cloud := unstartedCloud(t, answering(200, `{"job_id":"`+jobID+`"}`))
	cloud.EnableHTTP2 = true
	cloud.StartTLS()
	var protocol atomic.Value
	inner := cloud.Config.Handler
	cloud.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		inner.ServeHTTP(w, r)
	})
	c := config(cloud.URL)
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(cloud.Certificate())
	out := newClient(t, c).ChangeOS(context.Background(), serverID, rootRequest())
	assert.Equal(t, ecs.Accepted, out.Kind, "%v", out.Err)
	assert.Equal(t, "HTTP/1.1", protocol.Load())
}

// TestProxyFromTheEnvironment runs itself again, because a process reads these variables once.
func TestProxyFromTheEnvironment(t *testing.T) {
	if os.Getenv("ECS_TEST_BEHIND_PROXY") != "" {
		out := newClient(t, config("http://ecs.example.invalid")).ChangeOS(context.Background(), serverID, rootRequest())
		require.Equal(t, ecs.Accepted, out.Kind, "%v", out.Err)
		return
	}
	var target atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target.Store(r.URL.Host)
		fmt.Fprint(w, `{"job_id":"x"}`)
	}))
	defer proxy.Close()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.Command(self, "-test.run=^TestProxyFromTheEnvironment$")
	child.Env = append(os.Environ(), "ECS_TEST_BEHIND_PROXY=yes", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	output, err := child.CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Equal(t, "ecs.example.invalid", target.Load())
}
