package change

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
)

// The abstract world that the search explores: one server, the cloud's jobs for it, and a network that loses, delays and
// repeats requests. Time has ticks of one poll interval. A view shows the server as it is, or as it was at the beginning of
// the tick. A request may arrive in the tick after its look, which is later than the real deadline allows.

const tick = 10 * time.Second

func modelTiming() Timing {
	return Timing{Poll: tick, Lag: tick, Settle: 2 * tick, SoftStop: 2 * tick}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ticks int) time.Time { return start.Add(time.Duration(ticks) * tick) }

// disk is which system disk a server has.
type disk uint8

const (
	noDisk disk = iota
	oldDisk
	newDisk     // made by the first change
	newerDisk   // made by the second change
	outsideDisk // made from outside
)

type status uint8

const (
	active status = iota
	shutoff
	inError
	rebuild
)

type task uint8

const (
	noTask task = iota
	poweringOff
	poweringOn
	rebuilding
)

// server is one as it is.
type server struct {
	gone    bool
	disk    disk
	status  status
	task    task
	updated uint8 // how often the cloud has worked on it
}

func (s server) idle() bool { return s.task == noTask && s.status != rebuild }

// images of the model. A change to the same image has the old one as its target.
const (
	oldImage     = "image-old"
	newImage     = "image-new"
	outsideImage = "image-outside"
)

func (c config) observe(s server) rollout.Observation {
	if s.gone {
		return rollout.Observation{}
	}
	seen := rollout.Observation{
		Exists: true, Updated: start.Add(time.Duration(s.updated) * time.Minute).Format(time.RFC3339),
		Status:    [...]string{rollout.StatusActive, rollout.StatusShutoff, rollout.StatusError, rollout.StatusRebuild}[s.status],
		TaskState: [...]string{"", taskPoweringOff, taskPoweringOn, "rebuilding"}[s.task],
	}
	switch s.disk {
	case oldDisk:
		seen.Fingerprint = rollout.Fingerprint{ImageID: oldImage, VolumeID: "disk-old"}
	case newDisk:
		seen.Fingerprint = rollout.Fingerprint{ImageID: c.image(), VolumeID: "disk-new"}
	case newerDisk:
		seen.Fingerprint = rollout.Fingerprint{ImageID: c.image(), VolumeID: "disk-newer"}
	case outsideDisk:
		seen.Fingerprint = rollout.Fingerprint{ImageID: outsideImage, VolumeID: "disk-outside"}
	}
	return seen
}

type jobKind uint8

const (
	changeJob jobKind = iota
	stopJob
	startJob
)

type jobState uint8

const (
	unpaid jobState = iota
	waiting
	running
	succeeded
	failed
)

type job struct {
	kind      jobKind
	round     uint8 // of which change of the server it is
	state     jobState
	forgotten bool  // the cloud does not know it any more
	deaf      bool  // a guest that ignores the stop
	stuck     bool  // it does not go on before its time
	changed   int16 // when it did so last
}

// isDue is true for a job that has to go on in this tick, unless it is stuck.
func (j job) isDue(now int16) bool {
	patience := int16(2)
	if j.kind == changeJob {
		patience = 3
	}
	return (j.state == waiting || j.state == running) && !j.deaf && !j.stuck && now-j.changed >= patience
}

// makes is the disk that the job of a change leads to.
func (j job) makes() disk {
	if j.round > 0 {
		return newerDisk
	}
	return newDisk
}

func (j job) isOpen() bool { return j.state == unpaid || j.state == waiting || j.state == running }

const maxJobs = 6

// flight is a request that has left and may still arrive.
type flight struct {
	action Action // zero for none
	left   int16  // when
	round  uint8
}

// cloud is what the search does not control by decisions of the protocol.
type cloud struct {
	server server
	// before is the server at the beginning of the tick, which a lagging view shows.
	before   server
	jobs     [maxJobs]job
	jobCount uint8
	flights  [2]flight
	// round counts the changes that were asked for, accepted those that the cloud has accepted for each.
	round    uint8
	accepted [2]uint8
	// destroyed is true when a disk from outside was replaced, beside when a change was accepted beside an open order.
	destroyed, beside bool
}

func (c *cloud) open() *job {
	for i := range c.jobs[:c.jobCount] {
		if j := &c.jobs[i]; j.isOpen() && j.state != unpaid {
			return j
		}
	}
	return nil
}

func (c *cloud) hasUnpaid() bool {
	for _, j := range c.jobs[:c.jobCount] {
		if j.state == unpaid {
			return true
		}
	}
	return false
}

func jobID(i int) string { return fmt.Sprintf("job-%d", i) }

func (c *cloud) book(kind jobKind, state jobState, now int16) Response {
	if c.jobCount == maxJobs {
		return Response{Kind: BusyResponse, Message: "busy"} // more operations than the bounds have
	}
	id := jobID(int(c.jobCount))
	c.jobs[c.jobCount] = job{kind: kind, state: state, changed: now, round: c.round}
	c.jobCount++
	return Response{Kind: AcceptedResponse, JobID: id}
}

// arrive is what the cloud does with a request.
func (c *cloud) arrive(action Action, cfg config, now int16) Response {
	s := &c.server
	busy := Response{Kind: BusyResponse, Message: "busy"}
	refused := Response{Kind: RefusedResponse, Message: "refused", Final: true}
	switch {
	case s.gone && action == Submit:
		return Response{Kind: UnclearResponse, Message: "not found"}
	case s.gone:
		return busy // as the activity reports it: the next look decides
	case action == StopHard && s.task == poweringOff:
		if j := c.open(); j != nil {
			j.state, j.changed = failed, now
		}
		return c.book(stopJob, running, now)
	case !s.idle() || c.open() != nil:
		return busy
	}
	switch action {
	case Submit:
		mayChange := s.status == shutoff || s.status == inError || (cfg.withStopServer && s.status == active)
		if !mayChange {
			return refused
		}
		c.accepted[c.round]++
		c.beside = c.beside || c.hasUnpaid()
		c.destroyed = c.destroyed || s.disk == outsideDisk
		if cfg.prepaid {
			return c.book(changeJob, unpaid, now)
		}
		r := c.book(changeJob, waiting, now)
		if !cfg.silent && r.Kind == AcceptedResponse {
			c.proceed(int(c.jobCount)-1, begins, now)
		}
		return r
	case StopSoft, StopHard:
		switch s.status {
		case active:
			s.task = poweringOff
			return c.book(stopJob, running, now)
		case shutoff:
			return c.book(stopJob, succeeded, now)
		}
	case Start:
		switch s.status {
		case shutoff:
			s.task = poweringOn
			return c.book(startJob, running, now)
		case active:
			return c.book(startJob, succeeded, now)
		}
	}
	return refused
}

// answer is that of the cloud to a query.
func (j job) answer() JobAnswer {
	answer := JobAnswer{Name: [...]string{JobAwaitsPayment, "INIT", "RUNNING", "SUCCESS", "FAIL"}[j.state], Reason: "failed"}
	switch {
	case j.forgotten:
		answer = JobAnswer{Status: JobUnknown, ByService: true}
	case j.state == succeeded:
		answer.Status = JobSucceeded
	case j.state == failed:
		answer.Status = JobFailed
	}
	return answer
}

// outcome is how a job goes on.
type outcome uint8

const (
	begins outcome = iota
	isPaid
	succeeds
	failsIntact
	failsInError
	failsChanged
	failsLost
	failsAtRest // a start or stop that does nothing
	ignored     // by the guest
)

func (o outcome) String() string {
	return [...]string{"begins", "is paid", "succeeds", "fails, with the old disk", "fails in ERROR, with the old disk", "fails, with the new disk",
		"fails, without a disk", "fails", "is ignored by the guest"}[o]
}

// outcomes are those that a job can have next, and whether each is a fault.
func (j job) outcomes(now int16, c config) (free, faults []outcome) {
	switch {
	case j.state == unpaid:
		return nil, []outcome{isPaid}
	case j.state == waiting:
		return []outcome{begins}, nil
	case j.state != running:
		return nil, nil
	case j.kind == changeJob:
		if now-j.changed >= 2 { // a change takes longer than any request is on its way
			free = []outcome{succeeds}
		}
		if c.silent && now-j.changed < 2 { // one that fails as soon as it begins leaves a server that takes a second change
			return free, nil
		}
		return free, []outcome{failsIntact, failsInError, failsChanged, failsLost}
	case j.deaf:
		return nil, nil
	case j.kind == stopJob:
		return []outcome{succeeds}, []outcome{failsAtRest, ignored}
	}
	return []outcome{succeeds}, []outcome{failsAtRest}
}

func (c *cloud) proceed(i int, o outcome, now int16) {
	j, s := &c.jobs[i], &c.server
	if s.gone {
		j.state, j.changed = failed, now
		return
	}
	j.changed = now
	switch o {
	case begins:
		j.state, s.task, s.status = running, rebuilding, rebuild
	case isPaid:
		j.state = waiting
		return
	case ignored:
		j.deaf = true
		return
	case failsAtRest:
		j.state, s.task = failed, noTask
	case succeeds:
		j.state, s.task = succeeded, noTask
		switch j.kind {
		case changeJob:
			s.disk, s.status = j.makes(), active
		case stopJob:
			s.status = shutoff
		case startJob:
			s.status = active
		}
	case failsIntact, failsInError:
		if j.state == running {
			s.task, s.status = noTask, shutoff
		}
		if o == failsInError {
			s.status = inError
		}
		j.state = failed
	case failsChanged:
		j.state, s.task, s.disk, s.status = failed, noTask, j.makes(), shutoff
	case failsLost:
		j.state, s.task, s.disk, s.status = failed, noTask, noDisk, inError
	}
	s.updated++
}

// config is what does not change in one search.
type config struct {
	name           string
	status         status
	prepaid        bool
	withStopServer bool
	sameImage      bool
	// silent is true for a cloud that begins with a change when others would have ended it, and shows nothing until then. The
	// settle time is too short for that. Only the fence protects from a second one, and what the report says may be wrong.
	silent   bool
	again    bool // a change that did not end as done is asked for once more
	hardStop bool
	power    rollout.Power
	health   bool // its application has to be healthy, and to stay so
}

func (c config) image() string {
	if c.sameImage {
		return oldImage
	}
	return newImage
}

func (c config) input() RunInput {
	return RunInput{ServerID: "server", Health: c.health, Soak: c.health, Change: rollout.Change{
		ImageID: c.image(), WithStopServer: c.withStopServer, AllowHardStop: c.hardStop, Power: c.power, Deadline: 6 * tick, EvenIfSameImage: c.sameImage,
	}}
}

func configs() []config {
	return []config{
		{name: "running"},
		{name: "silent cloud", silent: true},
		{name: "running, hard stop", hardStop: true},
		{name: "stopped", status: shutoff},
		{name: "in ERROR", status: inError},
		{name: "paid by the month", prepaid: true},
		{name: "stopped by the platform", withStopServer: true},
		{name: "left stopped", power: rollout.PowerOff},
		{name: "with health", health: true},
		{name: "with health, stopped", health: true, status: shutoff},
		{name: "to the same image", sameImage: true},
		{name: "tried again", again: true},
		{name: "paid by the month, tried again", prepaid: true, again: true},
	}
}
