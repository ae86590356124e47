package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHealth(t *testing.T) {
	var temporal error
	h, err := startHealth(t.Context(), "127.0.0.1:0", func(context.Context) error { return temporal })
	require.NoError(t, err)
	get := func(path string) (int, string) {
		response, err := http.Get(h.url() + path)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	code, _ := get("/healthz")
	assert.Equal(t, http.StatusOK, code)
	code, _ = get("/readyz")
	assert.Equal(t, http.StatusOK, code)

	temporal = errors.New("connection refused")
	code, body := get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Contains(t, body, "connection refused")
	code, _ = get("/healthz")
	assert.Equal(t, http.StatusOK, code, "a worker without Temporal is alive, and waits")

	temporal = nil
	h.notReady()
	code, body = get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Contains(t, body, "stopping")
	require.NoError(t, h.stop())
	_, err = http.Get(h.url() + "/healthz")
	assert.Error(t, err)
}

func TestHealthAddressInUse(t *testing.T) {
	h, err := startHealth(t.Context(), "127.0.0.1:0", nil)
	require.NoError(t, err)
	_, err = startHealth(t.Context(), h.listener.Addr().String(), nil)
	assert.ErrorContains(t, err, "REIMAGE_LISTEN")
	require.NoError(t, h.stop())
}
