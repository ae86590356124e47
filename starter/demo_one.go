package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// oneServer is the demo of a single change.
type oneServer struct {
	*demo
	server emulator.Server
	image  emulator.Image
	change client.WorkflowRun
}

// changeOne changes one server and kills the worker while the cloud's job runs.
func (d *demo) changeOne(ctx context.Context, _ streams) (proof, error) {
	return (&oneServer{demo: d}).run(ctx)
}

func (d *oneServer) run(ctx context.Context) (evidence, error) {
	if err := d.choose(); err != nil {
		return evidence{}, err
	}
	s := &session{client: d.temporal.Client, taskQueue: api.TaskQueue}
	change := rollout.Change{ImageID: d.image.ID, Login: rollout.Login{KeyPair: d.server.KeyName}}
	found, err := s.check(ctx, d.story, api.CheckServerInput{ServerID: d.server.ID, Change: change})
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
func (d *oneServer) choose() error {
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
func (d *oneServer) killWhileJobRuns(ctx context.Context, s *session) error {
	for {
		status, err := s.status(ctx, d.change.GetID(), d.change.GetRunID())
		if err == nil && status.Now().Step == api.StepWait {
			break
		}
		if err == nil && status.Now().Step == api.StepEnded {
			return errors.New("the change ended before the worker could be killed: lower --speed")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stepInterval):
		}
	}
	first := d.workers[0]
	fmt.Fprintf(d.story, "%s  worker 1 (process %d) is killed with SIGKILL while the job runs\n", timestamp.Clock(time.Now()), first.PID())
	if err := first.Kill(); err != nil {
		return err
	}
	return d.startWorker(ctx)
}
