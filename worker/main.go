// Command reimage-worker carries out changes of OS. It is the only process that holds cloud
// credentials; docs/configuration.md lists its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.uber.org/zap"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/buildinfo"
	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Stdout, os.LookupEnv); err != nil {
		fmt.Fprintln(os.Stderr, "reimage-worker:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then hands what it was doing to other workers.
func run(ctx context.Context, env func(string) (string, bool)) error {
	cfg, err := loadConfig(env)
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	logger, err := newLogger(cfg.LogLevel)
	if err != nil {
		return err
	}
	defer func() { _ = logger.Sync() }() // standard error may not be syncable

	profiles, err := makeProfiles(cfg.Clouds)
	if err != nil {
		return fmt.Errorf("the cloud settings cannot be used:\n%w", err)
	}
	defer func() {
		for _, p := range profiles {
			p.Cloud.Close()
		}
		for _, c := range cfg.Clouds {
			c.close()
		}
	}()

	temporal, err := connect.Temporal(ctx, log.NewStructuredLogger(toSlog(logger)))
	if err != nil {
		return err
	}
	defer temporal.Close()

	return serve(ctx, cfg, logger, temporal, &activities.Activities{
		Profiles: profiles,
		Secrets:  activities.Secrets{Dir: cfg.SecretsDir, LookupEnv: env, Worker: identity(), PinKey: cfg.PinKey},
		Timing:   cfg.Timing,
		Temporal: temporal,
		Prober:   activities.Prober{Off: cfg.ProbesOff, Worker: identity()},
	})
}

// identity is the name of this process among the workers: "4711@build-07".
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}

// activitiesAtOnce has room for several rollouts with every slot in use. What runs here mostly waits.
const activitiesAtOnce = 8 * rollout.MaxInFlight

// ownWorker takes nothing but what reimage doctor asks of this very process.
func ownWorker(temporal client.Client, taskQueue string, acts *activities.Activities) worker.Worker {
	own := worker.New(temporal, contract.WorkerQueue(taskQueue, acts.Secrets.Worker), worker.Options{
		Identity: acts.Secrets.Worker, DisableWorkflowWorker: true, DisableRegistrationAliasing: true, MaxConcurrentActivityTaskPollers: 1,
	})
	own.RegisterActivityWithOptions(acts.Diagnose, activity.RegisterOptions{Name: contract.Diagnose})
	return own
}

func serve(ctx context.Context, cfg config, logger *zap.Logger, temporal client.Client, acts *activities.Activities) error {
	fatal := make(chan error, 1)
	w := worker.New(temporal, cfg.TaskQueue, worker.Options{
		Identity: acts.Secrets.Worker,
		// A request that is under way may end before its activity is handed to another worker.
		WorkerStopTimeout:                cfg.RequestTimeout + stopMargin,
		MaxHeartbeatThrottleInterval:     heartbeatThrottle,
		DefaultHeartbeatThrottleInterval: heartbeatThrottle,
		DisableRegistrationAliasing:      true,
		Interceptors:                     []interceptor.WorkerInterceptor{&activities.TellRollout{Rollout: api.RolloutName}},
		// A rollout that continued as new waits for each server in flight in an activity, beside the activities
		// that work on that server. With fewer places the waits could keep the work out.
		MaxConcurrentActivityExecutionSize: activitiesAtOnce,
		// Temporal keeps this limit for all workers of the queue; the calls per second are each worker's own.
		TaskQueueActivitiesPerSecond: cfg.ActivitiesPerSecond,
		OnFatalError: func(err error) {
			select {
			case fatal <- err:
			default:
			}
		},
	})
	workflows.Register(w)
	acts.Register(w)
	if err := w.Start(); err != nil {
		return fmt.Errorf("the worker cannot start: %w", err)
	}
	own := ownWorker(temporal, cfg.TaskQueue, acts)
	if err := own.Start(); err != nil {
		w.Stop()
		return fmt.Errorf("the worker cannot start: %w", err)
	}
	defer own.Stop()
	health, err := startHealth(ctx, cfg.Listen, func(ctx context.Context) error {
		_, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
	if err != nil {
		w.Stop()
		return err
	}
	logger.Info("worker started", zap.Stringer("version", buildinfo.Read()),
		zap.String("task_queue", cfg.TaskQueue), zap.Strings("profiles", described(cfg.Clouds, acts.Profiles)),
		zap.String("health", health.url()))
	introduced := make(chan struct{})
	asking, stopAsking := context.WithCancel(ctx)
	go func() {
		defer close(introduced)
		introduce(asking, logger, cfg.Clouds, acts)
	}()

	select {
	case <-ctx.Done():
		logger.Info("stopping: running activities are handed to other workers")
	case err = <-fatal:
		err = fmt.Errorf("the worker failed: %w", err)
	}
	health.notReady()
	stopAsking()
	<-introduced
	w.Stop()
	logger.Info("worker stopped")
	return errors.Join(err, health.stop())
}
