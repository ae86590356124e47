package main

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConnectionOfTheWorker: a worker ends its start with the same words as the command line (internal/connect).
func TestConnectionOfTheWorker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	t.Setenv("TEMPORAL_CONFIG_FILE", t.TempDir()+"/none.toml")
	t.Setenv("TEMPORAL_ADDRESS", "https://temporal.example:7233")
	assert.ErrorContains(t, run(t.Context(), lookup(complete())), "write temporal.example:7233, and set TEMPORAL_TLS=true")
	t.Setenv("TEMPORAL_ADDRESS", listener.Addr().String())
	t.Setenv("TEMPORAL_API_KEY", "key-1")
	err = run(t.Context(), lookup(complete()))
	assert.ErrorContains(t, err, "the server takes no TLS, and TEMPORAL_API_KEY (an API key turns TLS on) asks for it; set TEMPORAL_ADDRESS to a server with TLS, or TEMPORAL_TLS=false")
	assert.NotContains(t, err.Error(), "key-1")
}
