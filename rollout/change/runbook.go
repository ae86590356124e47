package change

import (
	"cmp"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Step is what is done to a server at the moment.
type Step string

// The steps of one server, in their order.
const (
	StepPreflight    Step = "preflight"
	StepStop         Step = "stop"
	StepSubmit       Step = "submit"
	StepPoll         Step = "poll"
	StepStartAgain   Step = "start-again" // right after a failed job, before the proof
	StepVerify       Step = "verify"
	StepHealth       Step = "health" // after the proof, while the server runs
	StepSoak         Step = "soak"   // its health is watched on
	StepRestorePower Step = "restore-power"
	StepEnded        Step = "ended"
)

// RunInput asks for the change of one server.
type RunInput struct {
	ServerID string
	Change   rollout.Change
	// PriorDisk is the disk from before an earlier attempt whose change may have come after it was judged. A server that
	// shows proof against it is done, and nothing is sent.
	PriorDisk *rollout.Fingerprint
	// OriginalStatus is the status that "as before" means, for an attempt that is not the first.
	OriginalStatus string
	// Health is true when the server is done only once its application is healthy, and Soak when it has to stay so for a while.
	Health, Soak bool
	// Recheck is the proven disk of a server that is not changed, whatever it shows: only its health is checked again, against
	// PriorDisk as the disk from before. Nil for a change.
	Recheck *rollout.Fingerprint
}

// Failure is why the activity of a step ended without a result. The zero value is none.
type Failure struct {
	Type    ErrorType
	Message string
	// Final is false when the activity was given up while it might have been tried again.
	Final bool
	// TimedOut is true when its time was over: its last error says nothing of what came before.
	TimedOut bool
	// Kind is the kind of a refusal.
	Kind rollout.FailureKind
	// Touched is true for a recall after a stop was sent, or may have been.
	Touched bool
	// Disk is the one that a server has in place of the one it was about.
	Disk rollout.Fingerprint
}

func (f Failure) isNone() bool { return f == Failure{} }

// provesNothingAccepted is true for the end of a submission that proves that the cloud has accepted no change.
func (f Failure) provesNothingAccepted() bool {
	switch f.Type {
	case Refused, Invalid, Credentials, SecretUnreadable, DiskReplaced, GivenUp, Recalled:
		return f.Final
	}
	return false
}

// Found is what the preflight found.
type Found struct {
	Name   string
	Before rollout.Observation
	// OriginalStatus is the status before an earlier change that took the power of the server and did not give it back.
	OriginalStatus string
	// MayAwaitPayment is true when the cloud may accept the change and wait for a payment before it begins.
	MayAwaitPayment bool
	AlreadyThere    bool
	Refusals        []string
}

// Stopped is how a stop ended.
type Stopped struct {
	// Updated is when the cloud last worked on the server.
	Updated string
	// Doubt is true when a stop whose answer was lost may arrive yet.
	Doubt bool
	// Touched is true when a stop was sent, or may have been.
	Touched bool
}

// Record is what later runs have to know of a change. The workflow keeps it in its memo, from before the step of which it
// speaks.
type Record struct {
	// Pending is true when the change may have been accepted, and is not over as far as is known.
	Pending bool
	// JobStatus is the last known status of a job that was not over.
	JobStatus string
	// InProgressSince is when the cloud was first seen to work on the job after its deadline.
	InProgressSince time.Time
	// LeftOff is the system disk of the server when the change took its power, or may have, and did not give it back.
	LeftOff string
}

// IsInProgress is true for a status of a job that the cloud works on, or begins to.
func IsInProgress(status string) bool { return status == "INIT" || status == "RUNNING" }

// PriorRun is what the original run of a workflow did that was reset. Only that run can have changed anything: a run that
// was reset sends no change and no stop.
type PriorRun struct {
	// Known is false when it cannot be found out.
	Known          bool
	OriginalStatus string
	Record         Record
	// Result is what is known of the server. Its server id is empty when that run has touched nothing, and its end is empty
	// when that run did not end.
	Result rollout.ServerResult
}

// Runbook decides between the steps of one server. Its Result is how the server ends.
//
// A cancel before the change is submitted is obeyed, and the server gets its power back. After that it is too late: the old
// disk is given up, so the change is carried to its end.
type Runbook struct {
	in     RunInput
	step   Step
	Result rollout.ServerResult
	// Cancelled is true when a cancel was obeyed.
	Cancelled bool
	// Until is when the server is judged, whatever its job says.
	Until time.Time
	// Updated is when the cloud had last worked on the server before the change was sent.
	Updated         string
	MayAwaitPayment bool
	// Touched is true when a stop was sent, or may have been.
	Touched bool
	// JobEnded is true when nothing that was asked for can still be under way.
	JobEnded bool

	stopDoubt bool // a stop may be under way of which the end is not known: the server may go down yet
	untouched bool // the server was recalled before it was stopped: it is left alone
	touched   bool // a stop or a change has begun
	record    Record
	reset     bool
	jobNote   string // why the job does not prove anything
	refused   bool   // credentials were refused while the power was to be restored
}

// NewRunbook begins with the preflight.
func NewRunbook(in RunInput, now time.Time) Runbook {
	return Runbook{in: in, step: StepPreflight, Result: rollout.ServerResult{ServerID: in.ServerID, StartedAt: now}}
}

// Step is the one to carry out.
func (r *Runbook) Step() Step { return r.step }

// OriginalStatus is the status that "as before" means.
func (r *Runbook) OriginalStatus() string { return cmp.Or(r.in.OriginalStatus, r.Result.Before.Status) }

// PriorStatus is the status that "as before" means, when it is not the one that the preflight saw.
func (r *Runbook) PriorStatus() string { return r.in.OriginalStatus }

// PreflightEnded is the event of the end of the preflight.
func (r *Runbook) PreflightEnded(found Found, f Failure, cancelled bool) {
	r.Result.Name, r.Result.Before, r.Updated = found.Name, found.Before, found.Before.Updated
	r.in.OriginalStatus = cmp.Or(found.OriginalStatus, r.in.OriginalStatus)
	r.MayAwaitPayment = found.MayAwaitPayment
	r.step = StepEnded
	switch {
	case cancelled:
		r.Cancelled = true
		r.end(rollout.NotStarted, "cancelled before anything was touched")
	case !f.isNone():
		r.end(rollout.NotStarted, "the server could not be looked at, nothing was touched: "+f.Message)
		r.noteCredentials(f)
	case r.in.Recheck != nil && found.Before.Fingerprint != *r.in.Recheck:
		r.endRecheck("it does not have the system disk any more that was proven")
	case r.in.PriorDisk != nil && Proven(found.Before, *r.in.PriorDisk, r.in.Change.ImageID):
		r.Result.After = found.Before
		reason := "runs the image on a new system disk: an earlier change came after all, nothing was sent"
		if r.in.Recheck != nil {
			reason = "runs the image on a new system disk"
		}
		r.end(rollout.Done, reason)
		r.proven()
	case r.in.Recheck != nil:
		r.endRecheck("it does not run")
	case found.AlreadyThere:
		r.end(rollout.Skipped, "it is on the image already")
	case len(found.Refusals) > 0:
		r.end(rollout.NotStarted, strings.Join(found.Refusals, "; "))
		r.Result.Failure = rollout.FailureOfServer
	case r.in.Change.WithStopServer:
		r.submit()
	default:
		// SHUTOFF is the state in which a late duplicate of the change cannot harm: once the change is done the server runs
		// again, and the cloud refuses to change a running one.
		r.step = StepStop
		r.takePower()
	}
}

// endRecheck ends a recheck that finds the server in a state in which its health means nothing.
func (r *Runbook) endRecheck(why string) {
	r.end(rollout.NotStarted, why+" (status "+cmp.Or(r.Result.Before.Status, "unknown")+"), so its health was not checked; nothing was sent")
	r.Result.Failure = rollout.FailureOfServer
}

// submit is the step from which on the change may have been accepted.
func (r *Runbook) submit() {
	r.step, r.record.Pending = StepSubmit, true
	r.takePower()
}

// takePower records that the server may be stopped for the change.
func (r *Runbook) takePower() {
	r.touched = true
	if r.OriginalStatus() == rollout.StatusActive {
		r.record.LeftOff = r.Result.Before.VolumeID
	}
}

// Record is what later runs have to know. A run that has touched nothing has none.
func (r *Runbook) Record() (record Record, ok bool) { return r.record, r.touched }

// StopEnded is the event of the end of the stop. A cancel is obeyed after it: a server that is still going down looks as if
// it ran.
func (r *Runbook) StopEnded(stopped Stopped, f Failure, cancelled bool) {
	failed := !f.isNone()
	r.stopDoubt, r.Touched, r.Updated = failed || stopped.Doubt, failed || stopped.Touched, stopped.Updated
	switch {
	case f.Type == Recalled:
		r.Touched, r.untouched = f.Touched, !f.Touched
		r.recalled(f)
		r.Cancelled = cancelled
	case cancelled:
		r.Cancelled = true
		r.end(rollout.NotStarted, "cancelled before its disk was touched")
	case !failed:
		r.submit()
		return
	case f.Type == Vanished:
		r.end(rollout.Vanished, f.Message)
	case f.Type == DiskReplaced:
		r.Result.Foreign = true
		r.end(rollout.FailedChanged, "its disk was replaced from outside, nothing was sent: "+f.Message)
	case f.Type == Credentials:
		r.end(rollout.NotStarted, "it could not be stopped, its disk was not touched: "+f.Message)
		r.noteCredentials(f)
	default:
		r.end(rollout.FailedIntact, "it could not be stopped, its disk was not touched: "+f.Message)
	}
	r.restorePower()
}

// recalled ends a server that its rollout took back. One that was not stopped has its power still.
func (r *Runbook) recalled(f Failure) {
	r.Result.Recalled = true
	reason := "recalled before it was stopped: "
	if r.Touched {
		reason = "recalled before its disk was touched: "
	}
	r.end(rollout.NotStarted, reason+f.Message)
}

// noteCredentials says what the worker lacks, credentials that the cloud accepts or a secret: the server is not at fault.
func (r *Runbook) noteCredentials(f Failure) {
	if f.Type.OfWorker() {
		r.Result.CredentialsRefused = f.Message
	}
}

// SubmitEnded is the event of the end of the submission. Unless nothing can have been accepted, the server has to show what
// came of it.
func (r *Runbook) SubmitEnded(jobID string, f Failure, now time.Time) {
	r.Result.JobID = jobID
	if f.provesNothingAccepted() {
		r.record.Pending = false
	}
	switch {
	case f.isNone():
	case f.Type == Vanished:
		r.end(rollout.Vanished, f.Message)
		r.step = StepEnded
		return
	case f.Type.OfWorker() && !f.TimedOut:
		r.end(rollout.NotStarted, "no change was accepted, its disk was not touched: "+f.Message)
		r.noteCredentials(f)
		r.restorePower()
		return
	case f.Type == Refused || f.Type == Invalid:
		r.end(rollout.FailedIntact, "the change was refused, its disk was not touched: "+f.Message)
		r.Result.Failure = f.Kind
		r.restorePower()
		return
	case f.Type == Recalled:
		r.recalled(f)
		r.restorePower()
		return
	case f.Type == GivenUp:
		r.end(rollout.FailedIntact, "its disk was not touched: "+f.Message)
		r.restorePower()
		return
	case f.Type == DiskReplaced:
		r.Result.Foreign, r.JobEnded, r.jobNote = true, true, f.Message
	default:
		r.jobNote = "submitting ended in doubt: " + f.Message
	}
	r.Until = now.Add(r.in.Change.WaitDeadline())
	r.poll()
}

// poll follows the job. Without a job id, the server itself is watched.
func (r *Runbook) poll() {
	r.step = StepPoll
	if r.Result.JobID == "" {
		r.step = StepVerify
	}
}

// PollEnded is the event of the end of the wait for the job.
func (r *Runbook) PollEnded(job JobVerdict, f Failure, now time.Time) {
	r.jobNote = job.Reason
	if !f.isNone() {
		r.jobNote = "its job could not be followed: " + f.Message
	}
	r.JobEnded = job.End.IsOver()
	r.record.Pending, r.record.JobStatus = !r.JobEnded, job.Status
	if IsInProgress(job.Status) {
		r.record.InProgressSince = now
	}
	r.step = StepVerify
	if job.End == JobEndFailed && r.OriginalStatus() == rollout.StatusActive && !r.reset {
		// A late copy of the request would be accepted by a server that is stopped, and is refused by one that runs.
		r.step = StepStartAgain
	}
}

// StartedAgain is the event of the end of the start after a failed job. The proof decides, and what did not work here is
// tried again after it.
func (r *Runbook) StartedAgain() { r.step = StepVerify }

// DiskFromOutside is the remark on a server that no change of ours leaves with the disk it has.
const DiskFromOutside = "; it was given that disk from outside"

// VerifyEnded is the event of the end of the watch. The server is judged by what it shows, whatever the job's status.
func (r *Runbook) VerifyEnded(after rollout.Observation, f Failure) {
	r.Result.After = after
	before, image := r.Result.Before.Fingerprint, r.in.Change.ImageID
	if !f.isNone() {
		r.endVerified(rollout.FailedChanged, "the change was submitted, but the server could not be looked at afterwards: "+f.Message)
		return
	}
	end, reason := Judge(after, before, image, r.JobEnded)
	if r.JobEnded && end != rollout.Done && r.in.PriorDisk != nil && Proven(after, *r.in.PriorDisk, image) {
		r.Result.Foreign = false
		r.endVerified(rollout.Done, "runs the image on a new system disk: an earlier change came after all")
		return
	}
	if !r.Result.Foreign && Foreign(after, before, image) {
		r.Result.Foreign = true
		reason += DiskFromOutside
	}
	if end != rollout.Done && r.jobNote != "" {
		reason += "; " + r.jobNote
	}
	r.endVerified(end, reason)
}

func (r *Runbook) endVerified(end rollout.ServerEnd, reason string) {
	if r.reset {
		reason += "; its workflow was reset, and nothing was sent since"
	}
	r.end(end, reason)
	if end == rollout.Done {
		r.proven()
		return
	}
	r.restorePower()
}

// proven follows the proof of the new disk. The server runs: its health is checked before it may be stopped as asked.
func (r *Runbook) proven() {
	if r.in.Health {
		r.step = StepHealth
		return
	}
	r.restorePower()
}

// HealthEnded is the event of the end of the health checks, and of the soak. Only an answer makes a server unhealthy: an
// activity that could not ask does not end.
func (r *Runbook) HealthEnded(verdict HealthVerdict, f Failure) {
	switch {
	case f.Type == Vanished:
		r.end(rollout.Vanished, f.Message)
	case f.Type == DiskReplaced:
		r.Result.Foreign = true
		r.end(rollout.FailedChanged, "its disk was replaced from outside after it was proven: "+f.Message)
	case !f.isNone():
		r.end(rollout.FailedUnhealthy, "runs the image on a new system disk, but its health could not be checked: "+f.Message)
	case !verdict.Healthy:
		when := ""
		if r.step == StepSoak {
			when = " in its soak"
		}
		r.end(rollout.FailedUnhealthy, "runs the image on a new system disk, and its application is not healthy"+when+": "+verdict.Reason)
	case r.step == StepHealth && r.in.Soak:
		r.step = StepSoak
		return
	default:
		r.Result.Healthy = true
	}
	r.restorePower()
}

// PowerGoal is the power state that the server is left in. Wanted is false when its power is left alone.
func (r *Runbook) PowerGoal() (goal PowerInput, wanted bool) {
	goal = PowerInput{ServerID: r.in.ServerID, AllowHard: r.in.Change.AllowHardStop}
	switch r.Result.End {
	case rollout.Done:
		// A server that was in ERROR is left running: it was not meant to be off.
		asBefore := r.in.Change.Power == "" || r.in.Change.Power == rollout.PowerAsBefore
		off := r.in.Change.Power == rollout.PowerOff || (asBefore && r.OriginalStatus() == rollout.StatusShutoff)
		// The ECS user guide says to wait some minutes after a change, while the login is set up: no stop in the middle.
		goal.Disk, goal.Unsettled = r.Result.After.VolumeID, true
		return goal, off // proven means running
	case rollout.FailedIntact, rollout.NotStarted:
		goal.On, goal.Disk, goal.Unsettled = true, r.Result.Before.VolumeID, r.stopDoubt
		return goal, r.OriginalStatus() == rollout.StatusActive && !r.untouched
	}
	return goal, false // what is left of the server is for a human to look at
}

// StartGoal is the power state for a server whose job has failed.
func (r *Runbook) StartGoal() PowerInput {
	return PowerInput{ServerID: r.in.ServerID, AllowHard: r.in.Change.AllowHardStop, On: true, Disk: r.Result.Before.VolumeID}
}

// restorePower is the last step, when there is something to restore.
func (r *Runbook) restorePower() {
	goal, wanted := r.PowerGoal()
	r.step = StepEnded
	judged := r.Result.After
	switch {
	case !wanted:
	case goal.On && judged.Idle() && judged.Status == rollout.StatusActive:
		r.Result.Left = judged.Status // for the settle time, so it is no old view
	default:
		r.step = StepRestorePower
	}
}

// IsTouched is true once a step has begun that may have changed the server. A cancel does not end the run any more.
func (r *Runbook) IsTouched() bool { return r.touched }

// PowerRestored is the event of the end of the restoration. Cancelled is true when a further try would fail at once.
func (r *Runbook) PowerRestored(status string, f Failure, cancelled bool) {
	r.refused = r.refused || r.Result.CredentialsRefused != "" || f.Type == Credentials
	if !f.isNone() && !f.Final && r.refused && !cancelled {
		return // nothing is wrong with the server, and the credentials may be mended on Monday only: it is tried again
	}
	r.step = StepEnded
	r.Result.Foreign = r.Result.Foreign || Foreign(rollout.Observation{Fingerprint: f.Disk}, r.Result.Before.Fingerprint, r.in.Change.ImageID)
	switch {
	case f.Type == Vanished:
		r.end(rollout.Vanished, f.Message)
		return
	case f.Type == DiskReplaced && r.Result.End == rollout.FailedIntact:
		r.end(rollout.FailedChanged, "it had its old system disk when it was judged, and has another one since: "+f.Message)
		if r.Result.Foreign {
			r.Result.Reason += DiskFromOutside
		}
	case !f.isNone():
		r.Result.PowerTrouble = f.Message
	}
	r.Result.Left = status
}

// WasReset is the event that an activity refused to go on because the workflow was reset: the server is watched to rest, gets
// back power that a change has provably taken, and ends by what it shows. Nothing else is sent to it.
func (r *Runbook) WasReset(prior PriorRun, now time.Time) {
	r.reset, r.Cancelled = true, false
	r.record, r.touched = prior.Record, prior.Result.ServerID != ""
	if prior.Known {
		r.Result.Name, r.Result.Before, r.Result.JobID = prior.Result.Name, prior.Result.Before, prior.Result.JobID
	}
	r.in.OriginalStatus = cmp.Or(r.in.OriginalStatus, prior.OriginalStatus)
	r.step = StepEnded
	switch {
	case !prior.Known:
		r.end(rollout.FailedChanged, "its workflow was reset, and what its first run did could not be read: whether its disk was touched cannot be found out")
		return
	case !r.touched:
		r.end(rollout.NotStarted, "its workflow was reset before the server was touched")
		return
	case prior.Result.End == rollout.Done: // whatever became of the server since
		r.Result = prior.Result
		return
	}
	r.JobEnded = !prior.Record.Pending
	r.Until = now.Add(r.in.Change.WaitDeadline())
	r.step = StepVerify
	if !r.JobEnded {
		r.poll()
	}
}

// MayBeReset is true when the result claims an old disk that was not looked at. In a workflow that was reset that is no
// proof: no activity got as far as to say what the original run did.
func (r *Runbook) MayBeReset() bool {
	claimsOldDisk := r.Result.End == rollout.NotStarted || r.Result.End == rollout.FailedIntact
	return claimsOldDisk && !r.reset && !r.Result.After.Exists
}

// Close completes the record at the end. The job decides whether the change is pending, and not the server, which may have
// the image because it was changed from outside. Only without a job, the end of the server does.
func (r *Runbook) Close() {
	end := r.Result.End
	isOver := r.record.JobStatus == "RUNNING" && (end == rollout.Done || end == rollout.FailedUnhealthy)
	if r.Result.JobID == "" { // a server that is looked at again was not gone
		isOver = end != rollout.FailedChanged && end != rollout.FailedLost && end != rollout.Vanished
	}
	r.record.Pending = r.record.Pending && !isOver
	runs := cmp.Or(r.Result.Left, r.Result.After.Status) == rollout.StatusActive
	if r.untouched || end == rollout.Done || runs {
		r.record.LeftOff = ""
	}
}

// end records how the server ended.
func (r *Runbook) end(end rollout.ServerEnd, reason string) {
	r.Result.End, r.Result.Reason, r.Result.Failure = end, reason, ""
}
