package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/edition"
)

// secrets reads what the references name, and keeps nothing of it.
func (d *diagnosis) secrets(context.Context) api.Finding {
	const fix = "mend it on this worker and restart that: meanwhile it hands back work that needs the secret (docs/configuration.md#secrets)"
	if err := d.read.CheckDir(); err != nil {
		return api.Finding{Verdict: api.CheckFailed, Seen: "REIMAGE_SECRETS_DIR: " + err.Error(), Fix: fix}
	}
	if len(d.in.Secrets) == 0 {
		return skipped("not checked: name a reference with --secret")
	}
	var refs, problems []string
	for _, ref := range d.in.Secrets {
		refs = append(refs, string(ref))
		switch _, err := d.read.Resolve(ref); {
		case isUnreadable(err): // names the reference by itself
			problems = append(problems, err.Error())
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s: %s", ref, err))
		}
	}
	if len(problems) > 0 {
		return api.Finding{Verdict: api.CheckFailed, Seen: strings.Join(problems, "; "), Fix: fix}
	}
	return fine("this worker can read: %s", strings.Join(refs, ", "))
}

// profile also makes the first request. What comes back speaks for or against the checks up to the list of servers.
func (d *diagnosis) profile(ctx context.Context) api.Finding {
	if d.unknown != nil {
		return api.Finding{Verdict: api.CheckFailed, Seen: d.unknown.Error(), Fix: "reimage doctor --profile NAME; the names are set by REIMAGE_PROFILES of the worker"}
	}
	d.glance, d.trouble = d.Cloud.Glance(ctx)
	if d.Cloud.ProjectID() == "" {
		return fine("%s; which project it is, is not known", d.Name)
	}
	if err := d.open(ctx); err != nil {
		return api.Finding{Verdict: api.CheckFailed, Seen: err.Error(), Fix: "REIMAGE_PROFILES of the worker names the profiles: docs/configuration.md#profiles"}
	}
	return fine("%s: project %s, edition %s", d.Name, d.Cloud.ProjectID(), cmp.Or(d.Edition.Name, edition.Any))
}

// blamed is the check that the first answer speaks against, "" for none. What no other cause is known for is laid
// to the cloud, so that nothing is called good that nobody has seen; and so is a certificate that does not fit the
// clock, because no answer tells whose fault it is.
func (d *diagnosis) blamed() string {
	switch cloud, ok := errors.AsType[*ecs.Error](d.trouble); {
	case d.trouble == nil:
		return ""
	case !ok:
		return api.CheckCloud
	case cloud.Cause() == ecs.CauseClock && d.glance.Dated:
		return api.CheckClock
	case cloud.Cause() == ecs.CauseCredentials:
		return api.CheckCredentials
	case cloud.Cause() == ecs.CauseProject || cloud.Cause() == ecs.CausePermission && d.Cloud.ProjectID() == "":
		return api.CheckProject
	case cloud.Cause() == ecs.CausePermission:
		return api.CheckListServers
	}
	return api.CheckCloud
}

func (d *diagnosis) cloud(context.Context) api.Finding {
	address, _ := d.Cloud.Endpoints()
	cloud, ok := errors.AsType[*ecs.Error](d.trouble)
	switch {
	case d.blamed() == api.CheckCloud:
		finding := refused(d.trouble)
		if d.Cloud.ProjectID() != "" { // else nobody came as far as that
			finding.Seen = address + ": " + finding.Seen
		}
		return finding
	case ok && cloud.Status == 0 && cloud.Class() == ecs.ClassTransient: // there is nobody who grants credentials
		return skipped(address + " was not asked: nobody answers where the credentials come from")
	case ok && cloud.Status == 0: // the credentials or the project are blamed, and by whoever grants them
		return fine("whoever grants the credentials answers; %s was not asked", address)
	}
	return fine("%s answers", address)
}

// datedTo is how exactly the date of an answer tells the cloud's time: it has whole seconds, and the way takes some of one.
const datedTo = 2 * time.Second

// clock holds the worker's clock against the date of the answer.
func (d *diagnosis) clock(context.Context) api.Finding {
	skew := d.glance.Skew.Round(time.Second)
	seen := "the worker's clock is " + ecs.Skewed(skew)
	switch {
	case !d.glance.Dated:
		return skipped("not checked: no answer of the cloud had a date")
	case d.glance.Skew.Abs() < datedTo:
		return fine("the worker's clock agrees with the cloud's, to two seconds")
	case skew.Abs() > ecs.ToleratedSkew:
		return api.Finding{Verdict: api.CheckFailed, Seen: seen, Fix: "set the clock of the worker's machine right (NTP): signatures that are 15 minutes off are refused"}
	}
	return fine("%s", seen)
}

// startAnew is for settings that are wrong.
const startAnew = "; the worker reads its settings when it starts, so start it anew after a change (docs/configuration.md)"

func (d *diagnosis) credentials(context.Context) api.Finding {
	cloud, _ := errors.AsType[*ecs.Error](d.trouble)
	said := "the cloud accepts them"
	switch blamed := d.blamed(); {
	case blamed == api.CheckCloud || blamed == api.CheckClock:
		return api.NotChecked(blamed)
	case blamed == api.CheckCredentials:
		finding := refused(d.trouble)
		if d.Source != "" {
			finding.Seen = d.Source + ": " + finding.Seen
		}
		finding.Fix += startAnew
		return finding
	case blamed == api.CheckProject && cloud.Status == 0: // a service may look at the project first
		said = "the identity service says nothing against them"
	}
	if d.Source != "" {
		said += ": " + d.Source
	}
	return fine("%s", said)
}

func (d *diagnosis) project(context.Context) api.Finding {
	if d.blamed() == api.CheckProject {
		finding := refused(d.trouble)
		finding.Fix += startAnew
		return finding
	}
	return fine("%s is that of the credentials", d.Cloud.ProjectID())
}

func (d *diagnosis) listServers(context.Context) api.Finding {
	if d.trouble != nil {
		return refused(d.trouble)
	}
	within := ""
	if id := d.Cloud.EnterpriseProject(); id != "" {
		within = " in enterprise project " + id
	}
	return permitted(ecs.ActionListServers, fmt.Sprintf("; the project has %d%s", d.glance.Servers, within))
}

// readServer reads the server that was named, or else the first of the list.
func (d *diagnosis) readServer(ctx context.Context) api.Finding {
	id := cmp.Or(d.in.ServerID, d.glance.First.ID)
	if id == "" {
		return skipped("not checked: no server is known, name one with --server")
	}
	var err error
	d.server, err = d.Cloud.Server(ctx, id)
	if err != nil && !isNotFound(err) {
		return refused(err)
	}
	return permitted(ecs.ActionReadServer, "")
}

func (d *diagnosis) readDisks(ctx context.Context) api.Finding {
	id := cmp.Or(d.in.ServerID, d.glance.First.ID)
	var err error
	d.disk, err = d.systemDisk(ctx, id)
	if err != nil && !isNotFound(err) {
		return refused(err)
	}
	return permitted(ecs.ActionReadDisks, "")
}

// noJob is the id of a job that no cloud has.
const noJob = "ffffffffffffffffffffffffffffffff"

// queryJobs takes any answer about the job for a yes: which one a cloud has for a job that there is not is published
// nowhere.
func (d *diagnosis) queryJobs(ctx context.Context) api.Finding {
	_, err := d.Cloud.Job(ctx, noJob)
	switch cloud, _ := errors.AsType[*ecs.Error](err); {
	case err == nil || isNotFound(err):
		return fine("permitted")
	case isAnswer(err):
		return fine("permitted; of a job that there is not, the cloud says HTTP %d %s", cloud.Status, cloud.Code)
	}
	return refused(err)
}

// listGroups matters to some rollouts only, and some clouds have no groups.
func (d *diagnosis) listGroups(ctx context.Context) api.Finding {
	const use = "; only rollouts with perGroup.serverGroup need it"
	_, err := d.Cloud.ServerGroups(ctx)
	if err == nil {
		return permitted(ecs.ActionListGroups, "")
	}
	if cloud, ok := errors.AsType[*ecs.Error](err); ok && (cloud.Admitted() || notServed(cloud.Status)) {
		return skipped("this cloud does not seem to list groups: " + cloud.What() + use)
	}
	finding := refused(err)
	finding.Fix += use
	return finding
}

// notServed is true for a status by which a cloud tells that it has no such call.
func notServed(status int) bool {
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

// noImage is the name of an image that nobody has, so that the list is short.
const noImage = "reimage-doctor"

func (d *diagnosis) listImages(ctx context.Context) api.Finding {
	if _, err := d.Cloud.ImagesByName(ctx, noImage); err != nil {
		return refused(err)
	}
	return permitted(ecs.ActionListImages, "")
}

func permitted(action, more string) api.Finding { return fine("permitted (%s)%s", action, more) }

// image looks at the image by itself.
func (d *diagnosis) image(ctx context.Context) api.Finding {
	if d.in.ImageID == "" {
		return skipped("not checked: name one with --image")
	}
	var err error
	d.target, err = d.Cloud.Image(ctx, d.in.ImageID)
	switch {
	case isNotFound(err):
		return api.Finding{Verdict: api.CheckFailed, Seen: "image " + d.in.ImageID + " does not exist in this region or is not shared with this project", Fix: "check the id and the region, or have the image shared"}
	case err != nil:
		return refused(err)
	}
	look := preflight{in: contract.PreflightInput{Change: anyLogin()}}
	look.image(d.target, ecs.Server{}, d.Edition)
	return judged(look, fmt.Sprintf("%s is %s", d.target.Name, d.target.Status))
}

// fit looks at the server that was named, and at whether it takes the image, as the first step of a change does.
func (d *diagnosis) fit(ctx context.Context) api.Finding {
	switch {
	case d.in.ServerID == "":
		return skipped("not checked: name one with --server")
	case d.server.ID == "":
		return api.Finding{Verdict: api.CheckFailed, Seen: "server " + d.in.ServerID + " does not exist in project " + d.Cloud.ProjectID(), Fix: "check the id, the region and the profile"}
	}
	look := preflight{in: contract.PreflightInput{ServerID: d.in.ServerID, Change: anyLogin()}}
	look.server(d.server, d.disk)
	switch earlier, err := d.earlier(ctx, &look); {
	case err != nil && ctx.Err() != nil:
		return outOfTime("not known what was sent to it: the answers")
	case isA[*temporal.ApplicationError](err):
		return refused(err)
	case err != nil:
		return api.Finding{Verdict: api.CheckFailed, Seen: err.Error(), Fix: "try again; if it stays so, look what keeps Temporal"}
	case earlier.Locked:
		look.refuse("%s is held by a workflow that is under way: reimage server status %s", look.called(), d.in.ServerID)
	}
	seen := fmt.Sprintf("%s is %s", d.server.Name, d.server.Status)
	if d.wasOK(api.CheckImage) {
		look.image(d.target, d.server, d.Edition)
		if err := d.compareImages(ctx, &look, d.target, d.server); err != nil {
			return refused(err)
		}
		seen += " and fits the image"
	}
	return judged(look, seen)
}

// anyLogin is a change with a login, of which a diagnosis knows nothing: a plan judges that.
func anyLogin() rollout.Change { return rollout.Change{Login: rollout.Login{KeyPair: "any"}} }

// judged is the finding of a look: what it has against a change, or else what was seen.
func judged(look preflight, seen string) api.Finding {
	if len(look.result.Refusals) == 0 {
		return fine("%s", seen)
	}
	return api.Finding{Verdict: api.CheckFailed, Seen: strings.Join(look.result.Refusals, "; "), Fix: "settle that before it is changed, or take another one"}
}

// changes cannot be asked for without being carried out.
func (d *diagnosis) changes(context.Context) api.Finding {
	return skipped(fmt.Sprintf("not checked: would change a server; needs %s, %s and %s", ecs.ActionChangeOS, ecs.ActionStop, ecs.ActionStart))
}
