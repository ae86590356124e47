package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
)

// diagnosisTime bounds all checks together. Somebody waits, and a cloud that is as slow as that is a finding.
const diagnosisTime = 100 * time.Second

// Diagnose asks the cloud one harmless question of every kind, and touches nothing. What is wrong is data: it has
// no errors but the end of its context.
func (a *Activities) Diagnose(ctx context.Context, in contract.DiagnoseInput) (contract.DiagnoseResult, error) {
	d := diagnosis{in: in, worker: a.Secrets.Worker, read: a.Secrets}
	d.site, d.unknown = a.chosen(in.Profile)
	ctx, end := untilStop(ctx)
	defer end()
	within, cancel := context.WithTimeout(ctx, diagnosisTime)
	defer cancel()
	for _, step := range d.steps() {
		finding := d.find(within, step)
		if ctx.Err() != nil {
			return contract.DiagnoseResult{}, ended(ctx) // what a cancel looks like is no finding
		}
		d.findings = append(d.findings, finding)
	}
	return contract.DiagnoseResult{Findings: d.findings}, nil
}

// diagnosis is what one check knows from those before it.
type diagnosis struct {
	site
	unknown error // there is no such profile
	worker  string
	read    Secrets
	in      contract.DiagnoseInput

	glance  ecs.Glance
	trouble error      // with the glance
	server  ecs.Server // the one that was read
	disk    ecs.Disk   // its system disk
	target  ecs.Image  // the one that was named

	findings []api.Finding
}

// step is one check. It is skipped unless the check that it needs was ok.
type step struct {
	check, needs string
	asks         bool // the cloud, something that was not asked before
	do           func(context.Context) api.Finding
}

func (d *diagnosis) steps() []step {
	return []step{
		{api.CheckSecrets, "", false, d.secrets},
		{api.CheckProfile, "", true, d.profile},
		{api.CheckCloud, api.CheckProfile, false, d.cloud},
		{api.CheckClock, api.CheckCloud, false, d.clock},
		{api.CheckCredentials, api.CheckProfile, false, d.credentials},
		{api.CheckProject, api.CheckCredentials, false, d.project},
		{api.CheckListServers, api.CheckProject, false, d.listServers},
		{api.CheckReadServer, api.CheckProject, true, d.readServer},
		{api.CheckReadDisks, api.CheckReadServer, true, d.readDisks},
		{api.CheckQueryJobs, api.CheckProject, true, d.queryJobs},
		{api.CheckListGroups, api.CheckProject, true, d.listGroups},
		{api.CheckListImages, api.CheckProject, true, d.listImages},
		{api.CheckImage, api.CheckListImages, true, d.image},
		{api.CheckKeyPair, api.CheckProject, d.in.KeyPair != "", d.keyPair},
		{api.CheckServer, api.CheckReadDisks, false, d.fit},
		{api.CheckChanges, "", false, d.changes},
	}
}

func (d *diagnosis) find(ctx context.Context, s step) api.Finding {
	var finding api.Finding
	switch {
	case s.needs != "" && !d.wasOK(s.needs):
		finding = api.NotChecked(s.needs)
	case s.asks && ctx.Err() != nil:
		finding = outOfTime("not asked: the answers before")
	default:
		finding = s.do(ctx)
	}
	finding.Check, finding.Worker = s.check, d.worker
	return finding
}

// outOfTime is a failure: nobody may take it for a clean bill.
func outOfTime(what string) api.Finding {
	return api.Finding{
		Verdict: api.CheckFailed, Seen: fmt.Sprintf("%s took all of %s", what, diagnosisTime),
		Fix: "see what made them late: a slow way to the cloud, or calls that wait for their turn (docs/configuration.md#limits); then try again",
	}
}

func (d *diagnosis) wasOK(check string) bool {
	for _, f := range d.findings {
		if f.Check == check {
			return f.Verdict == api.CheckOK
		}
	}
	return false
}

func fine(format string, args ...any) api.Finding {
	return api.Finding{Verdict: api.CheckOK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(why string) api.Finding { return api.Finding{Verdict: api.CheckSkipped, Seen: why} }

// refused is for an error of the cloud.
func refused(err error) api.Finding {
	finding := api.Finding{Verdict: api.CheckFailed, Seen: err.Error(), Fix: "try again; if it stays so, ask the cloud's support, and name the request"}
	if judged, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		finding.Seen = judged.Message()
	}
	cloud, ok := errors.AsType[*ecs.Error](err)
	if !ok {
		return finding
	}
	finding.Seen = cloud.What()
	switch remedy := cloud.Remedy(); {
	case cloud.Cause() == ecs.CauseLimit:
		finding.Fix = remedy + " (docs/configuration.md#limits)"
	case remedy != "":
		finding.Fix = remedy
	case cloud.Class() == ecs.ClassInvalid:
		finding.Fix = "nothing was sent: name it by its id"
	case cloud.Class() == ecs.ClassThrottled:
		finding.Fix = "too many requests, from here or from elsewhere in the project: wait a minute and try again; if it stays so, set a lower REIMAGE_CALLS_PER_SECOND (docs/configuration.md#limits)"
	case cloud.Status == 0 && cloud.Class() == ecs.ClassTransient:
		finding.Fix = ecs.NetworkRemedy
	}
	return finding
}
