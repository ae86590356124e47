// Package activities is the only place where Temporal meets the cloud. There is one file for each
// activity; its name, its input and its result are in package contract. Every activity is idempotent or guarded
// against being run again, because Temporal runs it again whenever a worker dies.
package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// Activities carries what the activities of one worker share.
type Activities struct {
	// Profiles are the projects that the worker serves, each under its own name.
	Profiles []Profile
	Secrets  Secrets
	Timing   change.Timing
	Temporal Temporal
	Prober   Prober

	// What they know together spares the cloud calls.
	images    remembered[ecs.Image]
	keyPairs  remembered[keyPairFinding]
	durations durations
	rounds    rounds
	pins      pins
	recalls   recalls
}

// Register adds every activity under its exact name.
func (a *Activities) Register(r worker.ActivityRegistry) {
	for name, method := range map[string]any{
		contract.Preflight:      a.Preflight,
		contract.StopIfNeeded:   a.StopIfNeeded,
		contract.SubmitChangeOS: a.SubmitChangeOS,
		contract.PollJob:        a.PollJob,
		contract.VerifyServer:   a.VerifyServer,
		contract.CheckHealth:    a.CheckHealth,
		contract.RestorePower:   a.RestorePower,
		contract.AwaitServer:    a.AwaitServer,
		contract.FindHolder:     a.FindHolder,
		contract.FindStarted:    a.FindStarted,
		contract.ReadStates:     a.ReadStates,
		contract.MakePlan:       a.MakePlan,
		contract.CheckPlan:      a.CheckPlan,
		contract.Diagnose:       a.Diagnose,
	} {
		r.RegisterActivityWithOptions(method, activity.RegisterOptions{Name: name})
	}
}

// observe reads a server. A server that the cloud does not know is an observation, not an error.
func (s site) observe(ctx context.Context, serverID string) (rollout.Observation, error) {
	now, _, err := s.observeAt(ctx, serverID)
	return now, err
}

// observeAt also tells as of when the observation is, for looks that justify a write. While the question waited
// for its turn nothing got old.
func (s site) observeAt(ctx context.Context, serverID string) (now rollout.Observation, asOf time.Time, err error) {
	ctx, end := untilStop(ctx)
	defer end()
	server, err := s.Cloud.Server(ctx, serverID)
	if isNotFound(err) || err == nil && server.Status == "DELETED" {
		return rollout.Observation{}, time.Now(), nil
	}
	if err != nil {
		return rollout.Observation{}, time.Time{}, s.readError(ctx, err)
	}
	now = observation(server)
	if now.VolumeID == "" && !now.Rebuilding() {
		// The server's detail names no system disk. Only the disks themselves tell whether there is none.
		disk, err := s.systemDisk(ctx, serverID)
		if err != nil {
			return rollout.Observation{}, time.Time{}, s.readError(ctx, err)
		}
		now.VolumeID = disk.VolumeID
	}
	return now, server.AsOf, nil
}

// maxAnswers is how often the cloud has to give an answer that would end something before it is believed. A proxy may have
// given it, or a replica whose view is old.
const maxAnswers = 3

// confirmMissing reads again, after a poll interval each, while the cloud does not know what it is asked for.
func confirmMissing[T any](ctx context.Context, s site, read func() (T, error)) (T, error) {
	for answers := 1; ; answers++ {
		found, err := read()
		if !isNotFound(err) || answers == maxAnswers {
			return found, err
		}
		if err := pause(ctx, s.Timing.Poll); err != nil {
			return found, err
		}
	}
}

// job reads a job. An answer of the cloud about the job itself, one that it does not know or does not tell of, is the
// client's error; all else is one of the activity.
func (s site) job(ctx context.Context, jobID string) (ecs.Job, error) {
	ctx, end := untilStop(ctx)
	defer end()
	job, err := s.Cloud.Job(ctx, jobID)
	if err == nil || isNotFound(err) || isAnswer(err) {
		return job, err
	}
	return job, s.readError(ctx, err)
}

func gone(serverID string) error {
	return fmt.Errorf("server %s is gone: the cloud no longer knows it", serverID)
}

// systemDisk reads the disk that the server boots from. No such disk, or two of them, is the zero value:
// what the server shows after a failed change, or while the cloud swaps disks. Trouble with asking is an
// error and never a lost disk.
func (s site) systemDisk(ctx context.Context, serverID string) (ecs.Disk, error) {
	disk, err := s.Cloud.SystemDisk(ctx, serverID)
	cloud, ok := errors.AsType[*ecs.Error](err)
	if ok && cloud.Code == noSystemDisk || errors.Is(err, ecs.ErrNoSystemDisk) || errors.Is(err, ecs.ErrTwoSystemDisks) {
		return ecs.Disk{}, nil
	}
	return disk, err
}

// noSystemDisk is the cloud's own word for it (ECS error table).
const noSystemDisk = "Ecs.0105"

func observation(server ecs.Server) rollout.Observation {
	return rollout.Observation{
		Fingerprint: rollout.Fingerprint{ImageID: server.ImageID, VolumeID: server.SystemVolumeID()},
		Exists:      true,
		Status:      server.Status,
		TaskState:   server.TaskState,
		Updated:     server.Updated,
	}
}

// isFirst is true when nobody has tried the activity before. One that was reset by hand counts its attempts
// anew and keeps its heartbeat.
func isFirst(ctx context.Context) bool {
	return activity.GetInfo(ctx).Attempt == 1 && !activity.HasHeartbeatDetails(ctx)
}

// untilStop is the context of reads. It ends also when the worker is told to stop: a read may wait for its turn for
// longer than a worker that stops does, and another worker can ask as well. It is no context for writes: one that was
// begun is seen to its end. What it returns last has to be called at the end.
func untilStop(ctx context.Context) (context.Context, func()) {
	stop := activity.GetWorkerStopChannel(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stop:
			cancel(workerStopping())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// ended is why a context has ended: the worker is told to stop, or what Temporal says.
func ended(ctx context.Context) error {
	if stopping, ok := errors.AsType[*temporal.ApplicationError](context.Cause(ctx)); ok {
		return stopping
	}
	return ctx.Err()
}

// pause waits between two looks at the cloud. It ends early, with an error, when the activity is
// cancelled or when the worker is told to stop: then another worker adopts the activity at once.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-activity.GetWorkerStopChannel(ctx):
		return workerStopping()
	}
}
