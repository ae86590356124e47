package memnet_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/memnet"
)

func TestNetworkRefusesWhatNobodyListensOn(t *testing.T) {
	var network memnet.Network
	_, err := network.Dial(t.Context(), "tcp", "10.0.0.1:80")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	first, err := network.Listen("10.0.0.1:80")
	require.NoError(t, err)
	_, err = network.Listen("10.0.0.1:80")
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	accepted := make(chan error, 1)
	go func() {
		connection, err := first.Accept()
		if err == nil {
			err = connection.Close()
		}
		accepted <- err
	}()
	connection, err := network.Dial(t.Context(), "tcp", "10.0.0.1:80")
	require.NoError(t, err)
	require.NoError(t, connection.Close())
	require.NoError(t, <-accepted)

	require.NoError(t, first.Close())
	_, err = network.Dial(t.Context(), "tcp", "10.0.0.1:80")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	second, err := network.Listen("10.0.0.1:80")
	require.NoError(t, err)
	require.NoError(t, first.Close(), "closed again")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = network.Dial(cancelled, "tcp", "10.0.0.1:80")
	assert.ErrorIs(t, err, context.Canceled, "the second one is still there")
	require.NoError(t, second.Close())
}
