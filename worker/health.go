package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// health answers /healthz (the process runs) and /readyz (it polls Temporal, and Temporal answers).
type health struct {
	server   *http.Server
	listener net.Listener
	stopping atomic.Bool
	served   chan error
}

// startHealth listens on address; ":0" lets the kernel pick the port.
func startHealth(ctx context.Context, address string, temporal func(context.Context) error) (*health, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("REIMAGE_LISTEN: %w", err)
	}
	h := &health{listener: listener, served: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if h.stopping.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := temporal(ctx); err != nil {
			http.Error(w, "Temporal does not answer: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { h.served <- h.server.Serve(listener) }()
	return h, nil
}

func (h *health) url() string { return "http://" + h.listener.Addr().String() }

func (h *health) notReady() { h.stopping.Store(true) }

func (h *health) stop() error {
	closed := h.server.Close()
	if err := <-h.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return closed
}
