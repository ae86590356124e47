// Package faults proves by campaigns of faults that no server is ever wiped twice and nothing is lost:
// docs/reliability.md. Its oracle holds what reimage says against the emulated cloud's own account.
package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Account is a rollout that has ended: what it says, what was seen of it from outside, and the truth about its servers
// some time later, when whatever the cloud still had to do is done.
type Account struct {
	Plan     rollout.Plan
	Progress rollout.Progress
	Servers  []rollout.ServerProgress
	// Story is what was seen. Its times are by the same clock as those of the ledger, or trail some seconds behind.
	Story  []Event
	Ledger emulator.Ledger
	// Truth are the servers that exist, by id, as they are.
	Truth map[string]emulator.Server
	// Faults are what the cloud was told to do wrong, Blown is true when processes or connections were struck.
	Faults []emulator.Fault
	Blown  bool
	// Touched is what was done to servers beside the rollout, by server and in order.
	Touched map[string][]Touch
	// GaveUp is true when the operator could not help any more, and aborted.
	GaveUp bool
	// Leaks are the texts that activities gave Temporal and that hold the secret of the change.
	Leaks []string
}

// Kind is what a violation is about.
type Kind string

// The kinds of violations.
const (
	Twice   Kind = "changed twice"      // more changes were accepted than asked for, or another one
	Unasked Kind = "not asked for"      // a start or a write that nobody asked for
	Spread  Kind = "spreads"            // a start after an abort, in a pause, beyond the budget
	Cap     Kind = "over the cap"       // too many servers out of service at a time
	Pace    Kind = "too fast"           // for a slow start
	Order   Kind = "before its turn"    // a wave, its bake or its approval was ignored
	Untrue  Kind = "untrue"             // the end of a server, or of the rollout, is not so
	Power   Kind = "its power is wrong" // and nobody said so
	Record  Kind = "wrong record"       // of times, attempts, slots
	NoCause Kind = "without a cause"    // worse than done, though nothing was in the way
	Leak    Kind = "tells a secret"     // in a result, an error or a heartbeat
	Stuck   Kind = "stuck"
)

// Violations is everything that the rollout did wrong, or said and is not true. Each begins with its Kind. Empty is
// what every campaign wants.
func (a Account) Violations() []string {
	v := &violations{}
	if len(a.Servers) != len(a.Plan.Servers) {
		v.add(Record, "the report has %d servers and the plan %d", len(a.Servers), len(a.Plan.Servers))
		return v.found
	}
	if p := a.Progress; p.Phase != rollout.PhaseEnded {
		v.add(Stuck, "the rollout is %s: %s", p.Phase, p.Why)
	}
	for _, leak := range a.Leaks {
		v.add(Leak, "%s", leak)
	}
	if a.GaveUp {
		v.add(Stuck, "nothing that the operator did helped, but to abort")
	}
	a.Touched = a.withCopies()
	r := follow(a, v)
	for i, said := range a.Servers {
		if said.ID != a.Plan.Servers[i].ID {
			v.add(Record, "server %d of the plan is %s, and the report says %s", i+1, a.Plan.Servers[i].ID, said.ID)
			continue
		}
		if said.State != rollout.Ended || said.End == "" {
			v.add(Stuck, "%s has not ended: %s %s", said.Name, said.State, said.End)
			continue
		}
		j := judgement{a: a, v: v, r: r, seen: r.servers[i], said: said}
		j.now, j.exists = a.Truth[said.ID]
		j.writes()
		j.record()
		j.foreign()
		j.end()
		j.cause()
	}
	for _, other := range a.Plan.Untouched() {
		if account := a.Ledger.Servers[other.ID]; account != nil && len(account.Writes) > 0 {
			v.add(Unasked, "%s is not in the plan, and the cloud accepted %s", other.Name, account.Writes[0].Op)
		}
	}
	a.rollout(v, r)
	return v.found
}

// withCopies adds the changes that a gateway delivered once more to what was done to the servers: the result for such a
// server was not ordered.
func (a Account) withCopies() map[string][]Touch {
	touched := map[string][]Touch{}
	maps.Copy(touched, a.Touched)
	for id, account := range a.Ledger.Servers {
		for _, write := range account.Writes {
			if write.Copy && write.Op == emulator.OpChangeOS {
				touched[id] = append(slices.Clone(touched[id]), Touch{Deed: Copied, At: write.Time})
			}
		}
	}
	return touched
}

type violations struct{ found []string }

func (v *violations) add(kind Kind, format string, args ...any) {
	v.found = append(v.found, string(kind)+": "+fmt.Sprintf(format, args...))
}

// judgement holds what is said of one server against what was seen of it, what the cloud accepted and what it is.
type judgement struct {
	a      Account
	v      *violations
	r      *referee
	seen   *standing
	said   rollout.ServerProgress
	now    emulator.Server
	exists bool
}

func (j judgement) wrong(kind Kind, format string, args ...any) {
	j.v.add(kind, "%s (%s, %s): %s", j.said.Name, j.said.End, j.said.Reason, fmt.Sprintf(format, args...))
}

// writes: every write belongs to the attempt that was started last before it, and each attempt has one change accepted
// at most, to the image that it is for.
func (j judgement) writes() {
	begun := j.seen.begun
	accepted := make([]int, len(begun))
	for _, write := range j.a.Ledger.Servers[j.said.ID].Writes {
		n := 0
		for n < len(begun) && !begun[n].At.After(write.Time) {
			n++
		}
		if n == 0 {
			j.wrong(Unasked, "the cloud accepted %s at %s, and it was not started by then", write.Op, clock(write.Time))
			continue
		}
		if write.Copy {
			j.copied(write)
			continue
		}
		j.recalled(begun[n-1], write, accepted[n-1] > 0)
		if write.Op != emulator.OpChangeOS {
			continue
		}
		if accepted[n-1]++; accepted[n-1] > 1 {
			j.wrong(Twice, "attempt %d of %d had %d changes accepted", n, len(begun), accepted[n-1])
		}
		if write.Beside != "" && j.knew(write.Beside) {
			j.wrong(Twice, "a change was accepted at %s while job %s of an earlier one was not over, and its workflow knew that it may come", clock(write.Time), write.Beside)
		}
		if image := j.image(begun[n-1].Back); write.ImageID != image {
			j.wrong(Twice, "attempt %d of %d was for image %s and changed to %s", n, len(begun), image, write.ImageID)
		}
	}
}

// recallTime is how long after the rollout was stopped a server may still be stopped or changed.
const recallTime = 2 * time.Second

// recalled: once the rollout takes back what it has not submitted, no server is stopped and no change is sent. A write
// before its change was accepted counts; after that the server is finished.
func (j judgement) recalled(begun Event, write emulator.Write, submitted bool) {
	if submitted || write.Op == emulator.OpStart || j.heldUp(write.Op) {
		return
	}
	for _, recall := range j.r.recalls {
		after := write.Time.After(recall.from.Add(recallTime)) && (recall.to.IsZero() || write.Time.Before(recall.to))
		if after && recall.kind.Includes(j.touchedBefore(begun, write)) {
			j.wrong(Spread, "the cloud accepted %s at %s, and the rollout took back %s servers since %s", write.Op, clock(write.Time), recall.kind, clock(recall.from))
		}
	}
}

// touchedBefore is true when an attempt may have done something to the server before the write.
func (j judgement) touchedBefore(begun Event, write emulator.Write) bool {
	earlier := slices.ContainsFunc(j.a.Ledger.Servers[j.said.ID].Writes, func(w emulator.Write) bool {
		return !w.Time.Before(begun.Seen) && w.Time.Before(write.Time)
	})
	return earlier || j.met() // a request of which the ledger knows nothing is one all the same
}

// heldUp is true when such a request of the server may be accepted long after it was sent.
func (j judgement) heldUp(op string) bool {
	return slices.ContainsFunc(j.a.Faults, func(f emulator.Fault) bool {
		isLate := f.Kind == emulator.AcceptLate || f.Kind == emulator.Latency
		isAimed := f.Server == "" || f.Server == j.said.ID || f.Server == j.said.Name
		return isLate && isAimed && (f.Op == op || f.Op == emulator.OpAny)
	})
}

// copied: a late copy of a change is accepted only by a server that is meant to be stopped, or that stands after a job that
// failed, for as long as it takes to start it: docs/never-twice.md.
func (j judgement) copied(write emulator.Write) {
	if write.Op != emulator.OpChangeOS {
		return
	}
	power := j.a.Plan.Change.Power
	isMeantToStand := power == rollout.PowerOff || j.seen.Status != rollout.StatusActive || j.a.Plan.Change.WithStopServer
	stands := slices.ContainsFunc(j.a.Ledger.Servers[j.said.ID].Writes, func(w emulator.Write) bool {
		since := write.Time.Sub(w.Ended)
		return w.Op == emulator.OpChangeOS && w.Failed && since >= 0 && (since <= startAgain || j.isHindered())
	})
	if !isMeantToStand && !stands && !j.isUnpaid() && !j.did(PowerOff, Reinstall, Cancel) {
		j.wrong(Twice, "a copy of its change was accepted at %s", clock(write.Time))
	}
}

// startAgain is how long a server stands at most after its job has failed, when nothing is in the way: until the job is
// read, the start is sent, and the view has caught up.
const startAgain = 3 * time.Minute

// isHindered is true when something may have kept the server from being started.
func (j judgement) isHindered() bool {
	return j.a.Blown || j.met(emulator.OpStart, emulator.OpServer, emulator.OpServers, emulator.OpJob, emulator.OpBlockDevice, emulator.OpAny)
}

// isUnpaid is true for a server whose change may wait for a payment: the cloud takes another order beside it.
func (j judgement) isUnpaid() bool {
	return j.now.ChargingMode == "1" || slices.ContainsFunc(j.a.Faults, func(f emulator.Fault) bool {
		isAimed := f.Server == "" || f.Server == j.said.ID || f.Server == j.said.Name
		return isAimed && f.Kind == emulator.JobStuck && f.Variant == emulator.VariantPendingPayment
	})
}

// knew is true when a workflow of the server ended without having seen what came of the job.
func (j judgement) knew(jobID string) bool {
	return slices.ContainsFunc(j.a.Story, func(e Event) bool {
		return e.What == Heard && e.Server == j.said.ID && (e.Result.JobID == jobID || e.Result.JobID == "") && e.Result.End == rollout.FailedChanged
	})
}

func (j judgement) image(back bool) string {
	if back {
		return j.seen.Before.ImageID
	}
	return j.a.Plan.Change.ImageID
}

// record: the report knows every attempt, its times, and whether its failure was accepted.
func (j judgement) record() {
	if n := len(j.seen.counted); j.said.Attempts != n {
		j.wrong(Record, "it was started %d times, and the report says %d", n, j.said.Attempts)
	}
	if j.said.Accepted != j.seen.accepted {
		j.wrong(Record, "its failure was accepted: %t; the report says %t", j.seen.accepted, j.said.Accepted)
	}
	var started, heard time.Time
	if last := j.seen.last(); last != nil {
		started, heard = last.At, j.seen.heardAt
	}
	if !j.said.StartedAt.Equal(started) || !heard.IsZero() && !j.said.EndedAt.Equal(heard) {
		j.wrong(Record, "it was started at %s and ended at %s, and the report says %s and %s", clock(started), clock(heard), clock(j.said.StartedAt), clock(j.said.EndedAt))
	}
}

// end: what is said is true.
func (j judgement) end() {
	accepted := j.a.Ledger.Servers[j.said.ID].ChangeOSAccepted
	if !j.exists && j.said.End != rollout.Vanished && accepted == 0 || j.late(Delete, Reinstall) {
		return // somebody did that without reimage having a part in it; whatever is said of it was true once
	}
	if j.did(Copied) {
		return
	}
	last := j.seen.last()
	old := j.now.SystemVolumeID == j.seen.Before.VolumeID
	given := slices.ContainsFunc(j.a.Touched[j.said.ID], func(t Touch) bool { return t.Deed == Reinstall && t.Disk == j.now.SystemVolumeID })
	changed := j.exists && !old && j.now.SystemVolumeID != ""
	healthy := changed && j.now.ImageID == j.image(last != nil && last.Back) && j.now.Status == rollout.StatusActive && j.now.TaskState == ""
	untrue := false
	switch j.said.End {
	case rollout.Done:
		untrue = (!changed || j.now.ImageID != j.image(false)) && !j.ownsUp() || accepted == 0
		j.power()
	case rollout.Restored:
		untrue = (!changed || j.now.ImageID != j.image(true)) && !j.ownsUp()
		j.power()
	case rollout.FailedIntact, rollout.NotStarted, rollout.Skipped:
		untrue = !old && !(given && j.said.End == rollout.NotStarted)
		j.power()
	case rollout.FailedChanged:
		untrue = (!j.exists || healthy && !j.late(PowerOn, Repair) || old && accepted == 0) && !saysDoubt(j.said.Reason)
	case rollout.FailedLost:
		untrue = !j.exists || j.now.SystemVolumeID != ""
	case rollout.Vanished:
		untrue = j.exists
	default:
		j.wrong(Untrue, "there is no such end")
	}
	if untrue {
		j.wrong(Untrue, "the server is %s; %d changes were accepted", told(j.now, j.exists), accepted)
	}
}

// foreign: a disk that somebody has given the server is not destroyed by a change that is sent later. One that was on its
// way is not promised anything about: it has half a minute from the look that it goes by, and another one to be accepted.
// Where nothing holds it up, it takes no time.
func (j judgement) foreign() {
	way := time.Duration(0)
	if j.a.Blown || slices.ContainsFunc(j.a.Faults, func(f emulator.Fault) bool { return f.Kind == emulator.AcceptLate || f.Kind == emulator.Latency }) {
		way = time.Minute
	}
	for _, touch := range j.a.Touched[j.said.ID] {
		for _, write := range j.a.Ledger.Servers[j.said.ID].Writes {
			// A copy by a gateway is no decision of the program: docs/never-twice.md.
			if touch.Deed == Reinstall && write.Op == emulator.OpChangeOS && !write.Copy && !write.Time.Before(touch.At.Add(way)) {
				j.wrong(Twice, "it was given another disk at %s, and a change was accepted at %s", clock(touch.At), clock(write.Time))
			}
		}
	}
}

// ownsUp is true when the report tells that the server is not what its end says any more.
func (j judgement) ownsUp() bool {
	reason, told := j.said.Reason, strings.Contains
	return j.did(Reinstall) && (told(reason, "has another system disk by now") || told(reason, "has changed since it was looked at")) ||
		j.did(Delete) && told(reason, "does not exist")
}

func (j judgement) did(deeds ...Deed) bool {
	return slices.ContainsFunc(j.a.Touched[j.said.ID], func(t Touch) bool { return slices.Contains(deeds, t.Deed) })
}

// late is true when one of the deeds was done so late that the rollout may not have seen it any more.
func (j judgement) late(deeds ...Deed) bool {
	return slices.ContainsFunc(j.a.Touched[j.said.ID], func(t Touch) bool {
		return slices.Contains(deeds, t.Deed) && t.At.After(j.seen.heardAt.Add(-time.Minute))
	})
}

// power: the server runs, or does not, as asked for. The report may own up to trouble where there was some.
func (j judgement) power() {
	if j.did(PowerOff, PowerOn, Repair, Reinstall, Delete, Copied) {
		return // who knows what that person wants
	}
	if strings.Contains(j.said.Reason, "its power is not as asked") && j.met(emulator.OpStop, emulator.OpStart, emulator.OpJob, emulator.OpServer, emulator.OpAny) {
		return
	}
	want, power := j.seen.Status, j.a.Plan.Change.Power
	changed := j.said.End == rollout.Done || j.said.End == rollout.Restored
	switch {
	case j.said.End == rollout.Done && power == rollout.PowerOff:
		want = rollout.StatusShutoff
	case j.said.End == rollout.Done && power == rollout.PowerOn, changed && want == rollout.StatusError:
		want = rollout.StatusActive
	}
	if j.now.Status != want {
		j.wrong(Power, "the server is %s and should be %s", told(j.now, j.exists), want)
	}
}

// cause: a server that nothing was in the way of is done, or has its old image again when the rollout turned back; one
// that was not tried was skipped by somebody, or the rollout stopped before its turn.
func (j judgement) cause() {
	last, stopped := j.seen.last(), j.r.aborted || j.r.turned
	turned := j.r.turned && !j.r.aborted
	want := rollout.Done
	if turned {
		want = rollout.Restored
	}
	switch end := j.said.End; {
	case end == rollout.Skipped && (j.seen.skipped || j.image(true) == j.image(false)):
	case end == rollout.NotStarted && last == nil && stopped:
	case end == rollout.Skipped || last == nil:
		j.wrong(NoCause, "nobody said so, and nothing had stopped the rollout")
	case turned && j.did(Reinstall): // it is left alone
	case end == rollout.Restored && j.r.turned: // before somebody aborted
	case turned && !last.Back && (end == rollout.Done || end == rollout.FailedChanged && !saysDoubt(j.said.Reason)):
		j.wrong(NoCause, "the rollout turned back and left it")
	case end != want && !j.met():
		j.wrong(NoCause, "nothing went wrong that could have to do with it")
	}
	if j.seen.again && !stopped {
		j.wrong(NoCause, "somebody wanted it to be tried again, and it was not")
	}
}

// met is true when something may have been in the server's way, of whatever it was asked for, or of one of these.
func (j judgement) met(ops ...string) bool { return !j.a.spared(j.said.ID, ops...) }

// spared is true for a server that nothing was in the way of.
func (a Account) spared(id string, ops ...string) bool {
	return !a.Blown && !a.Truth[id].IgnoresACPI && len(a.Touched[id]) == 0 && !slices.ContainsFunc(a.Faults, func(f emulator.Fault) bool {
		aimed := f.Server == "" || f.Server == id || f.Server == a.Ledger.Servers[id].Name
		return aimed && (len(ops) == 0 || slices.Contains(ops, f.Op))
	})
}

// rollout holds the end of the rollout, and its numbers, against the ends of its servers.
func (a Account) rollout(v *violations, r *referee) {
	var counts rollout.Counts
	slots, unsure, failed, failures, broken, changed := 0, 0, 0, 0, 0, 0
	for i, said := range a.Servers {
		seen, end := r.servers[i], said.End
		now, exists := a.Truth[said.ID]
		tried := seen.last() != nil
		counts.Servers++
		switch {
		case end == rollout.Done:
			counts.Done++
		case end == rollout.Skipped:
			counts.Skipped++
		case end == rollout.Restored:
			counts.RolledBack++
		case !tried:
			counts.NotStarted++
		default:
			counts.Failed++
			if seen.accepted {
				counts.Accepted++
			}
		}
		if end.Failed() {
			failed++
		}
		if end.Failed() && tried && !seen.accepted {
			failures++
			down := seen.Status == rollout.StatusActive && (now.Status != rollout.StatusActive || now.TaskState != "")
			switch {
			case end.OutOfService() || exists && down && len(a.Touched[said.ID]) == 0:
				slots++
			case len(a.Touched[said.ID]) > 0:
				unsure++ // it may have been touched only since
			}
		}
		if end == rollout.Done || end.OutOfService() || end == rollout.Vanished {
			broken++
		}
		isCopied := slices.ContainsFunc(a.Touched[said.ID], func(t Touch) bool { return t.Deed == Copied })
		if exists && now.ImageID != seen.Before.ImageID && now.ImageID != foreignImage && !isCopied {
			changed++
		}
	}
	p := a.Progress
	if p.Counts != counts || p.Failed != failures || p.Slots < slots || p.Slots-p.SlotsHeldDown > slots+unsure {
		v.add(Record, "there are %s, %d of them failed and not accepted, %d slots in use, and maybe %d more; the report says %s, %d, %d", counts, failures, slots, unsure, p.Counts, p.Failed, p.Slots)
	}
	end := rollout.Completed
	switch {
	case r.aborted:
		end = rollout.Aborted
	case r.turned && broken > 0:
		end = rollout.RolledBackPartially
	case r.turned:
		end = rollout.RolledBack
	case failed > 0:
		end = rollout.CompletedWithFailures
	}
	if p.End != end {
		v.add(Untrue, "it ended as %s, and should have as %s: %s", p.End, end, counts)
	}
	if p.End == rollout.RolledBack && changed > 0 {
		v.add(Untrue, "it was rolled back, and %d servers have another image than before", changed)
	}
}

// saysDoubt is true for a reason that claims nothing: what happened could not be found out.
func saysDoubt(reason string) bool {
	for _, doubt := range []string{"in doubt", "could not be looked at", "still works on it", "wait until that is over"} {
		if strings.Contains(reason, doubt) {
			return true
		}
	}
	return mayCome(reason)
}

// mayCome is true for a reason that warns of the change.
func mayCome(reason string) bool {
	return strings.Contains(reason, "may still come") || strings.Contains(reason, "may still be under way")
}

func told(s emulator.Server, exists bool) string {
	if !exists {
		return "gone"
	}
	return fmt.Sprintf("%s, task %q, image %s, system disk %q", s.Status, s.TaskState, s.ImageID, s.SystemVolumeID)
}
