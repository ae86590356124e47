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
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"log/slog"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/stack"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

type demoOptions struct {
	keep     bool
	output   outputFormat
	speed    float64
	temporal string
}

func (o *demoOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.keep, "keep", false, "keep everything running afterwards, with Temporal's Web UI, until Ctrl-C")
	f.Float64Var(&o.speed, "speed", 6, "emulated `seconds` that pass in a real one")
	f.StringVar(&o.temporal, "temporal", "", "`path` of the temporal program (default: beside this one, or on the PATH)")
	addOutputFlag(f, &o.output)
}

func newDemoCommand(io streams) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Change the OS of an emulated server and kill the worker on the way",
		Long: `Change the OS of a running server for real: a Temporal server on SQLite, a worker
process and real HTTP, with a cloud that is emulated. The worker is killed with
SIGKILL while the job runs, and another one is started. At the end comes the evidence.
No process is left behind, and nothing outside this machine is reached.
` + exitCodes,
		Args: cobra.NoArgs,
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
	evidence, err := d.run(ctx)
	if err != nil {
		return err
	}
	if o.output == outputJSON {
		err = printJSON(io, evidence)
	} else {
		evidence.print(io.out)
	}
	if err != nil || !evidence.proven() {
		return errors.Join(err, &exitError{exitFailed, errors.New("the demo did not prove what it should")})
	}
	if o.keep {
		fmt.Fprintf(story, "\nTemporal's Web UI: %s/namespaces/default/workflows/%s\nEverything keeps running until Ctrl-C.\n", d.temporal.UI, d.change.GetID())
		<-ctx.Done()
	}
	return nil
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
	server   emulator.Server
	image    emulator.Image
	change   client.WorkflowRun
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

	if d.cloud, err = emulator.New(emulator.Options{Servers: 12, Seed: 1, Speed: o.speed}); err != nil {
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
			"REIMAGE_POLL_INTERVAL": "1s",
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

// run changes one server and kills the worker while the cloud's job runs.
func (d *demo) run(ctx context.Context) (evidence, error) {
	if err := d.choose(); err != nil {
		return evidence{}, err
	}
	s := &session{client: d.temporal.Client, taskQueue: connect.TaskQueue}
	change := rollout.Change{ImageID: d.image.ID, Login: rollout.Login{KeyPair: d.server.KeyName}}
	found, err := s.check(ctx, activities.PreflightInput{ServerID: d.server.ID, Change: change})
	if err != nil {
		return evidence{}, err
	}
	if err := refusal(found); err != nil {
		return evidence{}, err
	}
	fmt.Fprintf(d.story, "\n%s\n", loss(d.server.ID, found))
	if d.change, err = s.start(ctx, d.server.ID, change, found); err != nil {
		return evidence{}, err
	}
	killed := make(chan error, 1)
	go func() { killed <- d.killWhileJobRuns(ctx, s) }()

	result, err := s.watch(ctx, streams{out: d.story, err: d.story}, d.change)
	if err := errors.Join(err, <-killed); err != nil {
		return evidence{}, err
	}
	return d.collect(ctx, result)
}

// choose takes a running server with data disks and an image that it does not have.
func (d *demo) choose() error {
	for _, server := range d.cloud.Servers() {
		if server.Status != rollout.StatusActive || len(server.DataVolumeIDs) == 0 {
			continue
		}
		for _, image := range d.cloud.Images() {
			if image.Status == "active" && image.ID != server.ImageID && image.MinDiskGB <= server.SystemDiskGB {
				d.server, d.image = server, image
				return nil
			}
		}
	}
	return errors.New("the emulated cloud has no running server with another image to change to")
}

// killWhileJobRuns waits for the job, kills the worker without warning and starts another one.
func (d *demo) killWhileJobRuns(ctx context.Context, s *session) error {
	for {
		status, err := s.status(ctx, d.change.GetID(), d.change.GetRunID())
		if err == nil && status.Now().Step == workflows.StepWait {
			break
		}
		if err == nil && status.Now().Step == workflows.StepEnded {
			return errors.New("the change ended before the worker could be killed: lower --speed")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stepInterval):
		}
	}
	first := d.workers[0]
	fmt.Fprintf(d.story, "%s  worker 1 (process %d) is killed with SIGKILL while the job runs\n", time.Now().Format(time.TimeOnly), first.PID())
	if err := first.Kill(); err != nil {
		return err
	}
	return d.startWorker(ctx)
}
