// Package faults proves by campaigns of faults that no server is ever wiped twice and nothing is lost:
// docs/reliability.md. Its oracle holds what reimage says against the emulated cloud's own account.
package faults

import (
	"fmt"
	"slices"
	"strings"

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
	// GaveUp is true when the operator could not help any more, and aborted.
	GaveUp bool
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
	Stuck   Kind = "stuck"
)

// Violations is everything that the rollout did wrong, or said and is not true. Each begins with its Kind. Empty is
// what every campaign wants.
func (a Account) Violations() []string {
	v := &violations{}
	if p := a.Progress; p.Phase != rollout.PhaseEnded {
		v.add(Stuck, "the rollout is %s: %s", p.Phase, p.Why)
	}
	if a.GaveUp {
		v.add(Stuck, "nothing that the operator did helped, but to abort")
	}
	r := follow(a, v)
	if len(a.Servers) != len(a.Plan.Servers) {
		v.add(Record, "the report has %d servers and the plan %d", len(a.Servers), len(a.Plan.Servers))
		return v.found
	}
	for i, s := range a.Servers {
		if s.State != rollout.Ended || s.End == "" {
			v.add(Stuck, "%s has not ended: %s %s", s.Name, s.State, s.End)
			continue
		}
		j := judgement{Account: a, violations: v, referee: r, standing: r.servers[i], said: s}
		j.now, j.exists = a.Truth[s.ID]
		j.writes()
		j.record()
		j.end()
		j.cause()
	}
	a.rollout(v, r)
	return v.found
}

type violations struct{ found []string }

func (v *violations) add(kind Kind, format string, args ...any) {
	v.found = append(v.found, string(kind)+": "+fmt.Sprintf(format, args...))
}

// judgement holds what is said of one server against what was seen of it, what the cloud accepted and what it is.
type judgement struct {
	Account
	*violations
	*referee
	*standing
	said   rollout.ServerProgress
	now    emulator.Server
	exists bool
}

func (j judgement) wrong(kind Kind, format string, args ...any) {
	s := j.said
	j.add(kind, "%s (%s, %s): %s", s.Name, s.End, s.Reason, fmt.Sprintf(format, args...))
}

// writes: every write belongs to the attempt that was started last before it, and each attempt has one change accepted
// at most, to the image that it is for.
func (j judgement) writes() {
	accepted := make([]int, len(j.begun))
	for _, write := range j.Ledger.Servers[j.ID].Writes {
		n := 0
		for n < len(j.begun) && !j.begun[n].At.After(write.Time) {
			n++
		}
		if n == 0 {
			j.wrong(Unasked, "the cloud accepted %s at %s, and it was not started by then", write.Op, clock(write.Time))
			continue
		}
		if write.Op != emulator.OpChangeOS {
			continue
		}
		if accepted[n-1]++; accepted[n-1] > 1 {
			j.wrong(Twice, "attempt %d of %d had %d changes accepted", n, len(j.begun), accepted[n-1])
		}
		if image := j.image(j.begun[n-1].Back); write.ImageID != image {
			j.wrong(Twice, "attempt %d of %d was for image %s and changed to %s", n, len(j.begun), image, write.ImageID)
		}
	}
}

func (j judgement) image(back bool) string {
	if back {
		return j.Before.ImageID
	}
	return j.Account.Plan.Change.ImageID
}

// record: the report knows every attempt and its times.
func (j judgement) record() {
	if s := j.said; s.Attempts != len(j.counted) {
		j.wrong(Record, "it was started %d times, and the report says %d", len(j.counted), s.Attempts)
	}
	if j.said.Accepted != j.accepted {
		j.wrong(Record, "its failure was accepted: %t; the report says %t", j.accepted, j.said.Accepted)
	}
	if n := len(j.counted); n > 0 && !j.said.StartedAt.Equal(j.counted[n-1].At) {
		j.wrong(Record, "it was started at %s, and the report says %s", clock(j.counted[n-1].At), clock(j.said.StartedAt))
	}
}

// end: what is said is true.
func (j judgement) end() {
	accepted := j.Ledger.Servers[j.ID].ChangeOSAccepted
	if !j.exists && j.said.End != rollout.Vanished && accepted == 0 {
		return // somebody deleted it without reimage having a part in it; whatever is said of it was true once
	}
	back := len(j.counted) > 0 && j.counted[len(j.counted)-1].Back
	old := j.now.SystemVolumeID == j.Before.VolumeID
	changed := j.exists && !old && j.now.SystemVolumeID != ""
	healthy := changed && j.now.ImageID == j.image(back) && j.now.Status == rollout.StatusActive && j.now.TaskState == ""
	untrue := false
	switch j.said.End {
	case rollout.Done:
		untrue = !changed || j.now.ImageID != j.image(false) || accepted == 0
		j.power()
	case rollout.Restored:
		untrue = !changed || j.now.ImageID != j.image(true)
		j.power()
	case rollout.FailedIntact, rollout.NotStarted, rollout.Skipped:
		untrue = !old
		j.power()
	case rollout.FailedChanged:
		untrue = (!j.exists || healthy || old && accepted == 0) && !saysDoubt(j.said.Reason)
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

// power: the server runs, or does not, as asked for. The report may own up to trouble where there was some.
func (j judgement) power() {
	if strings.Contains(j.said.Reason, "its power is not as asked") && j.met() {
		return
	}
	want := j.Status
	switch power := j.Account.Plan.Change.Power; {
	case j.said.End == rollout.Done && power == rollout.PowerOn:
		want = rollout.StatusActive
	case j.said.End == rollout.Done && power == rollout.PowerOff:
		want = rollout.StatusShutoff
	}
	if want == rollout.StatusError && (j.said.End == rollout.Done || j.said.End == rollout.Restored) {
		want = rollout.StatusActive
	}
	if j.now.Status != want {
		j.wrong(Power, "the server is %s and should be %s", told(j.now, j.exists), want)
	}
}

// cause: a server that nothing was in the way of is done, or has its old image again; one that was not tried was
// skipped by somebody, or the rollout stopped before its turn.
func (j judgement) cause() {
	s := j.said
	tried := len(j.counted) > 0
	switch {
	case s.End == rollout.Skipped && (j.skipped || j.Before.ImageID == j.Account.Plan.Change.ImageID):
	case s.End == rollout.NotStarted && !tried && (j.aborted || j.turned):
	case s.End == rollout.Skipped || !tried:
		j.wrong(NoCause, "nobody said so, and nothing had stopped the rollout")
	case s.End == rollout.Done || s.End == rollout.Restored || j.met():
	default:
		j.wrong(NoCause, "nothing went wrong that could have to do with it")
	}
	if j.again && !j.aborted && !j.turned {
		j.wrong(NoCause, "somebody wanted it to be tried again, and it was not")
	}
}

// met is true when something may have been in the server's way.
func (j judgement) met() bool {
	return j.Blown || j.now.IgnoresACPI || slices.ContainsFunc(j.Faults, func(f emulator.Fault) bool {
		return f.Server == "" || f.Server == j.ID || f.Server == j.Name
	})
}

// rollout holds the end of the rollout, and its numbers, against the ends of its servers.
func (a Account) rollout(v *violations, r *referee) {
	var counts rollout.Counts
	slots, failed, wiped := 0, 0, 0
	for i, s := range a.Servers {
		now, exists := a.Truth[s.ID]
		counts.Servers++
		switch {
		case s.End == rollout.Done:
			counts.Done++
		case s.End == rollout.Skipped:
			counts.Skipped++
		case s.End == rollout.Restored:
			counts.RolledBack++
		case len(r.servers[i].counted) == 0:
			counts.NotStarted++
		default:
			counts.Failed++
		}
		down := exists && a.Plan.Servers[i].Status == rollout.StatusActive && now.Status != rollout.StatusActive
		if !r.servers[i].accepted && len(r.servers[i].counted) > 0 && s.End.Failed() && (s.End.OutOfService() || s.End != rollout.Vanished && down) {
			slots++
		}
		if s.End.Failed() {
			failed++
		}
		if now.ImageID != a.Plan.Servers[i].Before.ImageID && exists {
			wiped++
		}
	}
	p := a.Progress
	if p.Counts != counts {
		v.add(Record, "the report counts %s, and there are %s", p.Counts, counts)
	}
	if p.Slots != slots {
		v.add(Record, "%d slots are in use at the end, and %d servers hold one", p.Slots, slots)
	}
	want := []rollout.RolloutEnd{rollout.Completed}
	switch {
	case r.aborted:
		want = []rollout.RolloutEnd{rollout.Aborted}
	case r.turned:
		want = []rollout.RolloutEnd{rollout.RolledBack, rollout.RolledBackPartially}
	case failed > 0:
		want = []rollout.RolloutEnd{rollout.CompletedWithFailures}
	}
	if !slices.Contains(want, p.End) {
		v.add(Untrue, "it ended as %s, and should have as %s: %s", p.End, want, counts)
	}
	broken := slices.ContainsFunc(a.Servers, func(s rollout.ServerProgress) bool {
		return s.End == rollout.Done || s.End.OutOfService() || s.End == rollout.Vanished
	})
	if p.End == rollout.RolledBack && (broken || wiped > 0) || p.End == rollout.RolledBackPartially && !broken {
		v.add(Untrue, "it ended as %s, and %d servers have another image than before: %s", p.End, wiped, counts)
	}
}

// saysDoubt is true for a reason that claims nothing: what happened could not be found out.
func saysDoubt(reason string) bool {
	for _, doubt := range []string{"may still come", "in doubt", "could not be looked at", "still works on it", "wait until that is over"} {
		if strings.Contains(reason, doubt) {
			return true
		}
	}
	return false
}

func told(s emulator.Server, exists bool) string {
	if !exists {
		return "gone"
	}
	return fmt.Sprintf("%s, task %q, image %s, system disk %q", s.Status, s.TaskState, s.ImageID, s.SystemVolumeID)
}
