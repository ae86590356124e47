package change

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
)

// PowerInput is the power state to bring a server to.
type PowerInput struct {
	ServerID string
	// Disk is the system disk it is about: a server that has another one by now is left alone. Empty accepts any.
	Disk string
	// On is true for a running server, false for a stopped one.
	On bool
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool
	// ErrorSuffices leaves a server in ERROR as it is: it can be changed so, and cannot be stopped.
	ErrorSuffices bool
	// Unsettled is true when the server may be about to change by itself: a stop may be on its way, or its new system still
	// sets itself up. What it shows is then neither believed nor acted on before it has shown the same for the settle time.
	Unsettled bool
}

// PowerMemory is the heartbeat of a stop or start. The next attempt adopts the job it names.
type PowerMemory struct {
	JobID string `json:"job_id,omitempty"`
	// Since is when the job was accepted, or when a shutdown without a known job was first seen.
	Since time.Time `json:"since,omitzero"`
	Hard  bool      `json:"hard,omitempty"`
	// Acted is true once a request was accepted, whatever became of its job.
	Acted bool `json:"acted,omitempty"`
	// Reached is true once the job of that request has succeeded.
	Reached bool `json:"reached,omitempty"`
	// Status is the last one seen, for the reader of the heartbeat.
	Status string `json:"status,omitempty"`
}

// The task states of a server that shuts down or starts. Its status is still the one from before then.
const (
	taskPoweringOff = "powering-off"
	taskPoweringOn  = "powering-on"
)

// maxSkippedQueries is for how many poll intervals the job is not queried while the server itself shows that it is under way.
const maxSkippedQueries = 12

// Power brings a server to a power state and waits until it is there with nothing under way. To stop or start twice is
// harmless, so a doubtful request is settled by another look.
type Power struct {
	in     PowerInput
	timing Timing
	memory PowerMemory

	requestTimeout time.Duration
	// Lost is true when an answer was lost, so a request may arrive yet.
	Lost      bool
	stability Stability
	server    rollout.Observation
	lookedAt  time.Time
	queriedAt time.Time
	// sending is the write that waits for its confirmation.
	sending Action
	// refused is true after a refusal for a reason that is in no table. It proves nothing: the server has to show it.
	refused     bool
	refusedAt   time.Time
	refusedHard bool
}

// NewPower begins an attempt. Memory is the last heartbeat of the attempts before it.
func NewPower(in PowerInput, timing Timing, memory PowerMemory) Power {
	return Power{in: in, timing: timing, memory: memory}
}

// Memory is what the next attempt has to know.
func (p *Power) Memory() PowerMemory { return p.memory }

// HasActed is true once a request was accepted.
func (p *Power) HasActed() bool { return p.memory.Acted }

// Begin is the first decision. The request timeout is that of the cloud's client.
func (p *Power) Begin(requestTimeout time.Duration) Decision {
	p.requestTimeout = requestTimeout
	return look(0)
}

func (p *Power) status() string {
	if p.in.On {
		return rollout.StatusActive
	}
	return rollout.StatusShutoff
}

func (p *Power) otherStatus() string {
	if p.in.On {
		return rollout.StatusShutoff
	}
	return rollout.StatusActive
}

// Observe is the event of a look. At is as of when the view is.
func (p *Power) Observe(server rollout.Observation, at, now time.Time) Decision {
	p.server, p.lookedAt, p.memory.Status = server, at, server.Status
	settled := p.stability.Observe(server, at, p.timing.Poll) >= p.timing.Settle
	switch {
	case !server.Exists && settled:
		return p.fail(Vanished, gone(p.in.ServerID))
	case !server.Exists: // not found once, it may be found again
		return p.wait()
	case p.in.Unsettled && !settled && !p.memory.Acted: // it may be about to change by itself
		return p.wait()
	}
	if end, over := p.over(settled); over {
		return end
	}
	return p.step(now)
}

// wait is until the next look.
func (p *Power) wait() Decision {
	d := look(p.timing.Poll)
	d.FollowJob = p.memory.JobID != ""
	return d
}

func (p *Power) fail(kind ErrorType, message string) Decision {
	d := fail(kind, message)
	d.End.Server = p.server
	return d
}

// over ends the attempt when the server is where it should be, or when waiting cannot mend it. A single look is no evidence
// for any of that: the view may be older than the one before.
func (p *Power) over(settled bool) (end Decision, over bool) {
	isOther := p.in.Disk != "" && p.server.VolumeID != p.in.Disk
	isFailed := p.server.Status == rollout.StatusError
	there := finish(End{Server: p.server})
	switch {
	case isOther && !settled:
		return Decision{}, false
	case isOther && p.server.VolumeID != "":
		return p.fail(DiskReplaced, fmt.Sprintf("server %s has another system disk by now: it was %s and is %s; its power was left alone",
			p.in.ServerID, p.in.Disk, p.server.VolumeID)), true
	case !p.server.Idle():
		return Decision{}, false
	case isFailed && p.in.ErrorSuffices:
		return there, true
	case isOther && p.server.Status != p.status():
		return p.fail(Refused, fmt.Sprintf("server %s shows no system disk (status %s); its power was left alone", p.in.ServerID, p.server.Status)), true
	case isFailed && settled:
		return p.fail(Refused, fmt.Sprintf("server %s is in ERROR and cannot be brought to %s", p.in.ServerID, p.status())), true
	case p.server.Status == p.status():
		mayBeOld := p.in.On && !p.memory.Reached // it may be a view from before the stop
		return there, settled || !mayBeOld
	}
	return Decision{}, false
}

// step follows the job that was started, or starts one.
func (p *Power) step(now time.Time) Decision {
	stops := !p.in.On
	poweringOff := stops && p.server.TaskState == taskPoweringOff
	if poweringOff && p.memory.Since.IsZero() {
		p.memory.Since = p.lookedAt // the answer was lost, or it is stopped from outside: the guest's time runs all the same
	}
	isSoft := stops && !p.memory.Hard && !p.refusedHard && (p.memory.JobID != "" || poweringOff)
	overdue := isSoft && now.Sub(p.memory.Since) > p.timing.SoftStop
	switch {
	case overdue && p.in.AllowHard:
		return p.confirm(StopHard)
	case overdue:
		return p.fail(Overdue, fmt.Sprintf("server %s did not shut down within %s (status %s): allow a hard stop, or look at why the guest does not react",
			p.in.ServerID, p.timing.SoftStop, p.server.Status))
	case p.refused && (p.server.Idle() || p.refusedHard) && p.server.Status != p.status() && p.lookedAt.Sub(p.refusedAt) >= p.timing.Settle:
		return finish(End{Failed: true, Final: true, UndocumentedRefusal: true, Server: p.server})
	case p.refused:
		return p.wait()
	case p.memory.JobID != "" && p.server.TaskState == p.ownTask() && now.Sub(p.queriedAt) < maxSkippedQueries*p.timing.Poll:
		return p.wait() // the server itself shows that the job is under way; a job that has failed may leave it so
	case p.memory.JobID != "":
		p.queriedAt = now
		return Decision{Action: QueryJob, JobID: p.memory.JobID}
	case p.isReady() && p.in.On:
		return p.confirm(Start)
	case p.isReady():
		return p.confirm(StopSoft)
	}
	return p.wait() // an operation or a state from outside, or an operation of ours whose answer was lost
}

// isReady is true for a server that shows the other power state, with the disk that it is about.
func (p *Power) isReady() bool {
	return p.server.Idle() && p.server.Status == p.otherStatus() && (p.in.Disk == "" || p.server.VolumeID == p.in.Disk)
}

// ownTask is the task state of a server on which the job works.
func (p *Power) ownTask() string {
	if p.in.On {
		return taskPoweringOn
	}
	return taskPoweringOff
}

// confirm asks for the write. It must not leave later than the look that justified it allows: a worker that was frozen in
// between must not act on an old view.
func (p *Power) confirm(write Action) Decision {
	p.sending = write
	return Decision{Action: Confirm, Deadline: p.deadline()}
}

func (p *Power) deadline() time.Time { return p.lookedAt.Add(p.requestTimeout) }

// Confirmed is the event that Temporal still waits for this attempt.
func (p *Power) Confirmed() Decision { return Decision{Action: p.sending, Deadline: p.deadline()} }

// Failed is the event that something could not be done. The attempt ends with it.
func (p *Power) Failed() Decision {
	d := reported()
	d.End.Server = p.server
	return d
}

// JobStatus is what the cloud says of a job.
type JobStatus int

// The statuses that decide something.
const (
	JobRuns JobStatus = iota // also one that is not known
	JobSucceeded
	JobFailed
	JobUnknown // the cloud does not know the job
)

// JobAnswered is the event of a query. Reason is the cloud's for a failure. When the job is over, the next look decides.
func (p *Power) JobAnswered(status JobStatus, reason string, now time.Time) Decision {
	switch {
	case status == JobUnknown:
		p.clearJob()
	case status == JobSucceeded:
		p.memory.Reached = true
		if now.Sub(p.memory.Since) >= p.timing.Lag { // until then the server view may trail behind
			p.clearJob()
		}
	case status == JobFailed && !p.in.On && !p.memory.Hard && p.in.AllowHard:
		return p.confirm(StopHard)
	case status == JobFailed:
		return p.fail(Refused, fmt.Sprintf("the cloud could not bring server %s to %s: %s", p.in.ServerID, p.status(), reason))
	}
	return p.wait()
}

// clearJob gives up a job that is over or unknown to the cloud.
func (p *Power) clearJob() {
	p.memory = PowerMemory{Acted: p.memory.Acted, Reached: p.memory.Reached, Status: p.memory.Status}
}

// Respond is the event of the end of a write.
func (p *Power) Respond(r Response, now time.Time) Decision {
	hard := p.sending == StopHard
	switch r.Kind {
	case AcceptedResponse:
		p.queriedAt, p.refused = now, false
		p.memory = PowerMemory{JobID: r.JobID, Since: now, Hard: hard, Acted: true, Status: p.memory.Status}
		return p.wait()
	case UnknownResponse:
		p.Lost = true
		return p.wait()
	case BusyResponse:
		return p.wait()
	case UndocumentedResponse:
		p.Lost, p.refused, p.refusedAt, p.refusedHard = true, true, now, hard
		return p.wait()
	case RecalledResponse:
		return p.fail(Recalled, r.Message)
	case RefusedResponse:
		d := p.Failed()
		d.End.Final = r.Final
		return d
	}
	return p.Failed() // throttled, not sent, credentials: it passes
}
