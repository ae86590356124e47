package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

// text writes the report for people. Times are in UTC.
func (r Report) text(w io.Writer) error {
	var b strings.Builder
	safetext.Fprintf(&b, "Rollout %s: %s\n\n", r.Name, r.verdict())
	r.summary(&b)
	r.waves(&b)
	r.underWay(&b)
	r.failures(&b)
	r.restored(&b)
	r.again(&b)
	r.unchanged(&b)
	r.who(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) summary(b *strings.Builder) {
	row := func(name, value string) {
		if value != "" {
			safetext.Fprintf(b, "  %-10s %s\n", name, value)
		}
	}
	row("reason", r.Reason)
	row("image", strings.TrimSpace(r.ImageName+" "+bracketed(r.ImageID)))
	row("cloud", rollout.Cloud(r.Profile, r.Project, r.Edition))
	row("started", cmp.Or(moment(r.StartedAt), "never")+by(r.StartedBy))
	if r.EndedAt.IsZero() {
		row("now", moment(r.MadeAt)+": "+r.Why)
	} else {
		row("ended", fmt.Sprintf("%s, after %s", moment(r.EndedAt), r.EndedAt.Sub(r.StartedAt).Round(time.Second)))
		row("note", r.note())
	}
	c := r.Counts
	row("servers", fmt.Sprintf("%d: %s", c.Servers, c))
	row("failures", fmt.Sprintf("%d counted, %d tolerated", r.Failed, r.Tolerated))
	if n := r.count(func(s rollout.ServerProgress) bool { return s.Accepted }); n > 0 {
		row("accepted", fmt.Sprintf("%d, which do not count", n))
	}
	row("rollback", r.rollback())
}

// note is what the rollout says of its end beyond the word for it.
func (r Report) note() string {
	if bare := "ended: " + string(r.End); r.Why != bare {
		return strings.TrimPrefix(r.Why, bare+", ")
	}
	return ""
}

// rollback says when and why changed servers began to get their previous image again, as far back as the log
// goes. Empty means that nothing is known of one.
func (r Report) rollback() string {
	for _, entry := range r.Log {
		if why, began := strings.CutPrefix(entry.What, "rolling back: "); began {
			return moment(entry.At) + ": " + why
		}
		if strings.HasPrefix(entry.What, "to be rolled back when resumed: ") {
			return moment(entry.At) + ": " + entry.What
		}
	}
	return ""
}

func (r Report) waves(b *strings.Builder) {
	safetext.Fprintf(b, "\nWaves\n")
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	for _, wave := range r.Waves {
		safetext.Fprintf(table, "  %s\t%s\t%s", wave.Name, rollout.Count(wave.Counts.Servers, "server"), wave.Counts)
		var notes []string
		if wave.BakeEndedBy != "" {
			notes = append(notes, "bake ended early by "+wave.BakeEndedBy)
		}
		if wave.ApprovedBy != "" {
			notes = append(notes, "approved by "+wave.ApprovedBy)
		}
		if len(notes) > 0 {
			safetext.Fprintf(table, "\t%s", strings.Join(notes, ", "))
		}
		safetext.Fprintf(table, "\n")
	}
	_ = table.Flush() // into memory
}

// underWay names the servers that had not ended, in flight or held by another workflow.
func (r Report) underWay(b *strings.Builder) {
	begun := func(s rollout.ServerProgress) bool { return s.State != rollout.Ended && s.State != rollout.Pending }
	if r.count(begun) == 0 {
		return
	}
	safetext.Fprintf(b, "\nServers that had not ended\n")
	for _, s := range r.Servers {
		if begun(s) {
			safetext.Fprintf(b, "  %s (%s), wave %s: %s since %s\n", s.Name, s.ID, s.Wave, s.State, cmp.Or(moment(s.StartedAt), "?"))
		}
	}
}

func (r Report) failures(b *strings.Builder) {
	if r.count(failed) == 0 {
		if r.End != "" && r.count(restored) == 0 { // what is rolled back may have failed first
			safetext.Fprintf(b, "\nNo server failed.\n")
		}
		return
	}
	safetext.Fprintf(b, "\nFailed servers\n")
	for _, s := range r.Servers {
		if !failed(s) {
			continue
		}
		safetext.Fprintf(b, "  %s (%s), wave %s: %s: %s\n", s.Name, s.ID, s.Wave, s.End, s.Reason)
		disks(b, s)
		safetext.Fprintf(b, "    attempts     %d, the last from %s to %s\n", s.Attempts, cmp.Or(moment(s.StartedAt), "?"), cmp.Or(moment(s.EndedAt), "?"))
		if s.Accepted {
			safetext.Fprintf(b, "    accepted     it does not count\n")
		}
	}
}

// disks are the image and the system disk of the plan, and those that the server showed last.
func disks(b *strings.Builder, s rollout.ServerProgress) {
	safetext.Fprintf(b, "    image        %s -> %s\n", s.Before.ImageID, cmp.Or(s.After.ImageID, "not looked at"))
	without := "none"
	if s.After.ImageID == "" {
		without = "not looked at"
	}
	safetext.Fprintf(b, "    system disk  %s -> %s\n", s.Before.VolumeID, cmp.Or(s.After.VolumeID, without))
}

// restored names the servers that were rolled back: they have the image from before, and nothing of what was
// on their disks.
func (r Report) restored(b *strings.Builder) {
	if r.count(restored) == 0 {
		return
	}
	safetext.Fprintf(b, "\nServers that have their previous image again, on a new system disk: what was on the disks before is lost\n")
	for _, s := range r.Servers {
		if restored(s) {
			safetext.Fprintf(b, "  %s (%s), wave %s: %s: %s\n", s.Name, s.ID, s.Wave, s.End, s.Reason)
			disks(b, s)
		}
	}
}

// again names the servers that failed at first, and were tried again at the word of an operator.
func (r Report) again(b *strings.Builder) {
	again := func(s rollout.ServerProgress) bool { return s.Attempts > 1 && !s.RollingBack && !failed(s) }
	if r.count(again) == 0 {
		return
	}
	safetext.Fprintf(b, "\nServers that were tried more than once\n")
	for _, s := range r.Servers {
		if again(s) {
			safetext.Fprintf(b, "  %s (%s), wave %s: %d attempts, %s\n", s.Name, s.ID, s.Wave, s.Attempts, cmp.Or(string(s.End), string(s.State)))
		}
	}
}

// unchanged names the servers that were left as they were without having failed.
func (r Report) unchanged(b *strings.Builder) {
	left := func(s rollout.ServerProgress) bool {
		return s.State == rollout.Ended && s.End != rollout.Done && !failed(s) && !restored(s)
	}
	if r.count(left) == 0 {
		return
	}
	safetext.Fprintf(b, "\nServers that were not changed\n")
	for _, s := range r.Servers {
		if left(s) {
			safetext.Fprintf(b, "  %s (%s), wave %s: %s: %s\n", s.Name, s.ID, s.Wave, s.End, s.Reason)
		}
	}
}

func (r Report) who(b *strings.Builder) {
	if len(r.Log) == 0 {
		return
	}
	safetext.Fprintf(b, "\nWho did what\n")
	for _, entry := range r.Log {
		safetext.Fprintf(b, "  %s  %s: %s\n", moment(entry.At), cmp.Or(entry.By, "reimage"), entry.What)
	}
}

func (r Report) count(is func(rollout.ServerProgress) bool) int {
	n := 0
	for _, s := range r.Servers {
		if is(s) {
			n++
		}
	}
	return n
}

// failed is true for every failure, accepted or not.
func failed(s rollout.ServerProgress) bool {
	return s.State == rollout.Ended && s.End.Failed() && s.Attempts > 0
}

func restored(s rollout.ServerProgress) bool {
	return s.State == rollout.Ended && s.End == rollout.Restored
}

func bracketed(id string) string {
	if id == "" {
		return ""
	}
	return "(" + id + ")"
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}
