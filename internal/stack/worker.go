package stack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Worker is one worker process.
type Worker struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process is gone and its output is read
}

// WorkerOptions says how to run a worker.
type WorkerOptions struct {
	Path    string // the reimage-worker program
	Address string // of Temporal
	Dir     string // a folder of the worker's own, for a home without anybody's settings
	Env     map[string]string
	Log     io.Writer
}

// startTimeout bounds the start of a worker on a busy machine.
const startTimeout = time.Minute

// StartWorker returns once the worker polls. The process sees nothing of the caller's environment, so
// nobody's real cloud or Temporal can be reached by accident.
func StartWorker(ctx context.Context, o WorkerOptions) (*Worker, error) {
	cmd := exec.Command(o.Path)
	cmd.Dir = o.Dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir, "TEMPORAL_CONFIG_FILE=" + filepath.Join(o.Dir, "no-temporal.toml"),
		"TEMPORAL_ADDRESS=" + o.Address, "REIMAGE_LISTEN=127.0.0.1:0",
	}
	for name, value := range o.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the worker %s does not start: %w", o.Path, err)
	}
	w := &Worker{cmd: cmd, exited: make(chan struct{})}
	started := make(chan struct{})
	go w.follow(output, o.Log, started)

	select {
	case <-started:
		return w, nil
	case <-w.exited:
		return nil, fmt.Errorf("the worker ended at once: %s", cmd.ProcessState)
	case <-time.After(startTimeout):
		return nil, errors.Join(errors.New("the worker does not come up"), w.Kill())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), w.Kill())
	}
}

// follow copies the log and notices the line that says the worker has started.
func (w *Worker) follow(output io.Reader, log io.Writer, started chan<- struct{}) {
	defer close(w.exited)
	lines := bufio.NewReader(output)
	for announced := false; ; {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(log, line)
		if !announced && strings.Contains(line, `"worker started"`) {
			announced = true
			close(started)
		}
		if err != nil {
			break
		}
	}
	_ = w.cmd.Wait() // how it ended is in ProcessState
}

// PID is the process id.
func (w *Worker) PID() int { return w.cmd.Process.Pid }

// Exited is closed once the process is gone.
func (w *Worker) Exited() <-chan struct{} { return w.exited }

// Kill ends the process with SIGKILL: it gets no chance to tell anybody.
func (w *Worker) Kill() error { return w.end(syscall.SIGKILL) }

// Stop ends the process with SIGTERM and waits until it has handed over what it was doing.
func (w *Worker) Stop() error { return w.end(syscall.SIGTERM) }

// Signal sends a signal and waits for nothing.
func (w *Worker) Signal(signal os.Signal) error { return w.cmd.Process.Signal(signal) }

// Stopped tells whether every thread of the process stands still: after SIGSTOP they run on for some moments. On systems
// without /proc nobody can tell, and it says yes.
func (w *Worker) Stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", w.cmd.Process.Pid))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return false // it has just ended
		}
		_, state, _ := bytes.Cut(stat, []byte(") ")) // after the name of the program
		if !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}

func (w *Worker) end(signal os.Signal) error {
	err := w.cmd.Process.Signal(signal)
	<-w.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
