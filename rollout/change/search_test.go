package change

import (
	"fmt"
	"hash/maphash"
	"time"

	"github.com/reimage/reimage/rollout"
)

// attempt is one of an activity, with the state machine of its step.
type attempt struct {
	alive  bool
	step   Step
	number int32
	// successor is true when Temporal knows a newer attempt: this one was frozen, or its workflow was reset.
	superseded bool
	next       Decision
	wake       int16 // when a look is due
	handed     memory

	// The state machine of the step. States share it, so it is copied before each event.
	submission   *Submission
	power        *Power
	polling      *Polling
	verification *Verification
}

// own copies the state machine, so that an event changes it in one state only.
func (a *attempt) own() {
	switch {
	case a.submission != nil:
		a.submission = new(*a.submission)
	case a.power != nil:
		a.power = new(*a.power)
	case a.polling != nil:
		a.polling = new(*a.polling)
	case a.verification != nil:
		a.verification = new(*a.verification)
	}
}

// memory is what crosses a crash.
type memory struct {
	had    bool // a heartbeat has arrived
	submit SubmitMemory
	power  PowerMemory
}

// state is everything in the model.
type state struct {
	now       int16
	cloud     cloud
	book      *Runbook  // shared, and copied before each event
	memo      *PriorRun // as the workflow has written it last
	earlier   *PriorRun // that of the change before this one
	current   attempt
	frozen    attempt
	scheduled int16 // when the activity was
	cancelled bool
	recalled  bool
	reset     bool
	restored  bool // its power, or that was tried
	ended     bool
	endedAt   int16
	// checked are the steps in which the application was found healthy. unhealthy is true when it was not.
	checked   uint8
	unhealthy bool
	// outside is what was done from outside: none, power, disk, deletion.
	outside outside
	faults  uint8
}

type outside uint8

const (
	nothingOutside outside = iota
	powerOutside
	diskOutside
	deletion
)

// move is a step of the model.
type move struct {
	label string
	to    state
}

// explorer finds the moves of a state.
type explorer struct {
	config  config
	faults  uint8 // how many at most
	explain bool  // moves have labels
	moves   []move
	hash    maphash.Hash
}

func (x *explorer) begin() state {
	first := server{disk: oldDisk, status: x.config.status}
	s := state{cloud: cloud{server: first, before: first}, book: new(NewRunbook(x.config.input(), start)), memo: &PriorRun{Known: true}}
	s.current = attempt{alive: true, step: StepPreflight, number: 1, next: look(0)}
	return s
}

func (x *explorer) add(s state, format string, args ...any) {
	label := ""
	if x.explain {
		label = fmt.Sprintf("%3d  ", s.now) + fmt.Sprintf(format, args...)
	}
	x.moves = append(x.moves, move{label, s})
}

// fault adds a move that uses one of the faults, when there is one left.
func (x *explorer) fault(s state, apply func(*state), format string, args ...any) {
	if s.faults >= x.faults {
		return
	}
	s.faults++
	apply(&s)
	x.add(s, format, args...)
}

// from returns every move of a state. The first one is what happens when nothing goes wrong.
func (x *explorer) from(s state) []move {
	x.moves = x.moves[:0]
	if s.current.alive && s.current.due(s.now) {
		x.act(s, false)
	}
	x.proceed(s, false)
	x.deliver(s)
	x.tick(s)
	if x.config.again && s.ended && s.cloud.round == 0 && s.book.Result.End.Failed() && !s.book.Result.Foreign { // a rollout does not change a disk from outside
		x.tryAgain(s)
	}
	x.proceed(s, true)
	if s.frozen.alive && s.frozen.due(s.now) {
		x.act(s, true)
	}
	x.giveUp(s)
	x.disturb(s)
	return x.moves
}

func (a *attempt) due(now int16) bool {
	return a.wake <= now
}

// proceed lets the jobs of the cloud go on.
func (x *explorer) proceed(s state, faults bool) {
	for i := range s.cloud.jobs[:s.cloud.jobCount] {
		free, faulty := s.cloud.jobs[i].outcomes(s.now, x.config)
		for _, o := range free {
			if !faults {
				to := s
				to.cloud.proceed(i, o, s.now)
				x.add(to, "the cloud: %s %s", jobID(i), o)
			}
		}
		for _, o := range faulty {
			if faults {
				x.fault(s, func(to *state) { to.cloud.proceed(i, o, s.now) }, "the cloud: %s %s", jobID(i), o)
			}
		}
	}
}

// deliver lets a request arrive that was on its way.
func (x *explorer) deliver(s state) {
	for i, f := range s.cloud.flights {
		if f.action != 0 {
			to := s
			to.cloud.flights[i] = flight{}
			now := to.cloud.round
			to.cloud.round = f.round
			r := to.cloud.arrive(f.action, x.config, s.now)
			to.cloud.round = now
			x.add(to, "the network: a delayed request (%s) arrives: %s", f.action.name(), r.Kind.name())
		}
	}
}

// tick lets time pass. A request that is on its way arrives in the tick after its look, or is lost. Time stands still while the
// attempt has something to do: an attempt that is slow costs a fault.
func (x *explorer) tick(s state) {
	to := s
	to.now++
	to.cloud.before = to.cloud.server
	for i, f := range to.cloud.flights {
		if f.action != 0 && to.now > f.left+1 {
			to.cloud.flights[i] = flight{}
		}
	}
	quiet := s.ended && s.cloud.open() == nil && s.cloud.flights == [2]flight{} && !s.frozen.alive
	for i := range to.cloud.jobs[:to.cloud.jobCount] {
		if s.cloud.jobs[i].isDue(s.now) {
			x.fault(s, func(to *state) { to.cloud.jobs[i].stuck = true }, "the cloud: %s is stuck", jobID(i))
			return
		}
	}
	switch {
	case quiet && s.now > s.endedAt+2:
		return
	case s.current.alive && s.current.due(s.now):
		x.fault(s, func(t *state) { f := t.faults; *t = to; t.faults = f }, "a tick passes while the attempt is slow")
	default:
		x.add(to, "a tick passes")
	}
}

// giveUp ends the activity, because its time is over. What its last attempt did is not known.
func (x *explorer) giveUp(s state) {
	switch s.current.step {
	case StepStop, StepSubmit, StepStartAgain, StepRestorePower:
		if !s.current.alive || s.frozen.alive {
			return
		}
		x.fault(s, func(to *state) {
			to.frozen = to.current
			to.frozen.superseded = true
			to.book = new(*to.book)
			x.end(to, End{Failed: true, Type: NotSent, Message: "it took too long"}, Failure{Type: NotSent, TimedOut: true, Message: "it took too long"})
		}, "the time of the activity is over")
	}
}

// disturb adds what can happen at any time.
func (x *explorer) disturb(s state) {
	if s.current.alive && s.current.step != StepPreflight {
		for _, delivered := range []bool{true, false} {
			if delivered == false && s.current.memory() == s.current.handed {
				continue
			}
			x.fault(s, func(to *state) { x.succeed(to, delivered) }, "the worker dies (its last heartbeat arrives: %t)", delivered)
			if !s.frozen.alive {
				x.fault(s, func(to *state) {
					to.frozen = to.current
					to.frozen.superseded = true
					x.succeed(to, delivered)
				}, "the worker freezes, and has a successor (its last heartbeat arrives: %t)", delivered)
			}
		}
	}
	if !s.cancelled && !s.ended && !s.reset {
		x.fault(s, func(to *state) { to.cancelled = true }, "the workflow is cancelled")
	}
	if !s.recalled && !s.ended && !s.reset {
		x.fault(s, func(to *state) { to.recalled = true }, "the rollout recalls the server")
	}
	if !s.reset && !s.ended && !s.frozen.alive && s.current.step != StepPreflight {
		x.fault(s, x.resetRun, "the workflow is reset")
	}
	x.interfere(s)
}

// interfere adds what is done to the server from outside. Not in the moment between the look of an attempt and its write:
// nothing can be done about that.
func (x *explorer) interfere(s state) {
	if s.current.step == StepPreflight || s.outside != nothingOutside || s.cloud.server.gone || !s.cloud.server.idle() || s.cloud.open() != nil {
		return
	}
	if s.cloud.flights != [2]flight{} || s.current.writes() || s.frozen.writes() {
		return
	}
	switch s.cloud.server.status {
	case active:
		x.fault(s, func(to *state) { to.interfere(powerOutside, func(v *server) { v.status = shutoff }) }, "from outside: the server is stopped")
	case shutoff:
		x.fault(s, func(to *state) { to.interfere(powerOutside, func(v *server) { v.status = active }) }, "from outside: the server is started")
		x.fault(s, func(to *state) { to.interfere(diskOutside, func(v *server) { v.disk = outsideDisk }) }, "from outside: the disk is replaced")
	}
	x.fault(s, func(to *state) { to.interfere(deletion, func(v *server) { v.gone = true }) }, "from outside: the server is deleted")
}

func (s *state) interfere(what outside, how func(*server)) {
	how(&s.cloud.server)
	s.cloud.server.updated++
	// Every view shows it at once. Nothing can be done about a disk that was replaced and does not show yet.
	s.cloud.before = s.cloud.server
	s.outside = what
}

// writes is true between the look that justifies a write and the write.
func (a *attempt) writes() bool {
	switch a.next.Action {
	case Confirm, Submit, StopSoft, StopHard, Start:
		return a.alive
	}
	return false
}

func (a *attempt) memory() memory {
	m := a.handed
	switch a.step {
	case StepSubmit:
		m.submit, m.had = a.submission.Memory(), true
	case StepStop, StepStartAgain, StepRestorePower:
		m.power, m.had = a.power.Memory(), true
	}
	return m
}

// succeed replaces the current attempt by the next one.
func (x *explorer) succeed(s *state, delivered bool) {
	handed := s.current.handed
	if delivered {
		handed = s.current.memory()
	}
	x.attempt(s, s.current.step, s.current.number+1, handed)
}

// attempt begins one.
func (x *explorer) attempt(s *state, step Step, number int32, handed memory) {
	a := attempt{alive: true, step: step, number: number, handed: handed, wake: s.now}
	timing, now := modelTiming(), at(int(s.now))
	first := number == 1 && !handed.had
	in := x.config.input()
	before := s.book.Result.Before
	switch step {
	case StepStop:
		a.power = new(NewPower(PowerInput{
			ServerID: in.ServerID, Disk: before.VolumeID, AllowHard: in.Change.AllowHardStop, ErrorSuffices: true,
		}, timing, handed.power))
		a.next = a.power.Begin(tick)
	case StepStartAgain:
		a.power = new(NewPower(s.book.StartGoal(), timing, handed.power))
		a.next = a.power.Begin(tick)
	case StepRestorePower:
		s.restored = true
		goal, _ := s.book.PowerGoal()
		a.power = new(NewPower(goal, timing, handed.power))
		a.next = a.power.Begin(tick)
	case StepSubmit:
		a.submission = new(NewSubmission(SubmitInput{
			ServerID: in.ServerID, Before: before.Fingerprint, Updated: s.book.Updated, MayAwaitPayment: s.book.MayAwaitPayment,
			WithStopServer: in.Change.WithStopServer,
		}, timing, number, first, handed.submit, at(int(s.scheduled))))
		a.next = a.submission.Begin(tick)
	case StepPoll:
		a.polling = new(NewPolling(in.ServerID, s.book.Result.JobID, s.book.Until, at(int(s.scheduled)), timing))
		a.next = a.polling.Begin(first)
	case StepHealth, StepSoak:
		a.next = look(0)
	case StepVerify:
		a.verification = new(NewVerification(VerifyInput{
			ImageID: in.Change.ImageID, Before: before.Fingerprint, Ended: s.book.JobEnded, Deadline: s.book.Until,
			WasInError: before.Status == rollout.StatusError,
		}, timing, now))
		a.next = a.verification.Begin()
	}
	a.rest(s.now)
	s.current = a
}

// rest sets when the next look is due.
func (a *attempt) rest(now int16) {
	a.wake = now + int16((a.next.Wait+tick-1)/tick)
}

// step begins the activity of the runbook's next step.
func (x *explorer) step(s *state) {
	step := s.book.Step()
	if step == StepEnded {
		s.current, s.ended, s.endedAt = attempt{}, true, s.now
		return
	}
	switch step {
	case StepStop, StepSubmit, StepPoll:
		prior := PriorRun{Known: true, OriginalStatus: s.book.PriorStatus(), Result: s.book.Result}
		prior.Record, _ = s.book.Record()
		s.memo = &prior
	case StepRestorePower:
		if goal, _ := s.book.PowerGoal(); s.reset && (!goal.On || s.memo.Record.LeftOff != goal.Disk) { // the activity refuses
			s.restored = true
			s.book.PowerRestored("", Failure{Type: Reset, Final: true, Message: "reset"}, false)
			x.step(s)
			return
		}
	}
	s.scheduled = s.now
	x.attempt(s, step, 1, memory{})
}

// resetRun resets the workflow: another run follows what the original one did, as its memo tells.
func (x *explorer) resetRun(s *state) {
	prior := *s.memo
	s.frozen = s.current
	s.frozen.superseded = true
	s.reset = true
	s.book = new(NewRunbook(s.book.in, start))
	s.book.WasReset(prior, at(int(s.now)))
	x.step(s)
}

// act carries out the next decision of an attempt.
func (x *explorer) act(s state, frozen bool) {
	get := func(to *state) *attempt {
		if frozen {
			return &to.frozen
		}
		return &to.current
	}
	a := get(&s)
	who := ""
	if frozen {
		who = "the frozen attempt: "
	}
	after := func(d func(a *attempt) Decision) func(*state) {
		return func(to *state) {
			b := get(to)
			b.own()
			b.next = d(b)
			b.rest(to.now)
			if b.next.Action == Finish {
				x.finish(to, frozen)
			}
		}
	}
	free := func(d func(a *attempt) Decision, format string, args ...any) {
		to := s
		after(d)(&to)
		x.add(to, who+format, args...) //nolint:govet
	}
	fault := func(d func(a *attempt) Decision, format string, args ...any) {
		x.fault(s, after(d), who+format, args...) //nolint:govet
	}
	now := at(int(s.now))
	if a.step == StepHealth || a.step == StepSoak {
		x.probe(s, frozen)
		return
	}
	switch a.next.Action {
	case Look:
		x.look(s, a, free, fault)
	case Prepare:
		if s.recalled && !a.submission.IsDoubted() {
			free(func(a *attempt) Decision { return a.submission.RecalledByRollout("recalled") }, "prepares: the rollout has recalled the server")
			return
		}
		free(func(a *attempt) Decision { return a.submission.Prepared() }, "prepares the request")
		fault(func(a *attempt) Decision { return a.submission.Failed(Trouble{Message: "trouble"}, now) }, "cannot prepare the request")
	case Confirm:
		if a.superseded {
			free(func(a *attempt) Decision { return a.unconfirmed(now) }, "Temporal waits for another attempt")
			return
		}
		free((*attempt).confirmed, "Temporal waits for this attempt")
		fault(func(a *attempt) Decision { return a.unconfirmed(now) }, "Temporal does not answer")
	case QueryJob:
		x.query(s, a, free, fault)
	case Submit, StopSoft, StopHard, Start:
		x.write(s, a, get, after, who)
	}
}

func (a *attempt) confirmed() Decision {
	if a.step == StepSubmit {
		return a.submission.Confirmed()
	}
	return a.power.Confirmed()
}

func (a *attempt) unconfirmed(now time.Time) Decision {
	if a.step == StepSubmit {
		return a.submission.Failed(Trouble{Message: "not confirmed"}, now)
	}
	return a.power.Failed()
}

func (a *attempt) respond(r Response, now time.Time) Decision {
	if a.step == StepSubmit {
		return a.submission.Respond(r, now)
	}
	return a.power.Respond(r, now)
}

func (a *attempt) observe(seen rollout.Observation, now time.Time) Decision {
	switch a.step {
	case StepSubmit:
		return a.submission.Observe(seen, now, now)
	case StepVerify:
		return a.verification.Observe(seen, now)
	}
	return a.power.Observe(seen, now, now)
}

func (a *attempt) failed(now time.Time) Decision {
	switch a.step {
	case StepSubmit:
		return a.submission.Failed(Trouble{Message: "trouble"}, now)
	case StepVerify:
		return a.verification.Failed()
	case StepPoll:
		return a.polling.Failed()
	}
	return a.power.Failed()
}

type adder func(d func(a *attempt) Decision, format string, args ...any)

// look shows the server as it is, or as it was at the beginning of the tick.
func (x *explorer) look(s state, a *attempt, free, fault adder) {
	now := at(int(s.now))
	views := []server{s.cloud.server}
	if s.cloud.before != s.cloud.server {
		views = append(views, s.cloud.before)
	}
	for i, v := range views {
		seen := x.config.observe(v)
		label := "looks: %s"
		if i > 0 {
			label = "looks, and is shown an old view: %s"
		}
		if a.step == StepPreflight {
			to := s
			x.preflight(&to, seen)
			x.add(to, "preflight "+label, describe(seen))
			continue
		}
		free(func(a *attempt) Decision { return a.observe(seen, now) }, label, describe(seen))
	}
	if a.step == StepPreflight {
		return // three answers are needed there
	}
	if !s.cloud.server.gone {
		fault(func(a *attempt) Decision { return a.observe(rollout.Observation{}, now) }, "looks: a false 404")
	}
	fault(func(a *attempt) Decision { return a.failed(now) }, "looks: the cloud does not answer")
}

// probe answers the health checks. What HealthWatch makes of single answers has its own tests.
func (x *explorer) probe(s state, frozen bool) {
	if frozen { // it only reads, and nobody waits for its answer
		s.frozen = attempt{}
		x.add(s, "the frozen attempt: probes in vain")
		return
	}
	ended := func(to *state, healthy bool) {
		to.book = new(*to.book)
		to.book.HealthEnded(HealthVerdict{Healthy: healthy, Reason: "status 503"}, Failure{})
		if healthy {
			to.checked++
		}
		to.unhealthy = to.unhealthy || !healthy
		x.step(to)
	}
	to := s
	ended(&to, true)
	x.add(to, "the application is healthy")
	x.fault(s, func(to *state) { ended(to, false) }, "the application is not healthy")
}

func (x *explorer) preflight(s *state, seen rollout.Observation) {
	found := Found{Name: "server", Before: seen, MayAwaitPayment: x.config.prepaid}
	var f Failure
	pending := ""
	if s.cloud.round > 0 {
		pending = s.pendingReason(x.config.image(), seen)
		if left := s.earlier.Record.LeftOff; left != "" && left == seen.VolumeID && seen.Status == rollout.StatusShutoff {
			found.OriginalStatus = rollout.StatusActive
		}
	}
	switch {
	case !seen.Exists:
		f = Failure{Type: Vanished, Final: true, Message: "gone"}
	case !seen.Idle():
		found.Refusals = []string{"busy"}
	case pending != "":
		found.Refusals = []string{pending}
	case s.cloud.round > 0 && !s.isExpected(seen.Fingerprint):
		found.Refusals = []string{"it has another disk than the one that was agreed to"}
	case seen.ImageID == x.config.image() && !x.config.sameImage && s.cloud.round == 0:
		found.AlreadyThere = true
	}
	s.book = new(*s.book)
	s.book.PreflightEnded(found, f, s.cancelled)
	x.step(s)
}

// tryAgain asks for another change of the server, as a retry does.
func (x *explorer) tryAgain(s state) {
	s.cloud.round++
	s.book = new(*s.book)
	s.book.Close()
	earlier := PriorRun{Known: true, OriginalStatus: s.book.PriorStatus(), Result: s.book.Result}
	if record, ok := s.book.Record(); ok {
		earlier.Record = record
	}
	prior := s.book.Result.Before.Fingerprint
	in := x.config.input()
	in.PriorDisk = &prior
	in.Change.EvenIfSameImage = true
	s.earlier, s.book, s.memo = &earlier, new(NewRunbook(in, start)), &PriorRun{Known: true}
	s.current = attempt{alive: true, step: StepPreflight, number: 1, next: look(0), wake: s.now}
	s.ended, s.restored, s.reset, s.cancelled, s.recalled = false, false, false, false, false
	x.add(s, "the change is tried again")
}

// isExpected is true for a disk that the end of the first change has shown: a retry destroys no other one.
func (s *state) isExpected(disk rollout.Fingerprint) bool {
	last := s.earlier.Result
	return disk == last.Before.Fingerprint || disk == last.After.Fingerprint || Proven(rollout.Observation{
		Exists: true, Status: rollout.StatusActive, Fingerprint: disk,
	}, last.Before.Fingerprint, newImage)
}

// pendingReason is why the earlier change may still come.
func (s *state) pendingReason(image string, seen rollout.Observation) string {
	if !s.earlier.Record.Pending {
		return ""
	}
	p := Pending{
		JobID: s.earlier.Result.JobID, ImageID: image, Before: s.earlier.Result.Before.Fingerprint,
		Applied: s.earlier.Result.End == rollout.Done && s.earlier.Record.JobStatus != JobAwaitsPayment,
	}
	for i := range s.cloud.jobs[:s.cloud.jobCount] {
		if jobID(i) == p.JobID {
			return p.Reason(s.cloud.jobs[i].answer(), seen)
		}
	}
	return p.Reason(JobAnswer{}, seen)
}

func describe(seen rollout.Observation) string {
	if !seen.Exists {
		return "not found"
	}
	text := seen.Status
	if seen.TaskState != "" {
		text += " " + seen.TaskState
	}
	if seen.VolumeID == "" {
		return text + ", no disk"
	}
	return text + ", " + seen.VolumeID
}

func (x *explorer) query(s state, a *attempt, free, fault adder) {
	now := at(int(s.now))
	answer := func(a *attempt, answer JobAnswer) Decision {
		if a.step == StepPoll {
			return a.polling.Answered(answer, now)
		}
		return a.power.JobAnswered(answer.Status, answer.Reason, now)
	}
	unknown := JobAnswer{Status: JobUnknown, ByService: true}
	for i := range s.cloud.jobs[:s.cloud.jobCount] {
		j := s.cloud.jobs[i]
		if jobID(i) != a.next.JobID {
			continue
		}
		got := j.answer()
		free(func(a *attempt) Decision { return answer(a, got) }, "queries %s: %s", jobID(i), got.Name)
		if j.forgotten {
			continue
		}
		if j.kind == changeJob && !j.isOpen() && j.changed == s.now { // its answer trails behind the server
			free(func(a *attempt) Decision { return answer(a, JobAnswer{Name: "RUNNING"}) }, "queries %s: still RUNNING", jobID(i))
		}
		if a.step == StepPoll {
			fault(func(a *attempt) Decision { return answer(a, JobAnswer{Withheld: true, Reason: "withheld"}) }, "queries %s: the cloud does not tell", jobID(i))
			fault(func(a *attempt) Decision { return answer(a, JobAnswer{Status: JobUnknown}) }, "queries %s: the page of a proxy", jobID(i))
		}
		fault(func(a *attempt) Decision { return answer(a, unknown) }, "queries %s: a false 404", jobID(i))
		fault(func(a *attempt) Decision { return a.failed(now) }, "queries %s: the cloud does not answer", jobID(i))
		if s.faults < x.faults {
			to := s
			to.faults++
			to.cloud.jobs[i].forgotten = true
			x.add(to, "the cloud forgets %s", jobID(i))
		}
	}
}

// write sends a request, which the network loses, delays or repeats.
func (x *explorer) write(s state, a *attempt, get func(*state) *attempt, after func(func(*attempt) Decision) func(*state), who string) {
	action, now := a.next.Action, at(int(s.now))
	respond := func(to *state, r Response) {
		after(func(a *attempt) Decision { return a.respond(r, now) })(to)
	}
	name := action.name()
	switch {
	case !now.Before(a.next.Deadline):
		to := s
		respond(&to, Response{Kind: NotSentResponse, Message: "too late"})
		x.add(to, who+"%s: too late, not sent", name)
		return
	case s.recalled && (a.step == StepStop || a.step == StepSubmit):
		to := s
		if a.step == StepSubmit || action == StopHard || !a.power.HasActed() {
			respond(&to, Response{Kind: RecalledResponse, Message: "recalled"})
			x.add(to, who+"%s: not sent, the rollout has recalled the server", name)
			return
		}
	}
	to := s
	r := to.cloud.arrive(action, x.config, s.now)
	respond(&to, r)
	x.add(to, who+"%s: %s", name, r.Kind.name())

	unknown := Response{Kind: UnknownResponse, Message: "no answer"}
	x.fault(s, func(to *state) { respond(to, unknown) }, who+"%s: the request is lost", name)
	x.fault(s, func(to *state) {
		to.cloud.arrive(action, x.config, to.now)
		respond(to, unknown)
	}, who+"%s: %s, and the answer is lost", name, r.Kind.name())
	x.fault(s, func(to *state) { respond(to, Response{Kind: NotSentResponse, Message: "not sent"}) }, who+"%s: not sent", name)
	x.fault(s, func(to *state) {
		respond(to, Response{Kind: ThrottledResponse, Message: "throttled", RetryAfter: tick})
	}, who+"%s: throttled", name)
	for _, kind := range []ResponseKind{BackupResponse, UnclearResponse, CredentialsResponse} {
		x.fault(s, func(to *state) { respond(to, Response{Kind: kind, Message: "refused", RetryAfter: tick}) }, who+"%s: refused (%s)", name, kind.name())
	}
	undocumented := Response{Kind: UndocumentedResponse, Message: "undocumented"}
	x.fault(s, func(to *state) { respond(to, undocumented) }, who+"%s: refused for an undocumented reason", name)
	x.fault(s, func(to *state) {
		to.cloud.arrive(action, x.config, to.now)
		respond(to, undocumented)
	}, who+"%s: %s, and answered with an undocumented reason", name, r.Kind.name())
	if !x.config.prepaid || action != Submit { // two orders can be open at once, and a gateway that repeats requests makes two
		x.fault(s, func(to *state) {
			to.cloud.arrive(action, x.config, to.now)
			second := to.cloud.arrive(action, x.config, to.now)
			respond(to, second)
		}, who+"%s: delivered twice, and the second answer is shown", name)
		x.fault(s, func(to *state) {
			first := to.cloud.arrive(action, x.config, to.now)
			to.cloud.arrive(action, x.config, to.now)
			respond(to, first)
		}, who+"%s: delivered twice, and the first answer is shown", name)
	}
	for i, f := range s.cloud.flights {
		if f.action != 0 {
			continue
		}
		left := int16(a.next.Deadline.Sub(start)/tick) - 1 // the tick of the look
		fly := func(to *state) { to.cloud.flights[i] = flight{action, left, to.cloud.round} }
		x.fault(s, func(to *state) { fly(to); respond(to, unknown) }, who+"%s: delayed, no answer", name)
		if get(&s) == &s.current {
			x.fault(s, func(to *state) { fly(to); x.succeed(to, true) }, who+"%s: delayed, and the worker dies", name)
		}
		break
	}
	if get(&s) == &s.current {
		x.fault(s, func(to *state) { to.cloud.arrive(action, x.config, to.now); x.succeed(to, true) }, "%s: %s, and the worker dies", name, r.Kind.name())
	}
}

// finish ends an attempt.
func (x *explorer) finish(s *state, frozen bool) {
	if frozen {
		s.frozen = attempt{} // Temporal does not wait for it
		return
	}
	a := &s.current
	end := a.next.End
	if end.Failed && !end.Final {
		x.attempt(s, a.step, a.number+1, a.memory())
		s.current.wake += int16((end.RetryAfter + tick - 1) / tick)
		return
	}
	f := Failure{}
	if end.Failed {
		f = Failure{Type: end.Type, Message: end.Message, Final: true, Disk: end.Server.Fingerprint}
		if f.Type == "" {
			f.Type = Refused
		}
		if f.Message == "" {
			f.Message = "reported"
		}
	}
	s.book = new(*s.book)
	x.end(s, end, f)
}

// end tells the runbook how the activity of the current step has ended.
func (x *explorer) end(s *state, end End, f Failure) {
	a, now := &s.current, at(int(s.now))
	touched := a.number > 1 || (a.power != nil && (a.power.Lost || a.power.HasActed()))
	f.Touched = f.Type == Recalled && a.step == StepStop && touched
	switch a.step {
	case StepStop:
		s.book.StopEnded(Stopped{Updated: end.Server.Updated, Doubt: a.power.Lost || a.number > 1, Touched: touched}, f, s.cancelled)
	case StepSubmit:
		s.book.SubmitEnded(end.JobID, f, now)
	case StepPoll:
		s.book.PollEnded(end.Job, f, now)
	case StepStartAgain:
		s.book.StartedAgain()
	case StepVerify:
		s.book.VerifyEnded(end.Server, f)
	case StepRestorePower:
		s.book.PowerRestored(end.Server.Status, f, false)
	}
	x.step(s)
}

func (a Action) name() string {
	return [...]string{"", "look", "prepare", "confirm", "change", "stop", "hard stop", "start", "query", "finish"}[a]
}

func (k ResponseKind) name() string {
	return [...]string{"", "accepted", "unknown", "throttled", "not sent", "recalled", "busy", "backup", "unclear", "credentials", "refused", "undocumented"}[k]
}

// key is the hash of a state without what does not matter for what follows: texts, and how long ago is long ago.
func (x *explorer) key(s *state) uint64 {
	h := &x.hash
	h.Reset()
	now := at(int(s.now))
	book := *s.book
	book.Result.Reason, book.jobNote, book.Result.PowerTrouble = "", "", short(book.Result.PowerTrouble)
	book.Result.CredentialsRefused = short(book.Result.CredentialsRefused)
	book.Until, book.record.InProgressSince = since(book.Until, now), time.Time{}
	disk := book.in.PriorDisk
	if book.in.PriorDisk = nil; disk != nil {
		maphash.WriteComparable(h, *disk)
	}
	maphash.WriteComparable(h, book)
	for _, m := range []*PriorRun{s.memo, s.earlier} {
		if m != nil {
			memo := *m
			memo.Record.InProgressSince, memo.Result.Reason = time.Time{}, ""
			maphash.WriteComparable(h, memo)
		}
	}
	c := *s
	c.book, c.memo, c.earlier = nil, nil, nil
	c.current.hash(h, &s.current, s.now)
	c.frozen.hash(h, &s.frozen, s.now)
	for i := range c.cloud.jobs {
		j := &c.cloud.jobs[i]
		j.changed = max(j.changed-s.now, -6)
	}
	for i := range c.cloud.flights {
		if c.cloud.flights[i].action != 0 {
			c.cloud.flights[i].left -= s.now
		}
	}
	c.scheduled = 0
	if c.ended {
		c.endedAt = max(c.endedAt-s.now, -3)
	}
	c.now = 0
	maphash.WriteComparable(h, c)
	return h.Sum64()
}

// hash writes the state machine, and leaves the rest of the attempt comparable.
func (a *attempt) hash(h *maphash.Hash, of *attempt, tick int16) {
	now := at(int(tick))
	a.next.End, a.next.Deadline = End{}, since(a.next.Deadline, now)
	a.handed.submit.Phase = ""
	a.handed.submit.LastCleanAttempt = 0 // it counts for the attempt that has begun, and for no other one
	a.handed.power.Since = since(a.handed.power.Since, now)
	a.wake = max(a.wake-tick, 0)
	a.number = min(a.number, 2)
	a.submission, a.power, a.polling, a.verification = nil, nil, nil, nil
	switch {
	case of.submission != nil:
		m := *of.submission
		m.refusal, m.memory.Phase, m.scheduled = "", "", time.Time{}
		m.lookedAt = since(m.lookedAt, now)
		m.stability.rebase(now)
		if m.memory.LastCleanAttempt > 0 {
			m.memory.LastCleanAttempt -= m.attempt
		}
		m.attempt = min(m.attempt, 2)
		maphash.WriteComparable(h, m)
	case of.power != nil:
		m := *of.power
		m.memory.Since, m.lookedAt, m.queriedAt, m.refusedAt = since(m.memory.Since, now), since(m.lookedAt, now), since(m.queriedAt, now), since(m.refusedAt, now)
		m.stability.rebase(now)
		maphash.WriteComparable(h, m)
	case of.polling != nil:
		m := *of.polling
		m.deadline, m.scheduled = since(m.deadline, now), time.Time{}
		maphash.WriteComparable(h, m)
	case of.verification != nil:
		m := *of.verification
		m.in.Deadline, m.patience = since(m.in.Deadline, now), since(m.patience, now)
		m.stability.rebase(now)
		maphash.WriteComparable(h, m)
	}
}

func short(text string) string {
	if text != "" {
		return "some"
	}
	return ""
}

// longAgo is beyond every time that decides something.
const longAgo = 14 * tick

func since(t, now time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return start.Add(max(t.Sub(now), -longAgo))
}

func (s *Stability) rebase(now time.Time) {
	s.at = since(s.at, now)
	s.held = min(s.held, 2*tick)
	s.last.Updated = ""
}
