package api

import "github.com/reimage/reimage/rollout"

// DoctorInput asks what stands in the way of working on a project.
type DoctorInput struct {
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
	// Workers are the processes that each make the checks. Without any, whichever worker takes them makes
	// them.
	Workers []string `json:"workers,omitempty"`
}

// DoctorResult has a finding for each of DoctorChecks, in their order, for each worker that made them.
type DoctorResult struct {
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

// The checks of a worker, in their order.
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

// DoctorChecks are the checks of a worker, in their order.
func DoctorChecks() []string {
	return []string{
		CheckSecrets, CheckProfile, CheckCloud, CheckClock, CheckCredentials, CheckProject, CheckListServers, CheckReadServer,
		CheckReadDisks, CheckQueryJobs, CheckListGroups, CheckListImages, CheckImage, CheckKeyPair, CheckServer, CheckChanges,
	}
}

// CheckWorker is the check that a worker makes the others.
const CheckWorker = "worker"

// NotChecked is for a check that makes no sense while the other one is not ok.
func NotChecked(needs string) Finding {
	return Finding{Verdict: CheckSkipped, Seen: "not checked: first comes " + needs}
}

// UnverifiedWorker is the finding for a worker that has not made the checks.
func UnverifiedWorker(worker string) Finding {
	return Finding{
		Worker: worker, Check: CheckWorker, Verdict: CheckSkipped,
		Seen: "unverified: " + worker + " has not made the checks: it has ended, it hangs, or it is older than this command",
	}
}
