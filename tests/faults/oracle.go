// Package faults proves by campaigns of faults that no server is ever wiped twice and nothing is lost:
// docs/reliability.md. Its oracle holds what reimage says against the emulated cloud's own account.
package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Account is a rollout that has ended, and the truth about its servers some time later, when whatever the cloud
// still had to do is done.
type Account struct {
	Plan     rollout.Plan
	Progress rollout.Progress
	Servers  []rollout.ServerProgress
	Ledger   emulator.Ledger
	// Truth are the servers that exist, by id, as they are.
	Truth map[string]emulator.Server
	// MostOutOfService is how many servers that ran at first were out of service at a time, at most. CapInForce
	// is the highest cap that was in force; zero means that of the plan.
	MostOutOfService, CapInForce int
	// Commanded is true when somebody retried or accepted failures, so that the failures at the end say nothing of
	// the budget.
	Commanded bool
}

// Violations is everything that the rollout did wrong, or said and is not true. Empty is what every campaign
// wants.
func (a Account) Violations() []string {
	v := &violations{}
	a.rollout(v)
	for i, s := range a.Servers {
		a.server(v, a.Plan.Servers[i], s)
	}
	return v.found
}

type violations struct{ found []string }

func (v *violations) add(format string, args ...any) {
	v.found = append(v.found, fmt.Sprintf(format, args...))
}

func (a Account) rollout(v *violations) {
	p := a.Progress
	if p.Phase != rollout.PhaseEnded {
		v.add("stuck: the rollout is %s: %s", p.Phase, p.Why)
	}
	if len(a.Servers) != len(a.Plan.Servers) {
		v.add("the report has %d servers and the plan %d", len(a.Servers), len(a.Plan.Servers))
		return
	}
	// Servers that are to be left stopped are out of service because somebody wants it. A rollback repairs broken
	// servers without waiting for their slots.
	limit := max(a.CapInForce, a.Plan.Caps.InFlight)
	byIntent := a.Plan.Change.Power == rollout.PowerOff || a.Plan.Budget.OnBreach == rollout.BreachRollback
	if a.MostOutOfService > limit && !byIntent {
		v.add("%d servers were out of service at a time, %d are allowed", a.MostOutOfService, limit)
	}
	held, failed, forward := 0, 0, 0
	for _, s := range a.Servers {
		if s.HoldsSlot {
			held++
		}
		if s.Failed() {
			failed++
			if !s.RollingBack {
				forward++
			}
		}
	}
	if p.Slots != held {
		v.add("%d slots are in use at the end, and %d servers hold one", p.Slots, held)
	}
	if b := a.Plan.Budget; b.Strict && !a.Commanded && b.Count != nil && forward > *b.Count+1 {
		v.add("%d servers failed under strict admission, where %d are tolerated", forward, *b.Count)
	}
	a.budget(v)
	a.aborted(v)
	a.truthfulEnd(v, failed)
}

// budget looks for servers that were started after one failure more than are tolerated had ended.
func (a Account) budget(v *violations) {
	b := a.Plan.Budget
	if a.Commanded || b.Count == nil || b.Share != nil {
		return
	}
	var failures []time.Time
	for _, s := range a.Servers {
		if s.Failed() {
			failures = append(failures, s.EndedAt)
		}
	}
	if len(failures) <= *b.Count {
		return
	}
	slices.SortFunc(failures, time.Time.Compare)
	a.startedAfter(v, failures[*b.Count], "the budget was spent")
}

// aborted looks for servers that were started after the abort.
func (a Account) aborted(v *violations) {
	for _, entry := range a.Progress.Log {
		if strings.HasPrefix(entry.What, "aborted: ") {
			a.startedAfter(v, entry.At, "the abort")
		}
	}
}

func (a Account) startedAfter(v *violations, stop time.Time, what string) {
	for _, s := range a.Servers {
		if s.StartedAt.After(stop) && !s.RollingBack {
			v.add("%s was started at %s, after %s at %s", s.Name, s.StartedAt, what, stop)
		}
	}
}

// truthfulEnd holds the end of the rollout against the ends of its servers.
func (a Account) truthfulEnd(v *violations, failed int) {
	c := a.Progress.Counts
	accepted := 0
	for _, s := range a.Servers {
		if s.End.Failed() && s.Accepted {
			accepted++
		}
	}
	switch end := a.Progress.End; {
	case end == rollout.Completed && (c.Done+c.Skipped != c.Servers):
		v.add("completed, but %s of %d", c, c.Servers)
	case end == rollout.CompletedWithFailures && failed+accepted == 0:
		v.add("completed with failures, but none failed: %s", c)
	case end == rollout.RolledBack && c.Done > 0:
		v.add("rolled back, but %d servers have the new image", c.Done)
	}
}

// server holds one server's end against what the cloud accepted and what the server is.
func (a Account) server(v *violations, planned rollout.PlannedServer, s rollout.ServerProgress) {
	if s.State != rollout.Ended || s.End == "" {
		v.add("%s has not ended: %s %s", s.Name, s.State, s.End)
		return
	}
	account := a.Ledger.Servers[planned.ID]
	if account == nil {
		v.add("%s: the cloud has no account of it", s.Name)
		return
	}
	lie := func(format string, args ...any) {
		v.add("%s (%s, %s) after %d attempts: %s", s.Name, s.End, s.Reason, s.Attempts, fmt.Sprintf(format, args...))
	}
	if account.ChangeOSAccepted > s.Attempts {
		lie("the cloud accepted %d changes", account.ChangeOSAccepted)
	}
	if s.Attempts == 0 && len(account.Writes) > 0 {
		lie("it was never started, and the cloud accepted %d writes to it", len(account.Writes))
	}
	now, exists := a.Truth[planned.ID]
	if s.End != rollout.Vanished && !exists && account.ChangeOSAccepted == 0 {
		return // somebody deleted it without reimage having a part in it; whatever is said of it was true once
	}
	old := now.SystemVolumeID == planned.Before.VolumeID
	switch s.End {
	case rollout.Done:
		if !exists || old || now.ImageID != a.Plan.Change.ImageID || now.SystemVolumeID == "" || account.ChangeOSAccepted == 0 {
			lie("the server is %s", told(now, exists))
		}
		a.power(lie, planned, s, now)
	case rollout.Restored:
		if !exists || old || now.ImageID != planned.Before.ImageID || now.SystemVolumeID == "" {
			lie("the server is %s", told(now, exists))
		}
	case rollout.FailedIntact, rollout.NotStarted, rollout.Skipped:
		if !old {
			lie("the server is %s", told(now, exists))
		}
		a.power(lie, planned, s, now)
	case rollout.FailedChanged:
		if old && account.ChangeOSAccepted == 0 && !saysDoubt(s.Reason) {
			lie("no change was accepted, the server is %s", told(now, exists))
		}
	case rollout.FailedLost:
		if now.SystemVolumeID != "" {
			lie("the server is %s", told(now, exists))
		}
	case rollout.Vanished:
		if exists {
			lie("the server is %s", told(now, exists))
		}
	default:
		lie("there is no such end")
	}
}

// power holds the power state against what was asked for, unless the report owns up to trouble with it.
func (a Account) power(lie func(string, ...any), planned rollout.PlannedServer, s rollout.ServerProgress, now emulator.Server) {
	if strings.Contains(s.Reason, "its power is not as asked") {
		return
	}
	want := planned.Status
	if s.End == rollout.Done {
		switch a.Plan.Change.Power {
		case rollout.PowerOn:
			want = rollout.StatusActive
		case rollout.PowerOff:
			want = rollout.StatusShutoff
		}
		if want == rollout.StatusError {
			want = rollout.StatusActive
		}
	}
	if now.Status != want {
		lie("the server is %s and should be %s", told(now, true), want)
	}
}

// saysDoubt is true for a reason that claims nothing: what happened could not be found out.
func saysDoubt(reason string) bool {
	for _, doubt := range []string{"may still come", "in doubt", "could not be looked at", "still works on it"} {
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
