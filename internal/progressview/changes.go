package progressview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// Changes tells what is new since before, a line for each change. The first time
// before is the zero Progress. Nothing is told twice: the log of the rollout has failures and states too.
func Changes(before, after rollout.Progress, now time.Time) []string {
	var lines []string
	say := func(at time.Time, format string, args ...any) {
		lines = append(lines, timestamp.Clock(at)+"  "+safetext.Line(fmt.Sprintf(format, args...)))
	}
	failed, stands := newFailures(before, after), newStanding(before, after)
	sayFailed := func(at time.Time, s rollout.ServerProgress) {
		say(at, "failed: %s (%s) is %s: %s", called(s), s.ID, s.End, s.Reason)
	}
	entries, whole := newEntries(before.Log, after.Log)
	if !whole {
		say(now, "log: some entries are left out; see: reimage report %s", Word(after.Name))
	}
	for _, entry := range entries {
		tells := func(s rollout.ServerProgress) bool {
			return entry.What == fmt.Sprintf("%s: %s: %s", called(s), s.End, s.Reason)
		}
		at := slices.IndexFunc(failed, tells)
		switch {
		case entry.By != "":
			say(entry.At, "log: %s: %s", entry.By, entry.What)
		case at >= 0:
			sayFailed(entry.At, failed[at])
			failed = slices.Delete(failed, at, at+1)
		case stands != "" && strings.HasPrefix(stands, entry.What): // comes last
		default:
			say(entry.At, "log: %s", entry.What)
		}
	}
	if started := newcomers(before.InFlight, after.InFlight); len(started) > 0 {
		say(now, "in flight: %s", strings.Join(started, ", "))
	}
	for _, s := range failed {
		sayFailed(now, s)
	}
	if more := after.Failed - len(after.Failures); more > 0 && after.Failed > before.Failed {
		say(now, "failed: %d servers, of which %d are not named; see: reimage report %s", after.Failed, more, Word(after.Name))
	}
	v := View{Progress: after, Now: now}
	for i, wave := range after.Waves {
		var old rollout.WaveProgress
		if i < len(before.Waves) {
			old = before.Waves[i]
		}
		moved := wave.Counts != old.Counts && (wave.Counts.Pending != wave.Counts.Servers || old.Counts.Servers > 0)
		if note := v.waveNote(wave); moved || note != "" && note != (View{Progress: before, Now: now}).waveNote(old) {
			say(now, "wave %s: %s%s", wave.Name, wave.Counts, prefixed(", ", note))
		}
	}
	if stands != "" {
		say(now, "%s", stands)
	}
	return lines
}

// Unpaid names, a line each, the servers in flight of which it is new that their changes wait to be paid.
func Unpaid(before, after View) []string {
	var lines []string
	for _, s := range after.Progress.InFlight {
		if status := after.Status[s.ID]; status.AwaitsPayment() && !before.Status[s.ID].AwaitsPayment() {
			lines = append(lines, fmt.Sprintf("%s  unpaid: %s (%s) begins when its order is paid: pay it in the cloud's console, or cancel it there%s",
				timestamp.Clock(after.Now), safetext.Line(called(s)), s.ID, after.until(status.Deadline)))
		}
	}
	return lines
}

// until says when a change that does not begin is judged, if that is known.
func (v View) until(deadline time.Time) string {
	if deadline.IsZero() {
		return ""
	}
	return "; it is judged at " + v.clock(deadline)
}

// newFailures are the servers that had not failed before, or fewer times.
func newFailures(before, after rollout.Progress) []rollout.ServerProgress {
	var failed []rollout.ServerProgress
	for _, s := range after.Failures {
		known := func(old rollout.ServerProgress) bool { return old.ID == s.ID && old.Attempts == s.Attempts }
		if !slices.ContainsFunc(before.Failures, known) {
			failed = append(failed, s)
		}
	}
	return failed
}

// newStanding is how the rollout stands, if that is new. The numbers of a wave that moves are told by its own line;
// whom it waits for is not.
func newStanding(before, after rollout.Progress) string {
	if after.Phase == before.Phase && after.Why == before.Why && after.NeedsHuman == before.NeedsHuman {
		return ""
	}
	if after.Phase == rollout.PhaseRunning && !after.NeedsHuman && strings.HasPrefix(after.Why, "wave ") && !strings.Contains(after.Why, ": waits for ") {
		return ""
	}
	return standing(after)
}

// standing is the state and the reason for it, which mostly begins with the state.
func standing(p rollout.Progress) string {
	label, _ := state(p)
	if label = strings.ToLower(label); p.Phase == rollout.PhaseEnded || strings.HasPrefix(p.Why, label) {
		return p.Why
	}
	return label + prefixed(": ", p.Why)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// newEntries are the log entries after the last one that was known. Both logs keep the last few only, so when
// that one is missing others may be, and the new ones are not the whole.
func newEntries(before, after []rollout.LogEntry) (entries []rollout.LogEntry, whole bool) {
	if len(before) == 0 || len(after) == 0 {
		return after, true
	}
	for i := len(after) - 1; i >= 0; i-- {
		if last := before[len(before)-1]; after[i].At.Equal(last.At) && after[i].What == last.What && after[i].By == last.By {
			return after[i+1:], true
		}
	}
	return after, false
}

// mostNames is how many servers a line names.
const mostNames = 10

// newcomers names the servers that were not in flight before.
func newcomers(before, after []rollout.ServerProgress) []string {
	known := make(map[string]int, len(before))
	for _, s := range before {
		known[s.ID] = s.Attempts
	}
	var names []string
	for _, s := range after {
		if attempts, ok := known[s.ID]; !ok || attempts != s.Attempts {
			names = append(names, called(s))
		}
	}
	if more := len(names) - mostNames; more > 0 {
		names = append(names[:mostNames:mostNames], fmt.Sprintf("%d more", more))
	}
	return names
}
