package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/log"

	"log/slog"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/stack"
)

type demoOptions struct {
	one      bool
	keep     bool
	output   outputFormat
	speed    float64
	temporal string
}

func (o *demoOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.one, "one", false, "change one server and show each of its steps")
	f.BoolVar(&o.keep, "keep", false, "keep everything running afterwards, with Temporal's Web UI, until Ctrl-C")
	f.Float64Var(&o.speed, "speed", 10, "emulated `seconds` that pass in a real one")
	f.StringVar(&o.temporal, "temporal", "", "`path` of the temporal program (default: beside this one, or on the PATH)")
	addOutputFlag(f, &o.output)
}

func newDemoCommand(io streams) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Roll a fleet of emulated servers to a new OS and kill the worker on the way",
		Long: `Change the OS of 24 running servers in three waves, for real: a Temporal server on
SQLite, a worker process and real HTTP, with a cloud that is emulated. Two servers fail,
which the plan tolerates. The worker is killed with SIGKILL on the way, and another one
is started. At the end comes the report, and the evidence from the cloud's own ledger.
With --one it is one server, and each of its steps. No process is left behind, and
nothing outside this machine is reached.
` + exitCodes,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), io, o) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func runDemo(ctx context.Context, io streams, o demoOptions) (err error) {
	story := io.out
	if o.output == outputJSON {
		story = io.err
	}
	d, err := startDemo(ctx, story, o)
	if d != nil {
		defer func() { err = errors.Join(err, d.stop()) }()
	}
	if err != nil {
		return err
	}
	tell := d.rollFleet
	if o.one {
		tell = d.changeOne
	}
	proof, err := tell(ctx, io)
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("the demo and its cloud are gone")
	case err != nil:
		return err
	}
	if o.output == outputJSON {
		err = printJSON(io, proof)
	} else {
		proof.print(io.out)
	}
	if err != nil || !proof.proven() {
		return errors.Join(err, &exitError{exitFailed, errors.New("the demo did not prove what it should")})
	}
	if o.keep {
		fmt.Fprintf(story, "\nTemporal's Web UI: %s/namespaces/default/workflows\nEverything keeps running until Ctrl-C.\n", d.temporal.UI)
		<-ctx.Done()
	}
	return nil
}

// proof is what a demo has shown, by the cloud's own account.
type proof interface {
	proven() bool
	print(io.Writer)
}

// demo is the whole of reimage on this machine.
type demo struct {
	story    io.Writer
	began    time.Time
	dir      string
	cloud    *emulator.Emulator
	cloudURL string
	temporal *stack.Temporal
	workers  []*stack.Worker
	stops    []func() error
}

// startDemo starts the parts. What was started comes back even with an error, to be stopped.
func startDemo(ctx context.Context, story io.Writer, o demoOptions) (*demo, error) {
	d := &demo{story: story, began: time.Now()}
	dir, err := os.MkdirTemp("", "reimage-demo-")
	if err != nil {
		return nil, err
	}
	d.dir = dir
	d.stops = append(d.stops, func() error { return os.RemoveAll(dir) })

	cloud := emulator.Options{Servers: 12, Seed: 1, Speed: o.speed}
	if !o.one {
		cloud.Servers, cloud.Fleet, cloud.Faults = 0, demoFleet(), demoFaults()
	}
	if d.cloud, err = emulator.New(cloud); err != nil {
		return d, err
	}
	url, stopCloud, err := stack.Serve(ctx, d.cloud)
	if err != nil {
		return d, err
	}
	d.cloudURL = url
	d.stops = append(d.stops, func() error { stopCloud(); return nil })

	path := o.temporal
	if path == "" {
		if path, err = stack.Binary("temporal"); err != nil {
			return d, err
		}
	}
	serverLog, err := os.Create(filepath.Join(dir, "temporal.log"))
	if err != nil {
		return d, err
	}
	d.stops = append(d.stops, serverLog.Close)
	d.temporal, err = stack.StartTemporal(ctx, stack.TemporalOptions{
		Path: path, DB: filepath.Join(dir, "temporal.db"), UI: o.keep, Output: serverLog,
		Logger: log.NewStructuredLogger(slog.New(slog.NewTextHandler(serverLog, nil))),
	})
	if err != nil {
		return d, err
	}
	d.stops = append(d.stops, d.temporal.Stop)
	fmt.Fprintf(story, "Temporal   %s (SQLite)\nCloud      %s (emulated, %g times faster than time)\n", d.temporal.Address, d.cloudURL, o.speed)
	return d, d.startWorker(ctx)
}

func (d *demo) startWorker(ctx context.Context) error {
	path, err := stack.Binary("reimage-worker")
	if err != nil {
		return err
	}
	workerLog, err := os.Create(filepath.Join(d.dir, fmt.Sprintf("worker-%d.log", len(d.workers)+1)))
	if err != nil {
		return err
	}
	worker, err := stack.StartWorker(ctx, stack.WorkerOptions{
		Path: path, Address: d.temporal.Address, Dir: d.dir, Log: workerLog,
		Env: map[string]string{
			"HUAWEICLOUD_SDK_AK": emulator.DefaultAccessKey, "HUAWEICLOUD_SDK_SK": emulator.DefaultSecretKey,
			"HUAWEICLOUD_SDK_PROJECT_ID": emulator.DefaultProjectID,
			"REIMAGE_ECS_ENDPOINT":       d.cloudURL, "REIMAGE_IMS_ENDPOINT": d.cloudURL,
			"REIMAGE_POLL_INTERVAL": "1s", "REIMAGE_CALLS_PER_SECOND": "200",
			// This cloud answers at once, bears any number of calls, and its view does not lag: a verdict need not wait as long.
			"REIMAGE_REQUEST_TIMEOUT": "5s", "REIMAGE_MAX_LAG": "5s", "REIMAGE_SETTLE_TIME": "12s",
		},
	})
	if err != nil {
		return errors.Join(err, workerLog.Close())
	}
	d.workers = append(d.workers, worker)
	d.stops = append(d.stops, worker.Stop)
	fmt.Fprintf(d.story, "Worker %d   process %d\n", len(d.workers), worker.PID())
	return nil
}

// stop ends everything in the opposite order.
func (d *demo) stop() error {
	var errs []error
	for i := len(d.stops) - 1; i >= 0; i-- {
		errs = append(errs, d.stops[i]())
	}
	return errors.Join(errs...)
}
