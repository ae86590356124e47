package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// readsAtOnce is how many single reads are under way at a time, as many as the client keeps connections. The
// usual limit of the gateway is 200 a second for each API of a project; this stays below it as long as an
// answer takes a tenth of a second.
const readsAtOnce = 16

// gathering reads from the cloud what a plan is made of, or held against.
type gathering struct {
	site              // with a patient client
	once  *ecs.Client // for what is asked once, after all that is under way
	heart *heart
	rollout.Inventory
	// lacks are the permissions that are missing, and calls that the cloud does not have, each a reason against the plan.
	lacks []string
	// unread is true when one was missing by the time that the servers and the target had been read.
	unread        bool
	askedForDisks bool
	// addresses are those of each server, by id.
	addresses map[string][]ecs.Address
	// noSuchJob is the answer to askForNoJob.
	noSuchJob error
}

// gather begins a gathering. The context ends with the activity's, or when the worker is told to stop.
// What it returns last has to be called at the end.
func (a *Activities) gather(ctx context.Context) (*gathering, context.Context, func()) {
	g := &gathering{heart: startHeart(ctx, api.ReadingProgress{})}
	ctx, end := untilStop(ctx)
	return g, ctx, func() {
		end()
		g.heart.stop()
	}
}

// from is the site to gather from.
func (g *gathering) from(ctx context.Context, s site) {
	g.once = s.Cloud.Unhurried()
	g.site, g.Cloud = s, s.Cloud.Patient(func(failed *ecs.Error) {
		now, _ := g.heart.details.Load().(api.ReadingProgress)
		now.Trouble = failed.What()
		g.heart.say(ctx, now)
	})
	g.Project, g.Inventory.Profile, g.Inventory.Edition = s.Cloud.ProjectID(), s.Name, s.Edition
}

// failure is the error of the activity for an error of the gathering.
func (g *gathering) failure(ctx context.Context, err error) error {
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && ctx.Err() == nil && (setUpWrong(cloud) || cloud.Cause() == ecs.CauseProject) {
		return final(api.ErrRefused, fmt.Errorf("profile %s: %w", g.Name, cloud))
	}
	return g.cloudError(ctx, err)
}

// setUpWrong is true for what looks like trouble that passes and does not: somebody waits, and no time gives a region
// another name, or the worker's server an agency, or sets a clock by which certificates are not valid. A network where a
// patient client found nobody either is down or leads elsewhere.
func setUpWrong(err *ecs.Error) bool {
	switch err.Cause() {
	case ecs.CauseRegion:
		return true
	case ecs.CauseClock, ecs.CauseCredentials, ecs.CauseNetwork:
		return err.Class() == ecs.ClassTransient
	}
	return false
}

// untold is the error of a gathering that never began, because nobody told which project it is. Somebody waits, and it
// is not asked again at once anyway: all of it is final.
func (s site) untold(ctx context.Context, err error) error {
	err = s.cloudError(ctx, err)
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && ctx.Err() == nil {
		return final(app.Type(), errors.New(app.Message()))
	}
	return err
}

func (g *gathering) reading(ctx context.Context, what string) {
	g.heart.say(ctx, api.ReadingProgress{Reading: what})
}

// selected reads the servers that a document may mean: only those it names by their ids (one request for a hundred), or
// every server of the project, because only the planner knows what names and tags mean.
func (g *gathering) selected(ctx context.Context, by document.Selection, onlyIDs bool) error {
	if onlyIDs {
		return g.named(ctx, by.IDs)
	}
	g.reading(ctx, "servers")
	servers, err := g.Cloud.Servers(ctx, ecs.ServerQuery{})
	if err != nil {
		return err
	}
	return g.add(ctx, servers)
}

// named reads the servers with these ids. One that the cloud does not know is left out.
func (g *gathering) named(ctx context.Context, ids []string) error {
	g.reading(ctx, "servers")
	servers, _, err := g.Cloud.ServersByID(ctx, ids)
	if err != nil {
		return err
	}
	return g.add(ctx, servers)
}

func (g *gathering) add(ctx context.Context, servers []ecs.Server) error {
	var diskless []string
	for _, server := range servers {
		if server.Status == "DELETED" {
			continue // the cloud may show it for a while
		}
		s := inventoryServer(server)
		g.Servers = append(g.Servers, s)
		if g.addresses == nil {
			g.addresses = make(map[string][]ecs.Address)
		}
		g.addresses[s.ID] = server.Addresses
		if s.Observation.VolumeID == "" && !s.Observation.Rebuilding() && s.Observation.Status != rollout.StatusBuild {
			diskless = append(diskless, s.ID)
		}
	}
	// As in observe: only the disks themselves tell whether there is none.
	return g.disks(ctx, diskless)
}

func inventoryServer(server ecs.Server) rollout.InventoryServer {
	created, _ := time.Parse(time.RFC3339, server.Created) // not told in another form either
	return rollout.InventoryServer{
		ID:          server.ID,
		Name:        server.Name,
		Observation: observation(server),
		CreatedAt:   created,
		Zone:        server.Zone,
		Tags:        server.Tags,
		Locked:      server.Locked,
		LockedBy:    server.LockSource,
		Frozen:      server.Frozen(),
		Spot:        server.Spot(),
		Prepaid:     server.Prepaid(),
		RAMMB:       server.Flavor.RAMMB,
		DataDisks:   max(0, len(server.Volumes)-1),
	}
}

// disks reads the system disks of these servers, with a request for each, because no list shows their
// sizes: ten thousand take about two minutes when an answer takes a fifth of a second.
func (g *gathering) disks(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	g.reading(ctx, "system disks")
	g.askedForDisks = true
	at := map[string]int{}
	for i, s := range g.Servers {
		at[s.ID] = i
	}
	return atOnce(ctx, len(ids), func(ctx context.Context, i int) error {
		disk, err := g.systemDisk(ctx, ids[i])
		if isNotFound(err) {
			err = nil // deleted since it was listed: it has no disk
		}
		s := &g.Servers[at[ids[i]]]
		if s.Observation.VolumeID == "" || s.Observation.VolumeID == disk.VolumeID {
			s.Observation.VolumeID, s.DiskGB = disk.VolumeID, disk.SizeGB
		}
		return err
	})
}

// noteHolders notes which of the servers somebody changes at this moment. What the cloud shows of a change differs, and may be
// nothing at all. Not to be told is no reason against a plan: it says so.
func (g *gathering) noteHolders(ctx context.Context) error {
	held, err := g.holders(ctx, g.Project)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		g.HoldersUnknown = err.Error()
	}
	for i, s := range g.Servers {
		g.Servers[i].HeldBy = held[strings.ToLower(s.ID)]
	}
	return nil
}

// target reads the images that the document may mean.
func (g *gathering) target(ctx context.Context, image document.Image) error {
	g.reading(ctx, "images")
	if image.ID != "" {
		return g.image(ctx, image.ID)
	}
	found, err := g.Cloud.ImagesByName(ctx, image.Name)
	for _, i := range found {
		g.Images = append(g.Images, inventoryImage(i))
	}
	return err
}

// image reads an image. One that does not exist is left out.
func (g *gathering) image(ctx context.Context, id string) error {
	image, err := g.Cloud.Image(ctx, id)
	switch {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	}
	g.Images = append(g.Images, inventoryImage(image))
	return nil
}

// imagesInUse reads the images that the servers run, with a request for each image. Those that are gone are left
// out: then firmware and architecture are not compared.
func (g *gathering) imagesInUse(ctx context.Context) error {
	g.reading(ctx, "images")
	known := map[string]bool{}
	for _, image := range g.Images {
		known[image.ID] = true
	}
	var ids []string
	for _, s := range g.Servers {
		if id := s.Observation.ImageID; !known[id] && rollout.IsUUID(id) {
			known[id] = true
			ids = append(ids, id)
		}
	}
	found := make([]ecs.Image, len(ids))
	err := atOnce(ctx, len(ids), func(ctx context.Context, i int) error {
		image, err := g.Cloud.Image(ctx, ids[i])
		if isNotFound(err) {
			return nil
		}
		found[i] = image
		return err
	})
	if err != nil {
		return err
	}
	for _, image := range found {
		if image.ID != "" {
			g.Images = append(g.Images, inventoryImage(image))
		}
	}
	return nil
}

func inventoryImage(image ecs.Image) rollout.InventoryImage {
	return rollout.InventoryImage{
		ID:        image.ID,
		Name:      image.Name,
		Status:    image.Status,
		OSType:    image.OSType,
		Type:      image.Type,
		VirtEnv:   image.VirtualEnvType,
		Firmware:  image.Firmware,
		MinDiskGB: image.MinDiskGB,
		MinRAMMB:  image.MinRAMMB,
		ARM:       image.ARM,

		Encrypted:       image.Encrypted,
		EncryptionKeyID: image.CMKID,
		Whole:           image.Whole,
		NoInjection:     image.NoInjection,
		PasswordLater:   image.PasswordLater,
	}
}

// serverGroups notes for each server the groups that it belongs to.
func (g *gathering) serverGroups(ctx context.Context) error {
	g.reading(ctx, "server groups")
	groups, err := g.Cloud.ServerGroups(ctx)
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && notServed(cloud.Status) {
		g.lacks = append(g.lacks, "perGroup.serverGroup: this cloud does not seem to list server groups; group by a tag (perGroup.tag): "+cloud.What())
		return nil
	}
	if err != nil {
		return err
	}
	of := map[string][]string{}
	for _, group := range groups {
		for _, member := range group.Members {
			of[strings.ToLower(member)] = append(of[strings.ToLower(member)], group.ID)
		}
	}
	for i, s := range g.Servers {
		g.Servers[i].Groups = of[strings.ToLower(s.ID)]
	}
	return nil
}

// atOnce does something n times, some of it at a time. The first error ends it.
func atOnce(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i := range n {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return do(ctx, i)
		})
	}
	return group.Wait()
}
