package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
)

// noteLack takes a missing permission for a reason against the plan, so that all of them are told at once. Any other
// error it hands on.
func (g *gathering) noteLack(err error) error {
	cloud, ok := errors.AsType[*ecs.Error](err)
	if !ok || !cloud.Unpermitted() || cloud.Class() == ecs.ClassAuth {
		return err
	}
	told := func(lack string) bool { return strings.Contains(lack, cloud.Remedy()) }
	if !slices.ContainsFunc(g.lacks, told) {
		g.lacks = append(g.lacks, g.credentialsRefused(cloud).Error())
	}
	return nil
}

// probe asks what a rollout asks and a plan does not: about a server, about its disks unless some were read already,
// and about a job. What cannot be asked for without changing something stays unproven, and so does what the cloud has
// no answer to: nothing is asked twice here, and a rollout has more patience. Without an id no server is known.
func (g *gathering) probe(ctx context.Context, serverID string) error {
	g.reading(ctx, "permissions")
	once := g.site
	once.Cloud = g.once
	ask := func(what string, err error) {
		if err = g.noteLack(err); err != nil && !isNotFound(err) && !isAnswer(err) {
			g.Unproven = append(g.Unproven, what)
		}
	}
	if serverID != "" {
		_, err := once.Cloud.Server(ctx, serverID)
		ask(api.CheckReadServer+" ("+ecs.ActionReadServer+")", err)
	}
	if serverID != "" && !g.askedForDisks {
		_, err := once.systemDisk(ctx, serverID)
		ask(api.CheckReadDisks+" ("+ecs.ActionReadDisks+")", err)
	}
	ask(api.CheckQueryJobs, g.noSuchJob)
	g.Unproven = append(g.Unproven, "stop ("+ecs.ActionStop+")", "start ("+ecs.ActionStart+")", "change ("+ecs.ActionChangeOS+") servers")
	return ctx.Err()
}

// askForNoJob asks for a job that no cloud has. The refusal proves the permission, and dates the cloud's clock, by which
// servers are as old as they are.
func (g *gathering) askForNoJob(ctx context.Context) {
	_, g.noSuchJob = g.once.Job(ctx, noJob)
	answer, ok := errors.AsType[*ecs.Error](g.noSuchJob)
	if !ok || answer.Skew() == 0 {
		return
	}
	g.ClockOff = ecs.Skewed(answer.Skew().Round(time.Minute)) // by the minute, so that plans made again say the same
	for i := range g.Servers {
		if created := &g.Servers[i].CreatedAt; !created.IsZero() {
			*created = created.Add(answer.Skew())
		}
	}
}
