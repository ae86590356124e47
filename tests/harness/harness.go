// Package harness gives the end-to-end tests real parts: the programs as users run them, one Temporal
// server with its database on disk, and an emulated cloud of its own for every test.
package harness

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"

	"github.com/reimage/reimage/internal/stack"
)

// Machine is what all tests of a package share.
type Machine struct {
	Temporal *stack.Temporal
	// DB is the SQLite file that holds every history.
	DB string
	// TemporalProgram is the path of the program that serves it.
	TemporalProgram string

	bin string
	dir string
}

// parallel is how many tests run at once: they wait for an emulated cloud and for timeouts, not for a processor.
const parallel = "8"

// Main runs a package's tests on a machine of their own and returns the exit code for os.Exit.
func Main(m *testing.M, machine **Machine) int {
	started, err := start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests cannot start:", err)
		return 1
	}
	*machine = started
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := started.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests did not stop cleanly:", err)
		return max(code, 1)
	}
	return code
}

func start(ctx context.Context) (*Machine, error) {
	m, err := NewMachine()
	if err != nil {
		return nil, err
	}
	serverLog, err := m.TemporalLog()
	if err != nil {
		return nil, errors.Join(err, m.Remove())
	}
	m.Temporal, err = stack.StartTemporal(ctx, stack.TemporalOptions{
		Path: m.TemporalProgram, DB: m.DB, Output: serverLog,
		Logger: log.NewStructuredLogger(slog.New(slog.NewTextHandler(serverLog, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	})
	if err != nil {
		return nil, errors.Join(err, m.Remove())
	}
	return m, nil
}

// NewMachine builds the programs and starts nothing, for tests that run a Temporal server of their own. They set
// Temporal themselves, stop it, and Remove the machine.
func NewMachine() (*Machine, error) {
	dir, err := os.MkdirTemp("", "reimage-test-")
	if err != nil {
		return nil, err
	}
	m := &Machine{dir: dir, bin: filepath.Join(dir, "bin"), DB: filepath.Join(dir, "temporal.db")}
	if err := m.build(); err != nil {
		return nil, errors.Join(err, m.Remove())
	}
	if m.TemporalProgram, err = TemporalProgram(); err != nil {
		return nil, errors.Join(err, m.Remove())
	}
	return m, nil
}

// TemporalLog is the file for what the Temporal server says.
func (m *Machine) TemporalLog() (*os.File, error) {
	return os.OpenFile(filepath.Join(m.dir, "temporal.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

// Remove removes everything the machine has on disk.
func (m *Machine) Remove() error { return os.RemoveAll(m.dir) }

func (m *Machine) stop() error {
	return errors.Join(m.Temporal.Stop(), m.Remove())
}

// build builds the programs from the tree under test, with the race detector when the tests have it.
func (m *Machine) build() error {
	for program, pkg := range map[string]string{"reimage": "starter", "reimage-worker": "worker"} {
		args := []string{"build", "-o", filepath.Join(m.bin, program)}
		if race {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "./"+pkg)...)
		build.Dir = repository()
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	return nil
}

// TemporalProgram is what make built or found. A test that cannot run is an error and not a skip.
func TemporalProgram() (string, error) {
	path := cmp.Or(os.Getenv("REIMAGE_TEMPORAL"), filepath.Join(repository(), "bin", "temporal"))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	return "", errors.New("there is no temporal program: run the tests with make test, which builds one")
}

// repository is the root of the tree this file was compiled from.
func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Ran is what a run of the command line gave.
type Ran struct {
	Code        int
	Out, ErrOut string
}

// CLI runs the reimage program as a user would, with no settings but those given.
func (m *Machine) CLI(t testing.TB, args ...string) Ran {
	t.Helper()
	return m.Command(t, args...).Run("")
}

// Command is a run of the reimage program.
type Command struct {
	t        testing.TB
	cmd      *exec.Cmd
	out, err lockedBuffer
}

// Command prepares a run of the reimage program.
func (m *Machine) Command(t testing.TB, args ...string) *Command {
	c := &Command{t: t, cmd: exec.Command(filepath.Join(m.bin, "reimage"), args...)}
	home := t.TempDir()
	c.cmd.Dir = home
	c.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TEMPORAL_CONFIG_FILE=" + filepath.Join(home, "no-temporal.toml"),
		"TEMPORAL_ADDRESS=" + m.Temporal.Address,
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	return c
}

// Env sets a variable; the last one of a name counts.
func (c *Command) Env(name, value string) *Command {
	c.cmd.Env = append(c.cmd.Env, name+"="+value)
	return c
}

// Run runs the program to its end with the input.
func (c *Command) Run(input string) Ran {
	c.t.Helper()
	c.cmd.Stdin = strings.NewReader(input)
	c.Start()
	return c.Wait()
}

// Input is the program's standard input, for a test that answers questions. Ask for it before the start.
func (c *Command) Input() io.Writer {
	c.t.Helper()
	input, err := c.cmd.StdinPipe()
	require.NoError(c.t, err)
	return input
}

// Start starts the program without waiting for it.
func (c *Command) Start() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Start())
	c.t.Cleanup(func() {
		if c.cmd.ProcessState == nil { // the test gave up on it
			_ = c.cmd.Process.Signal(os.Interrupt)
			_ = c.cmd.Wait()
		}
	})
}

// Output is what the program has written to standard output so far.
func (c *Command) Output() string { return c.out.String() }

// ErrOutput is what the program has written to standard error so far.
func (c *Command) ErrOutput() string { return c.err.String() }

// Interrupt is Ctrl-C.
func (c *Command) Interrupt() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(os.Interrupt))
}

// Wait waits for the end of the program.
func (c *Command) Wait() Ran {
	c.t.Helper()
	err := c.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || ok && !exit.Exited() {
		c.t.Fatalf("reimage %s: %v\n%s", strings.Join(c.cmd.Args[1:], " "), err, c.err.String())
	}
	ran := Ran{Code: c.cmd.ProcessState.ExitCode(), Out: c.out.String(), ErrOut: c.err.String()}
	c.t.Logf("reimage %s\nexit %d\n%s%s", strings.Join(c.cmd.Args[1:], " "), ran.Code, ran.ErrOut, ran.Out)
	return ran
}
