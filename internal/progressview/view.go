// Package progressview shows people the progress of a rollout: as a frame of a terminal that is drawn again
// and again, and as one line for each change where there is no terminal.
package progressview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// View is what is shown.
type View struct {
	Progress rollout.Progress
	// Status is where servers in flight are, by id, as far as they were asked.
	Status map[string]api.Status
	// Outlook is what may still come of the changes of the Unseen, by id, as far as that was asked.
	Outlook map[string]Outlook
	// Now is the present time.
	Now time.Time
	// Notice is said first when it is not empty: that nobody answers, for instance.
	Notice string
}

// Style is how it is shown.
type Style struct {
	// Width in columns that no line exceeds, and Height in lines that no frame exceeds unless its head and the
	// next commands alone do.
	// Zero means no limit.
	Width, Height int
	Colours       bool
}

// Frame draws everything at once, a line per element.
func Frame(v View, s Style) []string {
	v.Progress.InFlight = slices.Clone(v.Progress.InFlight)
	slices.SortStableFunc(v.Progress.InFlight, func(a, b rollout.ServerProgress) int { return a.StartedAt.Compare(b.StartedAt) })
	head, gauges, next := &section{lines: v.head()}, &section{lines: v.gauges(s)}, &section{lines: v.next()}
	waves, inFlight, failures, log := v.waves(s), v.inFlight(), v.failures(s), v.log()
	sections := []*section{head, gauges, waves, inFlight, failures, log, next}
	// How it stands and what to type next is what a frame is for.
	fit(sections, []*section{log, waves, inFlight, failures, gauges}, s.Height)
	var frame []string
	for _, section := range sections {
		for _, l := range section.shown() {
			frame = append(frame, l.render(s.Width, s.Colours))
		}
	}
	return frame
}

func (v View) head() []line {
	p := v.Progress
	state, c := state(p)
	title := text("rollout ").add(bold, p.Name).add(plain, "  ").add(c, state)
	var about []string
	if !p.StartedAt.IsZero() {
		end := v.Now
		if !p.EndedAt.IsZero() {
			end = p.EndedAt
		}
		title = title.add(faint, "  "+short(end.Sub(p.StartedAt)))
		about = append(about, "started "+v.clock(p.StartedAt)+prefixed(" by ", p.StartedBy))
	}
	if p.ImageName != "" {
		about = append(about, "image "+p.ImageName)
	}
	if p.Reason != "" {
		about = append(about, p.Reason)
	}
	if cloud := rollout.Cloud(p.Profile, p.Project, p.Edition); cloud != "" {
		about = append(about, cloud)
	}
	lines := []line{title}
	if len(about) > 0 {
		lines = append(lines, line{}.add(faint, strings.Join(about, " · ")))
	}
	if p.Why != "" && p.Why != "ended: "+string(p.End) {
		lines = append(lines, line{}.add(c, p.Why))
	}
	if v.Notice != "" {
		lines = append(lines, line{}.add(yellow, v.Notice))
	}
	return append(lines, line{})
}

// state is the phase in capitals, or the end; a rollout that waits for a human says so.
func state(p rollout.Progress) (string, colour) {
	switch {
	case p.End == rollout.Completed:
		return "COMPLETED", green
	case p.Phase == rollout.PhaseEnded:
		return strings.ToUpper(strings.ReplaceAll(string(p.End), "-", " ")), red
	case p.NeedsHuman && p.Phase == rollout.PhaseRunning:
		return "WAITS FOR A HUMAN", yellow
	case p.Phase == rollout.PhaseRunning:
		return "RUNNING", cyan
	}
	return strings.ToUpper(strings.ReplaceAll(string(p.Phase), "-", " ")), yellow
}

// clock leaves the day out when it is today.
func (v View) clock(t time.Time) string { return timestamp.Short(t, v.Now) }

func two(a int, unitA string, b int, unitB string) string {
	return fmt.Sprintf("%d%s%02d%s", a, unitA, b, unitB)
}
