package real

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echo answers every line with itself and reports what arrives.
func echo(t *testing.T) (address string, arrived <-chan string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	lines := make(chan string, 10)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				for in := bufio.NewScanner(connection); in.Scan(); {
					lines <- in.Text()
					_, _ = io.WriteString(connection, in.Text()+"\n")
				}
			}()
		}
	}()
	return listener.Addr().String(), lines
}

func newLink(t *testing.T, upstream string) *Link {
	t.Helper()
	link, err := NewLink(t.Context(), upstream)
	require.NoError(t, err)
	t.Cleanup(link.Close)
	return link
}

func dial(t *testing.T, link *Link) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", link.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection.(*net.TCPConn), bufio.NewReader(connection)
}

func say(t *testing.T, connection io.Writer, line string) {
	t.Helper()
	_, err := io.WriteString(connection, line+"\n")
	require.NoError(t, err)
}

func TestLinkCarries(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	connection, answers := dial(t, newLink(t, address))
	say(t, connection, "hello")
	answer, err := answers.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", answer)
	require.NoError(t, connection.CloseWrite())
	_, err = answers.ReadString('\n')
	assert.ErrorIs(t, err, io.EOF, "an orderly end stays one")
}

func TestLinkCut(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	link := newLink(t, address)
	connection, answers := dial(t, link)
	say(t, connection, "before")
	_, err := answers.ReadString('\n')
	require.NoError(t, err)

	link.Cut()
	_, err = answers.ReadString('\n')
	require.Error(t, err)
	assert.NotErrorIs(t, err, io.EOF)

	link.Mend()
	connection, answers = dial(t, link)
	say(t, connection, "after")
	answer, err := answers.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "after\n", answer)
}

// TestLinkHole holds back what waits, and loses what nobody waits for any more.
func TestLinkHole(t *testing.T) {
	t.Parallel()
	address, arrived := echo(t)
	link := newLink(t, address)
	patient, answers := dial(t, link)
	impatient, _ := dial(t, link)
	for _, connection := range []io.Writer{patient, impatient} {
		say(t, connection, "begin")
		<-arrived
	}
	link.Hole()
	say(t, patient, "patient")
	say(t, impatient, "impatient")
	reset(impatient)
	// The loss is awaited: the far end sees the connection go.
	require.Eventually(t, func() bool {
		link.mu.Lock()
		defer link.mu.Unlock()
		return len(link.open) == 2 // one connection, with two ends
	}, 10*time.Second, time.Millisecond)
	link.Mend()

	assert.Equal(t, "patient", <-arrived)
	_, err := answers.ReadString('\n')
	require.NoError(t, err)
	assert.Empty(t, arrived, "what its sender gave up has not come through")
}

func TestLinkLeads(t *testing.T) {
	t.Parallel()
	first, _ := echo(t)
	second, arrived := echo(t)
	link := newLink(t, first)
	link.Lead(second)
	connection, _ := dial(t, link)
	say(t, connection, "hello")
	assert.Equal(t, "hello", <-arrived)
}

func TestLinkClosesWithEverythingOpen(t *testing.T) {
	t.Parallel()
	address, arrived := echo(t)
	link, err := NewLink(context.WithoutCancel(t.Context()), address)
	require.NoError(t, err)
	connection, answers := dial(t, link)
	say(t, connection, "hello")
	<-arrived
	link.Hole()
	say(t, connection, "held")
	link.Close()
	_, err = answers.ReadString('\n')
	for err == nil { // the answer to hello may have come through
		_, err = answers.ReadString('\n')
	}
	assert.Error(t, err)
}
