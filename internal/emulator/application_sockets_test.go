package emulator

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyway runs the test with an address for each server, and with a port for each server.
func everyway(t *testing.T, test func(t *testing.T, e *Emulator)) {
	for name, single := range map[string]bool{"address each": false, "port each": true} {
		t.Run(name, func(t *testing.T) {
			// Twenty emulated minutes in a real second: nothing in the tests depends on how fast they run.
			e, err := New(Options{Fleet: []Server{{Name: "one"}, {Name: "two", Status: "SHUTOFF"}}, Applications: true, Speed: 1200, singleLoopback: single})
			require.NoError(t, err)
			defer e.Close()
			test(t, e)
		})
	}
}

// TestApplicationRefusesConnections: a closed port, not one that accepts and says nothing, so that a TCP probe fails, too.
func TestApplicationRefusesConnections(t *testing.T) {
	everyway(t, func(t *testing.T, e *Emulator) {
		one, two := e.Servers()[0].ID, e.Servers()[1].ID
		connect := func(id string) error {
			connection, err := net.Dial("tcp", e.ApplicationAddress(id))
			if err == nil {
				_ = connection.Close()
			}
			return err
		}
		require.NotEqual(t, e.ApplicationAddress(one), e.ApplicationAddress(two))
		require.NoError(t, connect(one))
		require.ErrorIs(t, connect(two), syscall.ECONNREFUSED)

		open, err := net.Dial("tcp", e.ApplicationAddress(one))
		require.NoError(t, err)
		defer func() { _ = open.Close() }()
		require.NoError(t, e.Update(one, func(s *Server) { s.Status = "SHUTOFF" }))
		require.ErrorIs(t, connect(one), syscall.ECONNREFUSED, "at once")
		_, err = http.ReadResponse(bufio.NewReader(open), nil)
		require.Error(t, err, "open connections are ended")

		address := e.ApplicationAddress(two)
		require.NoError(t, e.Update(two, func(s *Server) { s.Status = "ACTIVE" }))
		require.Eventually(t, func() bool {
			response, err := http.Get("http://" + address + "/health")
			if err != nil {
				return false
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK
		}, time.Minute, time.Millisecond, "it boots by itself")
		assert.Equal(t, address, e.ApplicationAddress(two))

		e.Close()
		require.ErrorIs(t, connect(two), syscall.ECONNREFUSED)
		assert.Equal(t, ApplicationDown, e.Applications()[1].State)
	})
}

// TestApplicationWaitsForItsAddress: another program may take the port of a stopped server.
func TestApplicationWaitsForItsAddress(t *testing.T) {
	everyway(t, func(t *testing.T, e *Emulator) {
		two := e.Servers()[1].ID
		address := e.ApplicationAddress(two)
		other, err := listenTCP(address)
		require.NoError(t, err)
		require.NoError(t, e.Update(two, func(s *Server) { s.Status = "ACTIVE" }))
		require.Eventually(t, func() bool {
			return strings.Contains(e.Ledger().Servers[two].Application.ListenError, "in use")
		}, time.Minute, time.Millisecond)
		require.NoError(t, other.Close())
		require.Eventually(t, func() bool {
			connection, err := net.Dial("tcp", address)
			if err != nil {
				return false
			}
			_ = connection.Close()
			return e.Ledger().Servers[two].Application.ListenError == ""
		}, time.Minute, time.Millisecond)
	})
}
