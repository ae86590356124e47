package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// CheckHealth probes a server until change.HealthWatch has decided. It changes nothing.
//
// Its errors pass by themselves, or are about the worker: ProbesRefused is tried again for ever, on whichever worker of the
// queue takes it, and pauses the rollout meanwhile. ServerVanished is final.
func (a *Activities) CheckHealth(ctx context.Context, in contract.CheckHealthInput) (contract.CheckHealthResult, error) {
	heart := startHeart(ctx, struct{}{})
	defer heart.stop()
	if err := a.Prober.check(); err != nil {
		return contract.CheckHealthResult{}, err
	}
	s, err := a.at(ctx, in.Project, in.Change)
	if err != nil {
		return contract.CheckHealthResult{}, err
	}
	server, err := s.serverToProbe(ctx, in.ServerID)
	if err != nil {
		return contract.CheckHealthResult{}, err
	}
	if disk := server.SystemVolumeID(); disk != "" && disk != in.Disk {
		return contract.CheckHealthResult{Reason: fmt.Sprintf("its system disk is %s and no longer the proven one, %s", disk, in.Disk)}, nil
	}
	decide := change.NewHealthWatch(change.HealthInput{Checks: in.Checks, Since: in.Since, Soak: in.Soak}, a.Timing)
	for next := decide.Begin(time.Now()); ; {
		if err := pause(ctx, next.Wait); err != nil {
			return contract.CheckHealthResult{}, err
		}
		probes := make([]change.Probe, len(next.Probe))
		for i, check := range next.Probe {
			if probes[i], err = a.Prober.probe(ctx, server, in.Checks[check]); err != nil {
				return contract.CheckHealthResult{}, err
			}
		}
		if next = decide.Observe(next.Probe, probes, time.Now()); next.Finished {
			return contract.CheckHealthResult(next.Verdict), nil
		}
	}
}

// serverToProbe reads the record of a server, which has its addresses.
func (s site) serverToProbe(ctx context.Context, serverID string) (ecs.Server, error) {
	ctx, end := untilStop(ctx)
	defer end()
	server, err := confirmMissing(ctx, s, func() (ecs.Server, error) { return s.Cloud.Server(ctx, serverID) })
	switch {
	case isNotFound(err), err == nil && server.Status == "DELETED":
		return server, final(api.ErrVanished, gone(serverID))
	case err != nil:
		return server, s.readError(ctx, err)
	}
	return server, nil
}

// healthyNow probes once, and again what is not healthy: one bad answer ends nothing. It names the checks that do not pass.
func (a *Activities) healthyNow(ctx context.Context, server ecs.Server, checks []rollout.HealthCheck) (reasons []string, err error) {
	for _, check := range checks {
		for answers := 1; ; answers++ {
			probe, err := a.Prober.probe(ctx, server, check)
			if err != nil {
				return nil, err
			}
			if probe.Healthy {
				break
			}
			if answers == maxAnswers {
				reasons = append(reasons, fmt.Sprintf("%s: %s", check, probe.Reason))
				break
			}
			if err := pause(ctx, min(a.Timing.Poll, probeTimeout)); err != nil {
				return nil, err
			}
		}
	}
	return reasons, nil
}

// probesRefused is the error of a worker that must not, or cannot, probe servers. That says nothing of them.
func probesRefused(worker string, err error) error {
	if worker != "" {
		err = fmt.Errorf("%w (worker %s)", err, worker)
	}
	return again(api.ErrProbesRefused, err, 5*time.Second)
}

var errProbesOff = errors.New("the worker probes no servers (REIMAGE_PROBES=off), and the health checks need that: switch it on, or run the plan without health")

func (p Prober) check() error {
	if p.Off {
		return probesRefused(p.Worker, errProbesOff)
	}
	return nil
}
