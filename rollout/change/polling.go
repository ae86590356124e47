package change

import (
	"cmp"
	"time"
)

// JobEnd is how the wait for a job ended.
type JobEnd string

// The ends of a wait. None of them is proof: Verification is.
const (
	JobEndSucceeded JobEnd = "succeeded"
	JobEndFailed    JobEnd = "failed"
	JobEndForgotten JobEnd = "forgotten" // finished jobs are deleted after a day
	JobEndOverdue   JobEnd = "overdue"   // not known to be over at the deadline
)

// IsOver is true when nothing more comes of the job.
func (e JobEnd) IsOver() bool { return e == JobEndSucceeded || e == JobEndFailed }

// JobVerdict is what the cloud answered about a job.
type JobVerdict struct {
	End JobEnd
	// Reason is the cloud's on a failure, or the last that is known of a job that is overdue.
	Reason string
	// Status is that of a job that is overdue, where the cloud shows it.
	Status string
}

// JobAwaitsPayment is the status of a job that does not begin before its order is paid.
const JobAwaitsPayment = "PENDING_PAYMENT"

// maxAnswers is how often the cloud has to give an answer that would end something before it is believed. A proxy may have
// given it, or a replica whose view is old.
const maxAnswers = 3

// JobAnswer is the answer to a query.
type JobAnswer struct {
	Status JobStatus
	// Name is the status as the cloud names it.
	Name string
	// Reason is the cloud's for a failure.
	Reason string
	// Withheld is true when the cloud took the question and does not answer it.
	Withheld bool
	// ByService is true when a JobUnknown came from the service itself, as far as its form tells.
	ByService bool
}

// Polling waits for the job of a change. It only reads, so every attempt adopts the job where the last one left it. Statuses
// that it does not know are not final: the deadline bounds them.
type Polling struct {
	serverID  string
	jobID     string
	deadline  time.Time
	scheduled time.Time
	timing    Timing
	missing   int // answers in a row that do not know the job
}

// NewPolling begins an attempt. The job began when the activity was scheduled, or a moment before.
func NewPolling(serverID, jobID string, deadline, scheduled time.Time, timing Timing) Polling {
	return Polling{serverID: serverID, jobID: jobID, deadline: deadline, scheduled: scheduled, timing: timing}
}

// Begin is the first decision. An attempt that takes over asks at once.
func (p *Polling) Begin(first bool) Decision {
	d := Decision{Action: QueryJob, JobID: p.jobID}
	if first {
		d.Wait, d.FollowJob = p.timing.Poll, true
	}
	return d
}

// Answered is the event of a query.
func (p *Polling) Answered(a JobAnswer, now time.Time) Decision {
	late := !now.Before(p.deadline)
	if a.Status != JobUnknown {
		p.missing = 0
	} else if p.missing++; p.missing < maxAnswers {
		return Decision{Action: QueryJob, JobID: p.jobID, Wait: p.timing.Poll}
	}
	switch {
	case a.Status == JobUnknown && (a.ByService || p.scheduled.Before(p.deadline)): // one query of a late job believes no page of a proxy
		return p.finish(JobVerdict{End: JobEndForgotten, Reason: "the cloud no longer knows its job"})
	case a.Status == JobUnknown, a.Withheld && !late:
		return reported()
	case a.Withheld: // it may answer so for ever
		return p.finish(JobVerdict{End: JobEndOverdue, Reason: "the cloud does not tell of its job: " + a.Reason})
	case a.Status == JobSucceeded:
		return p.finish(JobVerdict{End: JobEndSucceeded})
	case a.Status == JobFailed:
		return p.finish(JobVerdict{End: JobEndFailed, Reason: a.Reason})
	case late:
		return p.finish(JobVerdict{End: JobEndOverdue, Status: a.Name, Reason: "the job is still " + a.Name + paymentHint(a.Name, p.serverID)})
	}
	return Decision{Action: QueryJob, JobID: p.jobID, Wait: p.timing.Poll, FollowJob: true}
}

// Failed is the event that the query did not succeed.
func (p *Polling) Failed() Decision { return reported() }

func (p *Polling) finish(job JobVerdict) Decision { return finish(End{Job: job}) }

// paymentHint is what to do about an order that was not paid: until then another change would be another order.
func paymentHint(status, serverID string) string {
	if status != JobAwaitsPayment {
		return ""
	}
	return ": pay its order in the cloud's console, or cancel it there and say so with reimage server forget " + cmp.Or(serverID, "ID") + ", before the server is tried again"
}
