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
	"github.com/reimage/reimage/rollout/change"
)

// powerChange carries out what change.Power decides.
type powerChange struct {
	site
	project string
	change  rollout.Change // the one that it is for: the cloud may repeat its secrets
	in      change.PowerInput
	// permit refuses all of it. Nil allows it.
	permit func(context.Context, site) error
	// recall is of the rollout that the server belongs to. Nil when power is given back.
	recall *recallCheck

	decide change.Power
	heart  *heart
	job    *watch // nil when there is none
	// cause is the error behind the last event that was a failure, and refusal the one for a reason that is in no table.
	cause, refusal error
}

// run brings the server to the power state, and returns it as it was seen last.
func (p *powerChange) run(ctx context.Context) (rollout.Observation, error) {
	var memory change.PowerMemory
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are no reason to stop: looking at the server tells as much.
		_ = activity.GetHeartbeatDetails(ctx, &memory)
	}
	p.decide = change.NewPower(p.in, p.Timing, memory)
	p.heart = startHeart(ctx, memory)
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
	next := p.decide.Begin(p.Cloud.RequestTimeout())
	for next.Action != change.Finish {
		next = p.carryOut(ctx, next)
		p.heart.say(ctx, p.decide.Memory())
	}
	return next.End.Server, p.errorOf(next.End)
}

func (p *powerChange) errorOf(end change.End) error {
	switch {
	case !end.Failed:
		return nil
	case end.UndocumentedRefusal:
		return p.refusal
	case end.Type == change.DiskReplaced:
		return temporal.NewNonRetryableApplicationError(end.Message, api.ErrForeignDisk, nil, end.Server.Fingerprint)
	}
	return errorOf(end, p.cause)
}

// carryOut does what was decided, and returns what is decided next.
func (p *powerChange) carryOut(ctx context.Context, d change.Decision) change.Decision {
	switch d.Action {
	case change.Look:
		if err := p.wait(ctx, d); err != nil {
			return p.failed(err)
		}
		server, at, err := p.observeAt(ctx, p.in.ServerID)
		if err != nil {
			return p.failed(err)
		}
		return p.decide.Observe(server, at, time.Now())
	case change.QueryJob:
		return p.query(ctx, d.JobID)
	case change.Confirm:
		within, cancel := context.WithDeadline(ctx, d.Deadline)
		defer cancel()
		if err := p.confirm(within, p.heart); err != nil {
			return p.failed(cmp.Or(ctx.Err(), again(api.ErrNotSent, fmt.Errorf("server %s: %w", p.in.ServerID, err), 0)))
		}
		return p.decide.Confirmed()
	}
	return p.write(ctx, d)
}

func (p *powerChange) failed(err error) change.Decision {
	p.cause = err
	return p.decide.Failed()
}

// wait is until the next look. While a job of ours runs, others may look at the same time.
func (p *powerChange) wait(ctx context.Context, d change.Decision) error {
	if !d.FollowJob {
		return pause(ctx, d.Wait)
	}
	if since := p.decide.Memory().Since; p.job == nil || p.job.since != since {
		p.job = p.watch(p.in.ServerID, since)
	}
	return p.job.next(ctx, time.Time{})
}

func (p *powerChange) query(ctx context.Context, jobID string) change.Decision {
	job, err := p.site.job(ctx, jobID)
	switch {
	case isNotFound(err):
		return p.decide.JobAnswered(change.JobUnknown, "", time.Now())
	case err != nil:
		return p.failed(p.readError(ctx, err))
	}
	return p.decide.JobAnswered(statusOf(job), job.Failure(), time.Now())
}

// statusOf is what the status of a job decides.
func statusOf(job ecs.Job) change.JobStatus {
	switch {
	case job.Succeeded():
		return change.JobSucceeded
	case job.Final():
		return change.JobFailed
	}
	return change.JobRuns
}

// write sends a stop or a start. The request may not leave later than the look that justified it allows.
func (p *powerChange) write(ctx context.Context, d change.Decision) change.Decision {
	within, cancel := context.WithDeadline(ctx, d.Deadline)
	defer cancel()
	// A server that was sent a stop counts as touched, whatever the result.
	within = p.recall.context(within, p.site, d.Action == change.StopHard)
	var out ecs.Outcome
	switch d.Action {
	case change.StopSoft:
		out = p.Cloud.StopServers(within, []string{p.in.ServerID}, ecs.StopSoft)
	case change.StopHard:
		out = p.Cloud.StopServers(within, []string{p.in.ServerID}, ecs.StopHard)
	case change.Start:
		out = p.Cloud.StartServers(within, []string{p.in.ServerID})
	default:
		return p.failed(fmt.Errorf("server %s: action %d is not one of a power change; nothing was sent", p.in.ServerID, d.Action))
	}
	response, cause := p.response(ctx, out, p.recall.outcome())
	switch {
	case response.Kind == change.NotSentResponse && ctx.Err() != nil:
		cause = ctx.Err()
	case out.Kind == ecs.Refused && isNotFound(out.Err) && !out.Renewed: // the next look decides, whatever the code
		response.Kind = change.BusyResponse
	case d.Action == change.Start && response.Kind != change.CredentialsResponse && out.Kind == ecs.Refused && barred(out.Err):
		// A server is not left without its power because credentials or permissions are missing for a while.
		response, cause = failedResponse(change.CredentialsResponse, again(api.ErrCredentials, p.credentialsRefused(out.Err), 0))
	case response.Kind == change.UndocumentedResponse:
		p.refusal = cause
	}
	p.cause = cause
	return p.decide.Respond(response, time.Now())
}
