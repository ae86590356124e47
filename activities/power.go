package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// PowerProgress is the heartbeat of a stop or start. The next attempt adopts the job it names.
type PowerProgress struct {
	JobID string `json:"job_id,omitempty"`
	// Since is when the job was accepted, or when a power-off without a known job was first seen.
	Since time.Time `json:"since,omitzero"`
	Hard  bool      `json:"hard,omitempty"`
	// Acted is true once a request was accepted, whatever became of its job.
	Acted bool `json:"acted,omitempty"`
	// Reached is true once the job of that request has succeeded.
	Reached bool `json:"reached,omitempty"`
	// Status is the last one seen, for whoever reads the heartbeat.
	Status string `json:"status,omitempty"`
}

// The task states of a server that shuts down or starts; its status is still the one from before then.
const (
	taskPoweringOff = "powering-off"
	taskPoweringOn  = "powering-on"
)

// powerChange brings one server to a power state and waits until it is there with nothing under way.
// Stopping or starting twice is harmless, so a doubtful outcome is settled by looking again.
type powerChange struct {
	site
	project   string
	serverID  string
	change    rollout.Change // the one that it is for: the cloud may repeat its secrets
	disk      string         // the system disk it is about, empty for any
	want      string         // rollout.StatusActive or rollout.StatusShutoff
	allowHard bool
	// failedWillDo leaves a server in ERROR as it is.
	failedWillDo bool
	// unsettled is true when the server may be about to change by itself: a stop may be on its way, or its
	// new system still sets itself up. What it shows is then neither believed nor acted on until it has
	// shown the same for the settle time.
	unsettled bool
	// permit refuses all of it. Nil allows it.
	permit func(context.Context, site) error

	progress PowerProgress
	lost     bool // an answer was lost, so a request may arrive yet
	// refusal is one for a reason that is in no table. It proves nothing: the server has to tell.
	refusal     *ecs.Error
	refusedAt   time.Time
	refusedHard bool         // it is of a hard stop
	recall      *recallCheck // of the rollout that the server belongs to; nil when power is given back
	heart       *heart
	job         *watch    // nil when there is none
	followed    time.Time // when the job was read last
}

func (p *powerChange) run(ctx context.Context) (rollout.Observation, error) {
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are no reason to stop: looking at the server tells as much.
		_ = activity.GetHeartbeatDetails(ctx, &p.progress)
	}
	p.heart = startHeart(ctx, p.progress)
	defer p.heart.stop()
	var err error
	if p.site, err = p.at(ctx, p.project, p.change); err != nil {
		return rollout.Observation{}, err
	}
	if p.permit != nil {
		if err := p.permit(ctx, p.site); err != nil {
			return rollout.Observation{}, err
		}
	}
	return p.bring(ctx)
}

// bring looks and acts until the server is there.
func (p *powerChange) bring(ctx context.Context) (rollout.Observation, error) {
	steady := p.steadiness()
	for {
		server, lookedAt, err := p.observeAt(ctx, p.serverID)
		if err != nil {
			return server, err
		}
		p.progress.Status = server.Status
		p.heart.say(ctx, p.progress)
		settled := steady.see(server, lookedAt) >= p.Timing.Settle
		switch {
		case !server.Exists && settled:
			return server, final(api.ErrVanished, gone(p.serverID))
		case !server.Exists: // not found once, it may be found again
		case p.unsettled && !settled && !p.progress.Acted: // it may be about to change by itself
		default:
			if over, err := p.over(server, settled); over || err != nil {
				return server, err
			}
			if err := p.step(ctx, server, lookedAt); err != nil {
				return server, err
			}
		}
		if err := p.wait(ctx); err != nil {
			return server, err
		}
	}
}

// wait is until the next look. While a job of ours runs, others may look at the same time.
func (p *powerChange) wait(ctx context.Context) error {
	if p.progress.JobID == "" {
		return pause(ctx, p.Timing.Poll)
	}
	if p.job == nil || p.job.since != p.progress.Since {
		p.job = p.watch(p.serverID, p.progress.Since)
	}
	return p.job.next(ctx, time.Time{})
}

// over is true when the server is where it should be. Its errors are ends that waiting cannot mend. A single look is no
// evidence for any of them: the view may be older than the last one.
func (p *powerChange) over(server rollout.Observation, settled bool) (bool, error) {
	isOther := p.disk != "" && server.VolumeID != p.disk
	isFailed := server.Status == rollout.StatusError
	switch {
	case isOther && !settled:
		return false, nil
	case isOther && server.VolumeID != "":
		said := fmt.Sprintf("server %s has another system disk by now: it was %s and is %s; its power was left alone", p.serverID, p.disk, server.VolumeID)
		return true, temporal.NewNonRetryableApplicationError(said, api.ErrForeignDisk, nil, server.Fingerprint)
	case !server.Idle():
		return false, nil
	case isOther && server.Status != p.want && !(isFailed && p.failedWillDo):
		return true, final(api.ErrRefused, fmt.Errorf("server %s shows no system disk (status %s); its power was left alone", p.serverID, server.Status))
	case isFailed && !p.failedWillDo && settled:
		return true, final(api.ErrRefused, fmt.Errorf("server %s is in ERROR and cannot be brought to %s", p.serverID, p.want))
	case server.Status == p.want:
		mayBeOld := p.want == rollout.StatusActive && !p.progress.Reached
		return settled || !mayBeOld, nil
	}
	return isFailed && p.failedWillDo, nil
}

// step follows the job that was started, or starts one.
func (p *powerChange) step(ctx context.Context, server rollout.Observation, lookedAt time.Time) error {
	poweringOff := p.want == rollout.StatusShutoff && server.TaskState == taskPoweringOff
	if poweringOff && p.progress.Since.IsZero() {
		p.progress.Since = lookedAt // the answer was lost, or somebody else stops it: the guest's time runs all the same
		p.heart.say(ctx, p.progress)
	}
	overdue := p.want == rollout.StatusShutoff && !p.progress.Hard && !p.refusedHard && (p.progress.JobID != "" || poweringOff) &&
		time.Since(p.progress.Since) > p.Timing.SoftStop
	switch {
	case overdue && p.allowHard:
		return p.send(ctx, lookedAt, ecs.StopHard)
	case overdue:
		return final(api.ErrOverdue, fmt.Errorf("server %s did not shut down within %s (status %s): allow a hard stop, or look at why the guest does not react", p.serverID, p.Timing.SoftStop, server.Status))
	case p.refusal != nil && (server.Idle() || p.refusedHard) && server.Status != p.want && lookedAt.Sub(p.refusedAt) >= p.Timing.Settle:
		return p.cloudError(ctx, p.refusal)
	case p.refusal != nil:
		return nil
	case p.progress.JobID != "" && server.TaskState == p.ownTask() && time.Since(p.followed) < rarely*p.Timing.Poll:
		return nil // the server itself shows that the job is under way; a job that has failed may leave it so
	case p.progress.JobID != "":
		return p.follow(ctx, lookedAt)
	case p.isReady(server):
		return p.send(ctx, lookedAt, ecs.StopSoft)
	default:
		return nil // somebody else's operation or state, or an operation of ours whose answer was lost
	}
}

// isReady is true for a server that shows the other power state, with the disk that it is about.
func (p *powerChange) isReady(server rollout.Observation) bool {
	other := rollout.StatusActive
	if p.want == rollout.StatusActive {
		other = rollout.StatusShutoff
	}
	return server.Idle() && server.Status == other && (p.disk == "" || server.VolumeID == p.disk)
}

// ownTask is the task state of a server on which the job works.
func (p *powerChange) ownTask() string {
	if p.want == rollout.StatusShutoff {
		return taskPoweringOff
	}
	return taskPoweringOn
}

// follow reads the job. When it is over, the next look at the server decides.
func (p *powerChange) follow(ctx context.Context, lookedAt time.Time) error {
	p.followed = time.Now()
	job, err := p.site.job(ctx, p.progress.JobID)
	switch {
	case isNotFound(err):
		p.forget()
		return nil
	case err != nil:
		return p.readError(ctx, err)
	case !job.Final():
		return nil
	case job.Succeeded():
		p.progress.Reached = true
		if time.Since(p.progress.Since) >= p.Timing.Lag { // until then the server view may trail behind
			p.forget()
		}
		return nil
	case p.want == rollout.StatusShutoff && !p.progress.Hard && p.allowHard:
		return p.send(ctx, lookedAt, ecs.StopHard)
	}
	return final(api.ErrRefused, fmt.Errorf("the cloud could not bring server %s to %s: %s", p.serverID, p.want, job.Failure()))
}

// forget gives up a job that is over or unknown to the cloud.
func (p *powerChange) forget() {
	p.progress = PowerProgress{Acted: p.progress.Acted, Reached: p.progress.Reached, Status: p.progress.Status}
}

// send asks for the power state. The request may not leave later than the look that justified it
// allows: a worker that was frozen in between must not act on an old view.
func (p *powerChange) send(ctx context.Context, lookedAt time.Time, how ecs.StopType) error {
	sendCtx, cancel := context.WithDeadline(ctx, lookedAt.Add(p.Cloud.RequestTimeout()))
	defer cancel()
	if err := p.confirm(sendCtx, p.heart); err != nil {
		return cmp.Or(ctx.Err(), again(api.ErrNotSent, fmt.Errorf("server %s: %w", p.serverID, err), 0))
	}
	// A server that was sent a stop counts as touched, whatever the result.
	sendCtx = p.recall.context(sendCtx, p.site, how == ecs.StopHard)
	var out ecs.Outcome
	if p.want == rollout.StatusShutoff {
		out = p.Cloud.StopServers(sendCtx, []string{p.serverID}, how)
	} else {
		out = p.Cloud.StartServers(sendCtx, []string{p.serverID})
	}
	switch out.Kind {
	case ecs.Accepted:
		p.followed, p.refusal = time.Now(), nil
		p.progress = PowerProgress{JobID: out.JobID, Since: time.Now(), Hard: how == ecs.StopHard, Acted: true, Status: p.progress.Status}
		p.heart.say(ctx, p.progress)
		return nil
	case ecs.Throttled:
		return throttled(out.Err)
	case ecs.NotSent:
		if recalled := p.recall.outcome(); recalled != nil {
			return recalled
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return again(api.ErrNotSent, out.Err, 0)
	case ecs.Unknown:
		p.lost = true
		return ctx.Err() // look again
	}
	if out.Err.Busy() || isNotFound(out.Err) {
		return nil // the next look decides
	}
	// A server is not left without its power because credentials or permissions are missing for a while.
	starts := p.want == rollout.StatusActive
	if out.Renewed || starts && barred(out.Err) {
		return again(api.ErrCredentials, p.credentialsRefused(out.Err), 0)
	}
	if !out.Err.Listed() {
		p.lost, p.refusal, p.refusedAt, p.refusedHard = true, out.Err, time.Now(), how == ecs.StopHard
		return nil
	}
	return p.cloudError(ctx, out.Err)
}
