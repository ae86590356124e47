package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/tests/harness"
)

// wire is the line between the command line and Temporal. It can lose every answer, and be cut for good.
type wire struct {
	listener   net.Listener
	answerless atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener}
	go w.serve(machine.Temporal.Address)
	t.Cleanup(w.cut)
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) serve(temporal string) {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", temporal)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		go func() { _, _ = io.Copy(far, near) }()
		go func() { _, _ = io.Copy(answers{w, near}, far) }()
	}
}

// answers writes what Temporal says, unless it gets lost.
type answers struct {
	*wire
	near net.Conn
}

func (a answers) Write(p []byte) (int, error) {
	if a.answerless.Load() {
		return len(p), nil
	}
	return a.near.Write(p)
}

func (w *wire) cut() {
	_ = w.listener.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

// onTheWay is a change that was started from the command line.
type onTheWay struct {
	*harness.Command
	before emulator.Server
	image  emulator.Image
	run    client.WorkflowRun
}

// change prepares the change of a running server from the command line.
func change(t *testing.T, lab *harness.Lab, flags ...string) onTheWay {
	t.Helper()
	before := lab.Server("ACTIVE")
	image := lab.OtherImage(before)
	args := append([]string{"server", before.ID, "--image", image.ID, "--task-queue", lab.Queue}, flags...)
	return onTheWay{
		Command: machine.Command(t, args...), before: before, image: image,
		run: machine.Temporal.Client.GetWorkflow(t.Context(), api.ChangeOSID(emulator.DefaultProjectID, before.ID), ""),
	}
}

// TestInterruptedWhileWatching presses Ctrl-C while the disk is being replaced.
func TestInterruptedWhileWatching(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 8})
	lab.StartWorker(nil)
	c := change(t, lab, "--yes")
	c.Start()
	lab.AwaitStep(c.run, api.StepWait)

	c.Interrupt()
	ran := c.Wait()
	assert.Equal(t, 130, ran.Code)
	assert.Contains(t, ran.ErrOut, "the change goes on; watch it with: reimage server status "+c.before.ID+" --wait")
	requireDoneOnce(t, lab, c.before, c.image, lab.Result(c.run))
}

// TestConnectionLostWhileWatching cuts the line to Temporal while the disk is being replaced.
func TestConnectionLostWhileWatching(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Speed: 8})
	lab.StartWorker(nil)
	line := newWire(t)
	c := change(t, lab, "--yes")
	c.Env("TEMPORAL_ADDRESS", line.address()).Start()
	lab.AwaitStep(c.run, api.StepWait)

	line.cut()
	ran := c.Wait()
	assert.Equal(t, 1, ran.Code, "nothing has failed but the watching")
	assert.Contains(t, ran.ErrOut, "the change goes on; look with: reimage server status "+c.before.ID)
	requireDoneOnce(t, lab, c.before, c.image, lab.Result(c.run))
}

// TestAnswerToTheStartLost loses Temporal's answers from the consent on: the change is started, and the
// command line cannot know.
func TestAnswerToTheStartLost(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	lab.StartWorker(nil)
	line := newWire(t)
	c := change(t, lab)
	input := c.Input()
	c.Env("TEMPORAL_ADDRESS", line.address()).Start()
	lab.Eventually("consent is asked for", func() bool { return strings.Contains(c.ErrOutput(), "Type yes") })

	line.answerless.Store(true)
	_, err := io.WriteString(input, "yes\n")
	require.NoError(t, err)
	ran := c.Wait()
	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.ErrOut, "may have been started")
	assert.Contains(t, ran.ErrOut, "look with: reimage server status "+c.before.ID)
	assert.NotContains(t, ran.ErrOut, "could not be started")
	requireDoneOnce(t, lab, c.before, c.image, lab.Result(c.run))
}
