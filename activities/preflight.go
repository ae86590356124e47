package activities

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/rollout"
)

// Preflight reads the server and the image and touches nothing. Reasons against the change are data.
// Its errors are trouble with asking: CredentialsRefused, Throttled, CloudTrouble; and WorkflowReset, with the record of the first run.
func (a *Activities) Preflight(ctx context.Context, in contract.PreflightInput) (contract.PreflightResult, error) {
	if wasReset(ctx, in.OriginalRunID) {
		return contract.PreflightResult{}, a.resetError(ctx, in.ServerID, in.OriginalRunID)
	}
	check := preflight{in: in}
	heart := startHeart(ctx, struct{}{}) // the turn may be minutes away
	defer heart.stop()
	ctx, end := untilStop(ctx)
	defer end()
	s, err := a.meant(ctx, in)
	switch {
	case isTrouble(err):
		return contract.PreflightResult{}, s.cloudError(ctx, err)
	case err != nil:
		check.refuse("%s", err)
		return check.result, nil
	}
	s = s.about(in.Change)
	check.result.Project = s.Cloud.ProjectID()
	if err := check.wellFormed(a); err != nil {
		return contract.PreflightResult{}, handBack(ctx, err)
	}
	malformed := len(check.result.Refusals) > 0
	check.refuseAll(s.Edition.Objections(in.Change))
	if malformed {
		return check.result, nil // ids that are not ids cannot be looked up
	}
	server, disk, err := s.serverAndDisk(ctx, in)
	switch {
	case isNotFound(err) && server.ID == "":
		check.refuse("server %s does not exist in project %s: check the id and the region", in.ServerID, s.Cloud.ProjectID())
	case err != nil:
		return contract.PreflightResult{}, s.cloudError(ctx, err)
	default:
		check.server(server, disk)
		if _, err := s.earlier(ctx, &check); err != nil {
			return contract.PreflightResult{}, s.cloudError(ctx, err)
		}
		if err := check.healthyBefore(ctx, a, server); err != nil {
			return contract.PreflightResult{}, err
		}
	}
	image, err := confirmMissing(ctx, s, func() (ecs.Image, error) { return s.image(ctx, in.Change.ImageID) })
	switch {
	case isNotFound(err):
		check.refuse("image %s does not exist in this region or is not shared with this project", in.Change.ImageID)
	case err != nil:
		return contract.PreflightResult{}, s.cloudError(ctx, err)
	default:
		check.image(image, server, s.Edition)
		request, err := a.requestFor(s.Cloud.ProjectID(), in.Change, inventoryImage(image))
		if err != nil {
			check.refuseAll(strings.Split(err.Error(), "\n")) // what does not depend on the image is right by now
		} else if err := check.pin(a, request.UserData); err != nil {
			return contract.PreflightResult{}, err
		}
		check.result.Notes = append(check.result.Notes, userDataWarnings(in.Change.UserDataFrom, request.UserData, inventoryImage(image))...)
		if check.result.Before.Exists {
			if err := s.compareImages(ctx, &check, image, server); err != nil {
				return contract.PreflightResult{}, err
			}
		}
	}
	check.settle()
	check.keyPair(ctx, s)
	if ctx.Err() != nil {
		return contract.PreflightResult{}, ended(ctx)
	}
	return check.result, nil
}

// serverAndDisk reads the server and its system disk. What speaks against the change is read again, up to maxAnswers
// times in all. The server is zero when the cloud does not know it.
func (s site) serverAndDisk(ctx context.Context, in contract.PreflightInput) (ecs.Server, ecs.Disk, error) {
	// Servers that are under way go first. Once this one had its turn, the rest of the look is not kept waiting.
	cloud := s.Cloud.Unhurried()
	for answers := 1; ; answers++ {
		var disk ecs.Disk
		server, err := cloud.Server(ctx, in.ServerID)
		if err == nil {
			disk, err = s.systemDisk(ctx, in.ServerID)
		}
		now := observation(server)
		now.VolumeID = cmp.Or(now.VolumeID, disk.VolumeID)
		isSettled := (err != nil && !isNotFound(err)) || (err == nil && accepts(in, now))
		if isSettled || answers == maxAnswers {
			return server, disk, err
		}
		if err := pause(ctx, s.Timing.Poll); err != nil {
			return server, disk, err
		}
		cloud = s.Cloud
	}
}

// accepts is true for a server whose state allows the change.
func accepts(in contract.PreflightInput, now rollout.Observation) bool {
	isKnown := now.Status == rollout.StatusActive || now.Status == rollout.StatusShutoff || now.Status == rollout.StatusError
	isExpected := in.Expect == nil || *in.Expect == now.Fingerprint || now.ImageID == in.Change.ImageID
	return now.VolumeID != "" && now.Idle() && isKnown && isExpected
}

// meant is the site that the caller means.
func (a *Activities) meant(ctx context.Context, in contract.PreflightInput) (site, error) {
	if in.Project != "" {
		return a.find(ctx, in.Project)
	}
	s, err := a.chosen(in.Profile)
	if err == nil {
		err = s.open(ctx)
	}
	return s, err
}

// earlier looks for a change that was sent to the server before. One that may still come would come beside another.
func (s site) earlier(ctx context.Context, check *preflight) (pending.Changes, error) {
	serverID, now := check.in.ServerID, check.result.Before
	earlier, err := pending.Of(ctx, s.Temporal, api.ChangeOSID(s.Cloud.ProjectID(), serverID), activity.GetInfo(ctx).WorkflowExecution.RunID)
	if err != nil {
		return earlier, err
	}
	why, err := s.pendingReason(ctx, earlier.Pending, now)
	if err != nil {
		return earlier, err
	}
	if why != "" {
		check.refuse("%s has an earlier change that may still come: %s; %s %s", check.called(), why, rollout.MayComeRemedy, serverID)
	}
	power := check.in.Change.Power
	if (power == "" || power == rollout.PowerAsBefore) && earlier.LeftStopped(now) {
		check.result.AsBefore = rollout.StatusActive
	}
	return earlier, nil
}

// compareImages holds the new image against the one the server runs: firmware and architecture cannot
// change. The old image may be gone; then only the cloud can tell.
func (s site) compareImages(ctx context.Context, check *preflight, image ecs.Image, server ecs.Server) error {
	old, err := confirmMissing(ctx, s, func() (ecs.Image, error) { return s.image(ctx, server.ImageID) })
	switch {
	case hasClass(err, ecs.ClassInvalid): // the cloud may show no image at all
		check.note("which image the server runs is not shown, so firmware and architecture were not compared")
		return nil
	case isNotFound(err):
		check.note("the server's present image %s is gone, so firmware and architecture were not compared", server.ImageID)
		return nil
	case err != nil:
		return s.cloudError(ctx, err)
	}
	check.result.PresentImageName = old.Name
	if has, needs := firmware(old), firmware(image); has != needs {
		check.refuse("%s boots with %s firmware and image %s needs %s: the cloud cannot change that", check.called(), has, image.Name, needs)
	}
	if old.ARM != image.ARM {
		check.refuse("%s and image %s are of different processor architectures (%s and %s)", check.called(), image.Name, processor(old), processor(image))
	}
	if server.Prepaid() && old.Type == "market" && image.Type != "market" {
		check.refuse("%s is paid by the year or month and runs %s, a marketplace image: the cloud refuses that (Ecs.0510)", check.called(), old.Name)
	}
	return nil
}

// processor is the architecture that the image runs on.
func processor(image ecs.Image) string {
	if image.ARM {
		return "ARM"
	}
	return "x86"
}

// firmware is how the image boots. Old images do not say; they are all BIOS.
func firmware(image ecs.Image) string {
	return cmp.Or(image.Firmware, "bios")
}

// preflight collects every reason against a change.
type preflight struct {
	in     contract.PreflightInput
	result contract.PreflightResult
}

func (p *preflight) refuse(format string, args ...any) {
	p.result.Refusals = append(p.result.Refusals, fmt.Sprintf(format, args...))
}

func (p *preflight) refuseAll(reasons []string) {
	p.result.Refusals = append(p.result.Refusals, reasons...)
}

func (p *preflight) note(format string, args ...any) {
	p.result.Notes = append(p.result.Notes, fmt.Sprintf(format, args...))
}

// called names the server the way an operator knows it.
func (p *preflight) called() string {
	if p.result.Name == "" {
		return p.in.ServerID
	}
	return fmt.Sprintf("%s (%s)", p.result.Name, p.in.ServerID)
}

// wellFormed checks what needs no cloud: the ids, the change, and the secrets behind its references.
// Its error is a secret that this worker cannot read.
func (p *preflight) wellFormed(a *Activities) error {
	if !rollout.IsUUID(p.in.ServerID) {
		p.refuse("server id %q is not a UUID (in lower case)", p.in.ServerID)
	}
	err := p.in.Change.Validate()
	if err == nil {
		_, err = a.request(p.result.Project, p.in.Change)
	}
	if isUnreadable(err) && len(p.result.Refusals) == 0 {
		return err
	}
	if err != nil {
		p.result.Refusals = append(p.result.Refusals, strings.Split(err.Error(), "\n")...)
	}
	return nil
}

func (p *preflight) server(server ecs.Server, disk ecs.Disk) {
	p.result.Name = server.Name
	p.result.Before = observation(server)
	p.result.Prepaid = server.Prepaid()
	p.result.Before.VolumeID = cmp.Or(p.result.Before.VolumeID, disk.VolumeID)
	p.result.SystemDiskGB = disk.SizeGB
	before := p.result.Before
	p.result.DataDisks = max(0, len(server.Volumes)-1)

	if before.VolumeID == "" {
		p.refuse("%s has no system disk (status %s): a change of OS needs one; it may be left over from a failed change, ask the cloud's support", p.called(), before.Status)
	}
	if server.Locked {
		p.refuse("%s is locked%s: unlock it first, reimage never does", p.called(), by(server.LockSource))
	}
	if server.Frozen() {
		p.refuse("%s is frozen by the account (for instance an unpaid bill): settle that first", p.called())
	}
	if server.Spot() {
		p.refuse("%s is a spot server: the cloud does not change the OS of those", p.called())
	}
	switch {
	case !before.Idle():
		p.refuse("%s is busy (status %s, task %s): wait until that is over", p.called(), before.Status, before.TaskState)
	case before.Status == rollout.StatusError:
		p.note("%s is in ERROR: the cloud's console shows why", p.called())
	case before.Status != rollout.StatusActive && before.Status != rollout.StatusShutoff:
		p.refuse("%s has status %s: only running, stopped or failed servers can be changed", p.called(), before.Status)
	}
}

// healthyBefore refuses a running server whose application is not healthy, where that is asked for.
func (p *preflight) healthyBefore(ctx context.Context, a *Activities, server ecs.Server) error {
	if !p.result.Before.Idle() || p.result.Before.Status != rollout.StatusActive {
		return nil
	}
	reasons, err := a.healthyNow(ctx, server, p.in.HealthyBefore)
	if err != nil {
		return err
	}
	if len(reasons) > 0 {
		p.refuse("%s is not healthy before its change (%s), and health.requireBefore refuses that: mend it, or plan with warn", p.called(), strings.Join(reasons, "; "))
	}
	return nil
}

func by(lockSource string) string {
	if lockSource == "" {
		return ""
	}
	return " by " + lockSource
}

// image checks the image by itself and against the server. A zero server means that it was not found.
func (p *preflight) image(image ecs.Image, server ecs.Server, edition rollout.Edition) {
	p.result.ImageName = image.Name
	shown := inventoryImage(image)
	p.refuseAll(shown.Objections(p.in.Change, edition))
	p.result.Notes = append(p.result.Notes, shown.Doubts(p.in.Change)...)
	if !p.result.Before.Exists {
		return
	}
	if size := p.result.SystemDiskGB; size > 0 && image.MinDiskGB > size {
		p.refuse("image %s needs a system disk of %d GB and that of %s has %d GB: enlarge the disk or choose a smaller image", image.Name, image.MinDiskGB, p.called(), size)
	}
	if ram := server.Flavor.RAMMB; ram > 0 && image.MinRAMMB > ram {
		p.refuse("image %s needs %d MB of memory and %s has %d MB", image.Name, image.MinRAMMB, p.called(), ram)
	}
	if server.Prepaid() {
		p.prepaid(image, edition)
	}
}

// prepaid is about a server that is paid by the year or month. A plan says the same (planner.warnOfPrepaid).
func (p *preflight) prepaid(image ecs.Image, edition rollout.Edition) {
	switch image.Type {
	case "market":
		p.refuse("%s is paid by the year or month and image %s is a marketplace image: the cloud refuses that (Ecs.0510)", p.called(), image.Name)
	case "shared":
		p.note("%s is paid by the year or month and image %s is a shared one: the documents forbid marketplace images only, the error itself (Ecs.0510) says more", p.called(), image.Name)
	}
	if pay := p.in.Change.AutoPay; !edition.NoAutoPay && (pay == nil || !*pay) && image.ID != p.result.Before.ImageID {
		p.note("%s is paid by the year or month, and its change may wait until somebody pays a price difference: --auto-pay pays it", p.called())
	}
}

// pin keeps the digest of the user data, so that what is sent is what was looked at.
func (p *preflight) pin(a *Activities, userData ecs.Secret) (err error) {
	if !userData.Empty() {
		p.result.UserDataDigest, err = a.userDataDigest(p.result.Project, p.in.Change.UserDataFrom, userData)
	}
	return err
}

// settle ends the look. A server that is on the image, with no reason against it, is not held against its
// fingerprint: somebody else did what was asked for.
func (p *preflight) settle() {
	before := p.result.Before
	p.result.AlreadyThere = len(p.result.Refusals) == 0 && before.ImageID == p.in.Change.ImageID &&
		before.Status != rollout.StatusError && !p.in.Change.EvenIfSameImage
	if expect := p.in.Expect; expect != nil && before.VolumeID != "" && *expect != before.Fingerprint && !p.result.AlreadyThere {
		images := ""
		if expect.ImageID != before.ImageID {
			images = fmt.Sprintf(", its image was %s and is %s", expect.ImageID, before.ImageID)
		}
		p.refuse("%s has changed since it was looked at: its system disk was %s and is %s%s; look again before losing this disk", p.called(), expect.VolumeID, before.VolumeID, images)
	}
	if p.result.AlreadyThere && p.result.AsBefore != "" { // nothing is done to it
		p.result.AsBefore = ""
		p.note("%s is stopped since an earlier change, before which it ran, and is left so: start it in the cloud's console", p.called())
	} else if p.result.AsBefore != "" {
		p.note("%s is stopped since an earlier change, before which it ran, and will be left running; --power off leaves it stopped", p.called())
	}
}
