package real

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/stack"
)

// Temporal is a Temporal server that dies and comes back. Its database outlives it, and so does its address: behind
// that, each process listens on a port of its own. (The SDK's own development server cannot be killed: it hands out
// no process.)
type Temporal struct {
	program, db string
	output      *os.File

	front *Link // the address that everybody knows
	// alive is held for reading by whoever needs the server for its work and not for the campaign.
	alive   sync.RWMutex
	client  client.Client
	process *exec.Cmd
	exited  chan struct{}
	life    context.Context
	end     context.CancelFunc
}

// startTries is how often the server is brought back: somebody else may have taken its port meanwhile.
const startTries = 3

// startTimeout bounds the start of the server on a busy machine.
const startTimeout = 2 * time.Minute

// StartTemporal returns once the server answers.
func StartTemporal(ctx context.Context, program, db string, output *os.File) (*Temporal, error) {
	front, err := NewLink(ctx, "")
	if err != nil {
		return nil, err
	}
	t := &Temporal{program: program, db: db, output: output, front: front}
	t.life, t.end = context.WithCancel(context.WithoutCancel(ctx))
	t.client, err = client.NewLazyClient(client.Options{
		HostPort: front.Address(), DataConverter: api.DataConverter(),
		Logger: log.NewStructuredLogger(slog.New(slog.NewTextHandler(output, &slog.HandlerOptions{Level: slog.LevelError}))),
	})
	if err != nil {
		front.Close()
		return nil, err
	}
	if err := t.Start(ctx); err != nil {
		return nil, errors.Join(err, t.Stop())
	}
	return t, nil
}

// Stack is the server as the harness knows it.
func (t *Temporal) Stack() *stack.Temporal {
	return &stack.Temporal{Client: t.client, Address: t.front.Address()}
}

// Start starts a process on the database, the first or the next one, and returns once it answers. It tries a few times:
// somebody else may take the port that the kernel has just named.
func (t *Temporal) Start(ctx context.Context) error {
	var err error
	for range startTries {
		if err = t.start(ctx); err == nil {
			return nil
		}
		if t.exited != nil {
			_ = t.Kill() // it may have started and not answer
		}
	}
	return fmt.Errorf("%w\n%s", err, t.lastWords())
}

func (t *Temporal) start(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	t.process = exec.Command(t.program, "server", "start-dev", "--ip", host, "--port", port, "--headless",
		"--db-filename", t.db, "--log-level", "error", "--dynamic-config-value", "frontend.enableServerVersionCheck=false")
	t.process.Stdout, t.process.Stderr = t.output, t.output
	if err := t.process.Start(); err != nil {
		return fmt.Errorf("the Temporal server %s does not start: %w", t.program, err)
	}
	t.exited = make(chan struct{})
	go func(process *exec.Cmd, exited chan<- struct{}) {
		defer close(exited)
		_ = process.Wait() // how it ended is in ProcessState
	}(t.process, t.exited)
	t.front.Lead(address)
	return t.await(ctx)
}

// await asks the server how it is until it answers.
func (t *Temporal) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		askCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := t.client.CheckHealth(askCtx, &client.CheckHealthRequest{})
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-t.exited:
			return fmt.Errorf("the Temporal server ended at once: %s", t.process.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("the Temporal server does not answer: %w", err)
		case <-again.C:
		}
	}
}

// Die kills the server and starts it again on its database.
func (t *Temporal) Die(ctx context.Context, down time.Duration) error {
	t.alive.Lock()
	defer t.alive.Unlock()
	if ctx.Err() != nil {
		return nil // whoever wanted it has ended
	}
	if err := t.Kill(); err != nil {
		return fmt.Errorf("the Temporal server cannot be killed: %w", err)
	}
	pause(ctx, down)
	if err := t.Start(context.WithoutCancel(ctx)); err != nil {
		t.end() // nobody need wait for anything any more
		return fmt.Errorf("the Temporal server does not come back: %w", err)
	}
	return nil
}

// lastWords are the end of what the server had to say.
func (t *Temporal) lastWords() string {
	const most = 4 << 10
	info, err := t.output.Stat()
	if err != nil {
		return err.Error()
	}
	words := make([]byte, min(most, info.Size()))
	n, _ := t.output.ReadAt(words, info.Size()-int64(len(words)))
	return string(words[:n])
}

// Life ends with the server, when it cannot be brought back.
func (t *Temporal) Life() context.Context { return t.life }

// Spare keeps the server alive while something is asked that is no part of the campaign.
func (t *Temporal) Spare(do func()) {
	t.alive.RLock()
	defer t.alive.RUnlock()
	do()
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (t *Temporal) Kill() error {
	err := t.process.Process.Kill()
	<-t.exited
	return err
}

// Stop ends the server for good. Nobody needs the database after that.
func (t *Temporal) Stop() error {
	t.end()
	t.client.Close()
	var err error
	if t.exited != nil {
		select {
		case <-t.exited:
		default:
			err = t.Kill()
		}
	}
	t.front.Close()
	return err
}

// freeAddress asks the kernel for a port: the server cannot be told to pick one itself.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
