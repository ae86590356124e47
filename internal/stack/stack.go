// Package stack runs the whole of reimage on one machine for the demo and the end-to-end tests: a real
// Temporal server on SQLite, real worker processes, and the emulated cloud over real HTTP. Every port
// is picked by the kernel, and every process is ended by its own id.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/reimage/reimage/api"
)

// Binary finds a program of this project: beside the running one, or on the PATH.
func Binary(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the program %s is neither beside this one nor on the PATH: run make build", name)
	}
	return path, nil
}

// Temporal is a Temporal development server with its database in a file.
type Temporal struct {
	Client  client.Client
	Address string
	// UI is the address of the Web UI, empty without it.
	UI     string
	server *testsuite.DevServer
}

// TemporalOptions says how to run the server.
type TemporalOptions struct {
	Path   string // the temporal program
	DB     string // the SQLite file
	UI     bool
	Output io.Writer
	Logger log.Logger
}

// StartTemporal returns once the server answers.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	options := testsuite.DevServerOptions{
		ExistingPath: o.Path, DBFilename: o.DB, EnableUI: o.UI, LogLevel: "error",
		ClientOptions: &client.Options{Logger: o.Logger, DataConverter: api.DataConverter()}, Stdout: o.Output, Stderr: o.Output,
	}
	var words lastWords
	options.Stderr = &words
	if o.Output != nil {
		options.Stderr = io.MultiWriter(o.Output, &words)
	}
	t := &Temporal{}
	if o.UI {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		options.UIPort = port
		t.UI = "http://127.0.0.1:" + port
	}
	// A cancel in the middle would leave the process behind: the SDK hands it out only once it answers.
	server, err := testsuite.StartDevServer(context.WithoutCancel(ctx), options)
	if err != nil {
		return nil, fmt.Errorf("the Temporal server %s does not start: %w\n%s", o.Path, err, words.String())
	}
	t.server, t.Client, t.Address = server, server.Client(), server.FrontendHostPort()
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), t.Stop())
	}
	return t, nil
}

// lastWords keeps the end of what a program says, which is where it says why it cannot start.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (w *lastWords) Write(p []byte) (int, error) {
	const most = 1000
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-most):]
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.text))
}

// Stop ends the server and waits for it.
func (t *Temporal) Stop() error {
	t.Client.Close()
	if err := t.server.Stop(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() <= 1 {
			return nil // ended by our interrupt, or by the terminal's before it
		}
		return fmt.Errorf("the Temporal server did not stop cleanly: %w", err)
	}
	return nil
}

// freePort asks the kernel for a port. The Web UI cannot be told to pick one itself.
func freePort(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// Serve serves a handler on a port of the kernel's choice until stop is called.
func Serve(ctx context.Context, handler http.Handler) (url string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	return "http://" + listener.Addr().String(), func() { _ = server.Close(); <-done }, nil
}
