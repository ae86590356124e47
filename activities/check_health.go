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

// recordAge is how long the addresses of a server are taken from one reading of its record: they may move, and its disk too.
const recordAge = time.Minute

// CheckHealth probes a server until change.HealthWatch has decided. It changes nothing.
//
// Its errors pass by themselves, or are about the worker: ProbesRefused is tried again on whichever worker of the queue takes
// it, and pauses the rollout meanwhile. ServerVanished and ForeignDisk are final.
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
	var server ecs.Server
	var readAt time.Time
	decide := change.NewHealthWatch(change.HealthInput{Checks: in.Checks, Since: in.Since, Soak: in.Soak}, a.Timing, time.Now())
	for next := decide.Begin(); ; {
		if err := pause(ctx, next.Wait); err != nil {
			return contract.CheckHealthResult{}, err
		}
		if time.Since(readAt) >= recordAge {
			if server, err = s.provenServer(ctx, in); err != nil {
				return contract.CheckHealthResult{}, err
			}
			readAt = time.Now()
		}
		probes, err := a.Prober.probeAll(ctx, server, in.Checks, next.Probe)
		if err != nil {
			return contract.CheckHealthResult{}, err
		}
		if next = decide.Observe(next.Probe, probes, time.Now()); !next.Finished {
			continue
		}
		if next.Verdict.Healthy { // for the disk that was proven, still
			if _, err := s.provenServer(ctx, in); err != nil {
				return contract.CheckHealthResult{}, err
			}
		}
		return contract.CheckHealthResult(next.Verdict), nil
	}
}

// provenServer reads the record of a server, which has its addresses. Another disk than the proven one is believed when it has
// been there for longer than any view is old.
func (s site) provenServer(ctx context.Context, in contract.CheckHealthInput) (ecs.Server, error) {
	for begun := time.Now(); ; {
		server, err := s.serverToProbe(ctx, in.ServerID)
		if err != nil {
			return server, err
		}
		disk := server.SystemVolumeID()
		if disk == "" || disk == in.Disk {
			return server, nil
		}
		if time.Since(begun) > s.Timing.Lag {
			return server, final(api.ErrForeignDisk, fmt.Errorf("its system disk is %s and no longer the proven one, %s", disk, in.Disk))
		}
		if err := pause(ctx, s.Timing.Poll); err != nil {
			return server, err
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
			if err := pause(ctx, min(a.Timing.Poll, change.MaxProbe)); err != nil {
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
