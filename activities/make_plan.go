package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
	"github.com/reimage/reimage/rollout/spec"
)

// MakePlan reads the servers and images and plans the rollout. It touches nothing. Reasons against the
// rollout, missing permissions among them, are data; its errors are trouble with asking: CredentialsRefused, Refused,
// Throttled, CloudTrouble.
//
// Its requests: twelve for ten thousand servers, and as many again when servers come and go meanwhile, or one for a
// hundred servers that are named by their ids; one for each image in use and one or two for the target; with server
// groups, one for a thousand of these; one for each planned server of a small plan, or else for each whose present
// image does not prove that its disk is large enough; one for each planned server with an earlier change that was not
// seen to its end; up to three for the permissions that none of these need and a rollout does; and one for a key pair, or up
// to five for one that is missing.
func (a *Activities) MakePlan(ctx context.Context, in contract.MakePlanInput) (contract.MakePlanResult, error) {
	doc := in.Document
	if err := spec.Validate(doc); err != nil {
		// The command line says it with lines and columns, but a workflow can be started without it.
		return contract.MakePlanResult{Problems: strings.Split(err.Error(), "\n")}, nil
	}
	if err := a.awaitReader(ctx, doc.Spec.Login.PasswordFrom, doc.Spec.UserDataFrom); err != nil {
		return contract.MakePlanResult{}, err
	}
	g, ctx, end := a.gather(ctx)
	defer end()
	s, err := a.chosen(doc.Spec.Profile)
	if err == nil {
		err = s.open(ctx)
	}
	switch {
	case isTrouble(err):
		return contract.MakePlanResult{}, s.untold(ctx, err)
	case err != nil:
		return contract.MakePlanResult{Problems: []string{err.Error()}}, nil
	}
	g.from(ctx, s)
	if err := g.forPlan(ctx, doc); err != nil {
		return contract.MakePlanResult{}, g.failure(ctx, err)
	}
	g.askForNoJob(ctx)
	plan, problem := planner.Make(doc, g.Inventory, time.Now()) // it is that of the plan below, too
	if err := g.aboutPlanned(ctx, plan, problem != nil || len(g.lacks) > 0); err != nil {
		return contract.MakePlanResult{}, g.failure(ctx, err)
	}
	if g.unread { // and would be taken for what is not there
		return contract.MakePlanResult{Problems: slices.Concat(g.lacks, g.secretProblems(doc.Spec, rollout.Plan{}, nil))}, nil
	}
	if problem == nil {
		if err := g.userData(plan.Change); err != nil {
			return contract.MakePlanResult{}, err
		}
	}
	plan, err = planner.Make(doc, g.Inventory, time.Now())
	problems, ok := errors.AsType[planner.Problems](err)
	if err != nil && !ok {
		return contract.MakePlanResult{}, err
	}
	return planOrProblems(plan, problems, slices.Concat(g.lacks, g.secretProblems(doc.Spec, plan, g.Images))), nil
}

// planOrProblems is the plan unless there is a problem with it, of the planner or of others.
func planOrProblems(plan rollout.Plan, found planner.Problems, others []string) contract.MakePlanResult {
	var texts, whole []string
	for _, problem := range found {
		texts, whole = append(texts, problem.Text), append(whole, problem.Whole)
	}
	texts, whole = append(texts, others...), append(whole, others...)
	switch {
	case len(texts) == 0:
		return contract.MakePlanResult{Plan: &plan}
	case slices.Equal(texts, whole):
		whole = nil
	}
	return contract.MakePlanResult{Problems: texts, Whole: whole}
}

// forPlan reads what the planner needs.
func (g *gathering) forPlan(ctx context.Context, doc document.Rollout) error {
	only := doc.Spec.Select.OnlyIDs() && !doc.Spec.CountsMembers() // else the other members of a group have to be known
	if err := g.noteLack(g.selected(ctx, doc.Spec.Select, only)); err != nil {
		return err
	}
	if err := g.noteHolders(ctx); err != nil {
		return err
	}
	if err := g.noteLack(g.target(ctx, doc.Spec.Image)); err != nil {
		return err
	}
	g.unread = len(g.lacks) > 0
	if err := g.noteLack(g.imagesInUse(ctx)); err != nil {
		return err
	}
	if doc.Spec.PerGroup.ServerGroup {
		return g.noteLack(g.serverGroups(ctx))
	}
	return nil
}

// aboutPlanned reads what comes after a first plan, because only a plan tells which servers are meant: the sizes of
// disks, earlier changes that may still come, and whether the credentials may look at a planned server as a rollout
// does. A plan that is refused already may have more problems there, but nobody waits long for them, and trouble with
// finding them hides no other.
func (g *gathering) aboutPlanned(ctx context.Context, plan rollout.Plan, refused bool) error {
	if !refused || plan.Change.ImageID != "" && len(plan.Servers) <= everySize {
		if err := g.noteLack(g.disks(ctx, g.disksToMeasure(plan))); err != nil && (!refused || ctx.Err() != nil) {
			return err
		}
	}
	if err := g.noteLack(g.pendingChanges(ctx, plan)); err != nil && (!refused || ctx.Err() != nil) {
		return err
	}
	var server string
	switch {
	case len(plan.Servers) > 0:
		server = plan.Servers[0].ID
	case len(g.Servers) > 0: // there is no plan, and a missing permission is one more reason
		server = g.Servers[0].ID
	}
	if err := g.probe(ctx, server); err != nil {
		return err
	}
	g.keyPairOf(ctx, plan.Change.Login)
	if !refused {
		g.probeHealth(ctx, plan)
	}
	return ctx.Err()
}

// everySize is up to how many servers a plan tells the size of every disk that will be lost. No list shows
// sizes, so each is a request; more of them are made only where a plan depends on them.
const everySize = 200

// disksToMeasure are the planned servers whose system disk may be smaller than the image needs, or in a small
// plan all of them. A disk is at least as large as the image it was made from needs, so most large fleets have
// none.
func (g *gathering) disksToMeasure(plan rollout.Plan) []string {
	proven := map[string]int{} // by image, in GB
	for _, image := range g.Images {
		proven[image.ID] = image.MinDiskGB
	}
	var unproven []string
	for _, s := range plan.Servers {
		mayBeTooSmall := proven[s.Before.ImageID] < proven[plan.Change.ImageID]
		if s.DiskGB == 0 && (mayBeTooSmall || len(plan.Servers) <= everySize) {
			unproven = append(unproven, s.ID)
		}
	}
	return unproven
}

// secretProblems resolves the secrets behind the references, as Preflight does, so that no rollout finds out
// at its first server. Of a change that is refused already there is no request to check, only the references.
func (s site) secretProblems(doc document.Spec, plan rollout.Plan, images []rollout.InventoryImage) []string {
	var err error
	if plan.Change.Validate() == nil {
		_, err = s.requestFor(s.Cloud.ProjectID(), plan.Change, imageByID(images, plan.Change.ImageID))
	} else {
		_, _, err = s.resolve(doc.Login.PasswordFrom, doc.UserDataFrom)
	}
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// imageByID is the zero image when there is none.
func imageByID(images []rollout.InventoryImage, id string) rollout.InventoryImage {
	at := slices.IndexFunc(images, func(i rollout.InventoryImage) bool { return i.ID == id })
	if at < 0 {
		return rollout.InventoryImage{}
	}
	return images[at]
}

// userData reads what the plan says of the user data. What is wrong with the reference, secretProblems finds.
func (g *gathering) userData(change rollout.Change) error {
	userData, err := g.Secrets.Resolve(change.UserDataFrom)
	if err != nil || userData.Empty() {
		return nil
	}
	g.UserData.Warnings = userDataWarnings(change.UserDataFrom, userData, imageByID(g.Images, change.ImageID))
	g.UserData.Digest, err = g.userDataDigest(g.Inventory.Project, change.UserDataFrom, userData)
	return err
}
