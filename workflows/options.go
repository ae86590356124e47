package workflows

import (
	"time"

	"github.com/reimage/reimage/rollout/change"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// This file is the table of every timeout and retry policy, with the reason for each.

// heartbeat is how long a silent activity is trusted. Activities beat every two seconds, so ten beats
// may be lost before a worker counts as dead; a dead worker costs its servers at most this long.
const heartbeat = 20 * time.Second

// retry is the usual policy: quick at first, then no more than twice a minute, so that a cloud in
// trouble is not troubled further. Attempts are bounded by time and not by number.
func retry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second}
}

// lookOptions: at most five reads of 30 s each, the earlier runs of the lock, and the wait for their turns: the first look at a server lets all others
// pass. While the cloud throttles, hundreds of servers wait there for minutes, and one that is sent to the end of
// the queue again and again ends as not started although nothing is wrong with it. Nothing is touched, so a cancel
// need not wait for it.
func lookOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    15 * time.Minute,
		ScheduleToCloseTimeout: 30 * time.Minute,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            retry(),
		Summary:                summary,
	})
}

// promptOptions: the same reads, or a diagnosis, which ends by itself, for somebody who waits at a prompt. Trouble is
// reported after five minutes, while he may still be watching.
func promptOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    2*time.Minute + 10*time.Second,
		ScheduleToCloseTimeout: 5 * time.Minute,
		RetryPolicy:            retry(),
		Summary:                summary,
	})
}

// planOptions: a hundred pages of servers take a minute or two; ten thousand disks, where their sizes matter,
// ten minutes at one second an answer. An attempt is patient by itself, so there is no room for a second long
// one: somebody waits. Nothing is touched, so a cancel need not wait for it.
func planOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    15 * time.Minute,
		ScheduleToCloseTimeout: 18 * time.Minute,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            retry(),
		Summary:                summary,
	})
}

// stopOptions: a guest may take 5 minutes to shut down, a hard stop and the jobs come on top. A server
// that cannot be stopped within half an hour needs a human (the cloud says so too).
func stopOptions(ctx workflow.Context, summary string) workflow.Context {
	return powerOptions(ctx, 30*time.Minute, summary)
}

// restoreOptions: the same work, but a server that we stopped is not left without its power because
// workers or the cloud are missing for a while. After a day somebody has noticed. Credentials are waited for longer.
func restoreOptions(ctx workflow.Context, summary string) workflow.Context {
	return powerOptions(ctx, 24*time.Hour, summary)
}

// startAgainOptions: a start takes a minute. What takes longer must not hold up the verdict on the server: its power is
// restored once more after that.
func startAgainOptions(ctx workflow.Context, summary string) workflow.Context {
	return powerOptions(ctx, 5*time.Minute, summary)
}

func powerOptions(ctx workflow.Context, patience time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    30 * time.Minute,
		ScheduleToCloseTimeout: patience,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            retry(),
		Summary:                summary,
	})
}

// submitOptions: one attempt is mostly the settle time (at most 8 minutes) and one request; one that has to watch the
// server twice and takes longer is in doubt. Half an hour leaves room for throttling and for several lost answers; longer
// than that, the cloud is down. As its end is a doubt, an activity that has sent nothing gives up before it
// (change.SubmitPatience).
func submitOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    10 * time.Minute,
		ScheduleToCloseTimeout: 30 * time.Minute,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
		},
		Summary: summary,
	})
}

// waitOptions: reads only. The activities know the deadline of the change themselves; the limit on an
// attempt leaves them the time to say what they last saw. There is no limit on all attempts together: a
// server that has given up its disk is not given up because nobody could be asked for a while.
func waitOptions(ctx workflow.Context, deadline time.Duration, summary string) workflow.Context {
	const margin = change.MaxUnstable + 4*time.Minute
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: deadline + margin,
		HeartbeatTimeout:    heartbeat,
		WaitForCancellation: true,
		RetryPolicy:         retry(),
		Summary:             summary,
	})
}

// healthOptions: probes only. An attempt knows its times itself; the limit leaves it a few more rounds. While no worker can ask,
// the rollout is paused and says so; after a day the server ends as not known to be healthy, and can be checked again.
func healthOptions(ctx workflow.Context, longest time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    longest + 15*time.Minute,
		ScheduleToCloseTimeout: longest + 24*time.Hour,
		HeartbeatTimeout:       heartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            retry(),
		Summary:                summary,
	})
}

// statesOptions: a hundred pages of servers take a minute or two. Nothing is touched. The rollout waits for it before a wave
// begins, asks again a minute later, and says meanwhile what the trouble is.
func statesOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:       heartbeat,
		RetryPolicy:            retry(),
		Summary:                "read which servers are down",
	})
}

// adoptOptions: waits on a workflow that bounds most of its steps itself. The limit ends an attempt that
// nothing else would end; the next one waits on.
func adoptOptions(ctx workflow.Context, deadline time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2*deadline + 4*time.Hour,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         retry(),
		Summary:             summary,
	})
}

// startedOptions: one question to Temporal for each server of the plan, which takes a minute or two for ten thousand. The
// rollout is paused meanwhile, and must know what it has started before it goes on, so the attempts have no end.
func startedOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:    heartbeat,
		RetryPolicy:         retry(),
		Summary:             "find the servers that were started before the reset",
	})
}

// holderOptions: one question to Temporal, for a sentence in a report. It is not worth waiting for.
func holderOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    10 * time.Second,
		ScheduleToCloseTimeout: time.Minute,
		RetryPolicy:            retry(),
		Summary:                "who holds the server",
	})
}
