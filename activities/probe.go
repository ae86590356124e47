package activities

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/reimage/reimage/ecs"
)

// permitted takes a missing permission for a reason against the plan, so that all of them are told at once. Any other
// error it hands on.
func (g *gathering) permitted(err error) error {
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
// no answer to: somebody waits here, and a rollout has more patience. Without an id no server is known.
func (g *gathering) probe(ctx context.Context, serverID string) error {
	g.reading(ctx, "permissions")
	impatient := g.site
	impatient.Cloud = g.impatient
	ask := func(what string, err error) {
		if err = g.permitted(err); err != nil && !isNotFound(err) && !isAnswer(err) {
			g.Unproven = append(g.Unproven, what)
		}
	}
	if serverID != "" {
		_, err := impatient.Cloud.Server(ctx, serverID)
		ask("read a server ("+ecs.ActionReadServer+")", err)
	}
	if serverID != "" && !g.askedForDisks {
		_, err := impatient.systemDisk(ctx, serverID)
		ask("read its disks ("+ecs.ActionReadDisks+")", err)
	}
	_, err := impatient.Cloud.Job(ctx, noJob)
	ask("query jobs", err)
	g.Unproven = append(g.Unproven, "stop ("+ecs.ActionStop+")", "start ("+ecs.ActionStart+")", "change ("+ecs.ActionChangeOS+") servers")
	return ctx.Err()
}
