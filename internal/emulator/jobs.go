package emulator

import (
	"slices"
	"time"
)

// initPhase is how long a job reads INIT before it reads RUNNING, in emulated time.
const initPhase = time.Second

// A job is what the answer to a write points to. A parent follows from its sub-jobs.
type job struct {
	id, kind     string
	server       string // "" for the parent of a batch
	begin        time.Time
	end          time.Time     // zero until the work has ended; never set on a parent
	lead         time.Duration // how long the job runs on after its work has ended
	code, reason string        // of a failure
	subs         []*job
	batch        bool // a failing sub-job makes this parent fail with Ecs.0611, else with the sub-job's own code
	forgotten    bool // the query answers unknown although the work goes on
	unpaid       bool // waits for a payment
	idle         bool // nothing comes of it any more, and it is never over
}

func (j *job) finish(at time.Time, code, reason string) {
	if j.end.IsZero() {
		j.end, j.code, j.reason = at, code, reason
	}
}

// lead is that of the next job of the server.
func (e *Emulator) lead(m *machine) time.Duration {
	return e.seed.duration(e.options.Timing.Lead, "lead", m.ID, m.number())
}

// settled returns when the job ended and why it failed (code "" for success). The time is zero while it runs.
func (j *job) settled(now time.Time) (end time.Time, code, reason string) {
	if len(j.subs) == 0 {
		if end = j.end.Add(j.lead); j.end.IsZero() || now.Before(end) {
			return time.Time{}, "", ""
		}
		return end, j.code, j.reason
	}
	for _, sub := range j.subs {
		subEnd, subCode, subReason := sub.settled(now)
		if subEnd.IsZero() {
			return time.Time{}, "", ""
		}
		if subEnd.After(end) {
			end = subEnd
		}
		if code == "" {
			code, reason = subCode, subReason
		}
	}
	if code != "" && j.batch {
		code, reason = "Ecs.0611", "Batch operation failed."
	}
	return end, code, reason
}

// mayDoMore is true while something of the job may still come. What it says of itself may be "RUNNING" for ever.
func (j *job) mayDoMore(now time.Time) bool {
	if len(j.subs) > 0 {
		return slices.ContainsFunc(j.subs, func(sub *job) bool { return sub.mayDoMore(now) })
	}
	end, _, _ := j.settled(now)
	return end.IsZero() && !j.idle
}

func (j *job) status(now time.Time) string {
	end, code, _ := j.settled(now)
	switch {
	case end.IsZero() && now.Before(j.begin.Add(initPhase)):
		return "INIT"
	case end.IsZero() && j.unpaid:
		return "PENDING_PAYMENT"
	case end.IsZero():
		return "RUNNING"
	case code == "":
		return "SUCCESS"
	default:
		return "FAIL"
	}
}

// servers returns the ids that the job works on.
func (j *job) servers() []string {
	if j.server != "" {
		return []string{j.server}
	}
	var ids []string
	for _, sub := range j.subs {
		ids = append(ids, sub.servers()...)
	}
	return ids
}

// showJob is GET jobs/{job_id}. A failed job is answered with 200 too.
func (e *Emulator) showJob(c *call) answer {
	j, ok := e.jobs[c.vars["job_id"]]
	if ok {
		if end, _, _ := j.settled(c.now); !end.IsZero() && c.now.After(end.Add(e.options.Timing.JobRetention)) {
			delete(e.jobs, j.id)
			ok = false
		}
	}
	if !ok || j.forgotten {
		return e.unknownJob().answer(c.requestID)
	}
	return jsonAnswer(200, viewJob(j, c.now))
}

func (e *Emulator) unknownJob() *refusal {
	r := refuse("Common.0011", "")
	if e.options.Edition.UnknownJob == "404" {
		r.status = 404
	}
	return r
}
