package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// DiagnoseName is the name under which Diagnose is registered.
const DiagnoseName = "Diagnose"

// DiagnoseInput asks what stands in the way of working on a project.
type DiagnoseInput struct {
	// Profile is a profile of the worker. Empty is its only one, or the one called default.
	Profile string `json:"profile,omitempty"`
	// ImageID and ServerID are looked at closely when they are given.
	ImageID  string `json:"image_id,omitempty"`
	ServerID string `json:"server_id,omitempty"`
	// KeyPair is looked up when it is given, as one of user KeyOwner, or of the worker's user without.
	KeyPair  string `json:"key_pair,omitempty"`
	KeyOwner string `json:"key_owner,omitempty"`
	// Secrets are references that the worker has to be able to read.
	Secrets []rollout.SecretRef `json:"secrets,omitempty"`
	// Workers are the processes that each make the checks, on a task queue of their own (WorkerQueue). Without any, whichever
	// worker takes them makes them.
	Workers []string `json:"workers,omitempty"`
}

// WorkerQueue is the task queue on which one worker is asked for its own diagnosis.
func WorkerQueue(taskQueue, worker string) string { return taskQueue + "/" + worker }

// CheckWorker is the check that a worker makes the others.
const CheckWorker = "worker"

// UnverifiedWorker is the finding for a worker that has not made the checks.
func UnverifiedWorker(worker string) Finding {
	finding := skipped("unverified: " + worker + " has not made the checks: it has ended, it hangs, or it is older than this command")
	finding.Worker, finding.Check = worker, CheckWorker
	return finding
}

// DiagnoseResult has a finding for each of DiagnosedChecks, in their order, for each worker that made them.
type DiagnoseResult struct {
	Findings []Finding `json:"findings"`
}

// Finding is what one check has found. Seen and Fix are sentences for people and hold no secret.
type Finding struct {
	// Worker made the check. Empty where it is not known, and for checks of the command line.
	Worker  string  `json:"worker,omitempty"`
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Seen is what was found, or why nothing was looked for.
	Seen string `json:"seen"`
	// Fix is what to do when the check failed, or when what is ok leaves a risk.
	Fix string `json:"fix,omitempty"`
}

// Verdict is how a check ended.
type Verdict string

// The verdicts.
const (
	CheckOK      Verdict = "ok"
	CheckFailed  Verdict = "failed"
	CheckSkipped Verdict = "skipped" // neither good nor bad: it was not looked, or the cloud does not have it
)

// The checks of Diagnose.
const (
	CheckSecrets     = "secrets"
	CheckProfile     = "profile"
	CheckCloud       = "cloud"
	CheckClock       = "clock"
	CheckCredentials = "credentials"
	CheckProject     = "project"
	CheckListServers = "list servers"
	CheckReadServer  = "read a server"
	CheckReadDisks   = "read its disks"
	CheckQueryJobs   = "query jobs"
	CheckListGroups  = "list groups"
	CheckListImages  = "list images"
	CheckImage       = "image"
	CheckKeyPair     = "key pair"
	CheckServer      = "server"
	CheckChanges     = "change servers"
)

// diagnosisTime bounds all checks together. Somebody waits, and a cloud that is as slow as that is a finding.
const diagnosisTime = 100 * time.Second

// Diagnose asks the cloud one harmless question of every kind, and touches nothing. What is wrong is data: it has
// no errors but the end of its context.
func (a *Activities) Diagnose(ctx context.Context, in DiagnoseInput) (DiagnoseResult, error) {
	d := diagnosis{in: in, worker: a.Secrets.Worker, read: a.Secrets}
	d.site, d.unknown = a.chosen(in.Profile)
	ctx, end := untilStop(ctx)
	defer end()
	within, cancel := context.WithTimeout(ctx, diagnosisTime)
	defer cancel()
	for _, step := range d.steps() {
		finding := d.find(within, step)
		if ctx.Err() != nil {
			return DiagnoseResult{}, ended(ctx) // what a cancel looks like is no finding
		}
		d.findings = append(d.findings, finding)
	}
	return DiagnoseResult{Findings: d.findings}, nil
}

// DiagnosedChecks are the checks of Diagnose, for those who cannot ask a worker.
func DiagnosedChecks() []string {
	var checks []string
	for _, step := range new(diagnosis).steps() {
		checks = append(checks, step.check)
	}
	return checks
}

// diagnosis is what one check knows from those before it.
type diagnosis struct {
	site
	unknown error // there is no such profile
	worker  string
	read    Secrets
	in      DiagnoseInput

	glance  ecs.Glance
	trouble error      // with the glance
	server  ecs.Server // the one that was read
	disk    ecs.Disk   // its system disk
	target  ecs.Image  // the one that was named

	findings []Finding
}

// step is one check. It is skipped unless the check that it needs was ok.
type step struct {
	check, needs string
	asks         bool // the cloud, something that was not asked before
	do           func(context.Context) Finding
}

func (d *diagnosis) steps() []step {
	return []step{
		{CheckSecrets, "", false, d.secrets},
		{CheckProfile, "", true, d.profile},
		{CheckCloud, CheckProfile, false, d.cloud},
		{CheckClock, CheckCloud, false, d.clock},
		{CheckCredentials, CheckProfile, false, d.credentials},
		{CheckProject, CheckCredentials, false, d.project},
		{CheckListServers, CheckProject, false, d.listServers},
		{CheckReadServer, CheckProject, true, d.readServer},
		{CheckReadDisks, CheckReadServer, true, d.readDisks},
		{CheckQueryJobs, CheckProject, true, d.queryJobs},
		{CheckListGroups, CheckProject, true, d.listGroups},
		{CheckListImages, CheckProject, true, d.listImages},
		{CheckImage, CheckListImages, true, d.image},
		{CheckKeyPair, CheckProject, d.in.KeyPair != "", d.keyPair},
		{CheckServer, CheckReadDisks, false, d.fit},
		{CheckChanges, "", false, d.changes},
	}
}

func (d *diagnosis) find(ctx context.Context, s step) Finding {
	var finding Finding
	switch {
	case s.needs != "" && !d.wasOK(s.needs):
		finding = NotChecked(s.needs)
	case s.asks && ctx.Err() != nil:
		finding = outOfTime("not asked: the answers before")
	default:
		finding = s.do(ctx)
	}
	finding.Check, finding.Worker = s.check, d.worker
	return finding
}

// outOfTime is a failure: nobody may take it for a clean bill.
func outOfTime(what string) Finding {
	return Finding{
		Verdict: CheckFailed, Seen: fmt.Sprintf("%s took all of %s", what, diagnosisTime),
		Fix: "see what made them late: a slow way to the cloud, or calls that wait for their turn (docs/configuration.md#limits); then try again",
	}
}

func (d *diagnosis) wasOK(check string) bool {
	for _, f := range d.findings {
		if f.Check == check {
			return f.Verdict == CheckOK
		}
	}
	return false
}

// NotChecked is for a check that makes no sense while the other one is not ok.
func NotChecked(needs string) Finding {
	return skipped("not checked: first comes " + needs)
}

func fine(format string, args ...any) Finding {
	return Finding{Verdict: CheckOK, Seen: fmt.Sprintf(format, args...)}
}

func skipped(why string) Finding { return Finding{Verdict: CheckSkipped, Seen: why} }

// refused is for an error of the cloud.
func refused(err error) Finding {
	finding := Finding{Verdict: CheckFailed, Seen: err.Error(), Fix: "try again; if it stays so, ask the cloud's support, and name the request"}
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
