package progressview

import (
	"fmt"
	"strings"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

// gaugeWidth is the width of a bar on a terminal that is wide enough.
const gaugeWidth = 30

func (s Style) gauge() int {
	if s.Width == 0 {
		return gaugeWidth
	}
	return max(5, min(gaugeWidth, s.Width/5))
}

func (v View) gauges(s Style) []line {
	p, w := v.Progress, s.gauge()
	c := p.Counts
	ended, how := c.Ended(), ""
	if ended > 0 { // what has not ended is told by slots and waves
		c.InFlight, c.Soaking, c.Pending = 0, 0, 0
		how = ": " + c.String()
	}
	lines := []line{
		text("servers   ").add(green, bar(ended, c.Servers, w)).add(plain, fmt.Sprintf("  %d of %d ended", ended, c.Servers), how),
	}
	if p.Phase != rollout.PhaseEnded {
		slots := fmt.Sprintf("  %d/%d", p.Slots, p.SlotsCap)
		if p.SlotsHeldFailed > 0 {
			slots += fmt.Sprintf(", %d held by failed servers", p.SlotsHeldFailed)
		}
		if p.SlotsHeldDown > 0 {
			slots += fmt.Sprintf(", %d by servers that are down for another reason", p.SlotsHeldDown)
		}
		if p.SlotsMost > 0 {
			slots += fmt.Sprintf(", at most %d because of %s", p.SlotsMost, p.SlotsHeldBy)
		}
		lines = append(lines, text("slots     ").add(cyan, bar(p.Slots, p.SlotsCap, w)).add(plain, slots))
	}
	colour, failures := yellow, fmt.Sprintf("  %d of %d tolerated", p.Failed, p.Tolerated)
	if p.Failed > p.Tolerated {
		colour, failures = red, fmt.Sprintf("  %d, more than the %d tolerated", p.Failed, p.Tolerated)
	}
	if p.Counts.Accepted > 0 {
		failures += fmt.Sprintf(", and %d accepted, which do not count", p.Counts.Accepted)
	}
	lines = append(lines, text("failures  ").add(colour, bar(p.Failed, max(p.Tolerated, p.Failed), w)).add(plain, failures))
	if !p.Deadline.IsZero() && p.Phase != rollout.PhaseEnded {
		lines = append(lines, text("deadline  ", v.clock(p.Deadline), ", in ", short(p.Deadline.Sub(v.Now))))
	}
	return append(lines, line{})
}

func (v View) waves(s Style) *section {
	var items [][]line
	focus, name := 0, longestName(v.Progress.Waves)
	for i, wave := range v.Progress.Waves {
		c := wave.Counts
		ended := c.Ended()
		mark, colour := "  ", faint
		switch {
		case wave.Current:
			mark, colour, focus = "> ", bold, i
		case ended == c.Servers:
			mark, colour = "+ ", plain
		}
		l := line{}.add(colour, mark, pad(wave.Name, name), "  ").add(green, bar(ended, c.Servers, s.gauge()/2))
		l = l.add(plain, "  ").add(plain, c.String())
		if note := v.waveNote(wave); note != "" {
			l = l.add(yellow, ", ", note)
		}
		items = append(items, []line{l})
	}
	section := newSection("waves", items)
	section.focus = focus
	return section
}

func (v View) waveNote(w rollout.WaveProgress) string {
	switch {
	case w.AwaitsApproval:
		return "waits for approval"
	case !w.BakeUntil.IsZero():
		return fmt.Sprintf("bakes for %s (until %s)", short(w.BakeUntil.Sub(v.Now)), v.clock(w.BakeUntil))
	}
	var notes []string
	if w.BakeEndedBy != "" {
		notes = append(notes, "bake ended early by "+w.BakeEndedBy)
	}
	if w.ApprovedBy != "" {
		notes = append(notes, "approved by "+w.ApprovedBy)
	}
	return strings.Join(notes, ", ")
}

// widestName is where a column of names ends, however long they are.
const widestName = 28

func longestName(waves []rollout.WaveProgress) int {
	longest := 0
	for _, w := range waves {
		longest = max(longest, min(widestName, columnsOf(safetext.Line(w.Name))))
	}
	return longest
}

func widest(servers []rollout.ServerProgress) int {
	longest := 0
	for _, s := range servers {
		longest = max(longest, min(widestName, columnsOf(safetext.Line(called(s)))))
	}
	return longest
}

func (v View) inFlight() *section {
	var items [][]line
	name := widest(v.Progress.InFlight)
	for _, s := range v.Progress.InFlight {
		l := text("  ", pad(called(s), name), "  ").add(cyan, pad(v.step(s), 16)).add(plain, "  ", pad(short(v.Now.Sub(s.StartedAt)), 6))
		if s.RollingBack {
			l = l.add(yellow, "  back to its previous image")
		}
		if v.Status[s.ID].AwaitsPayment() {
			l = l.add(yellow, "  unpaid: pay or cancel its order", v.until(v.Status[s.ID].Deadline))
		}
		if s.Attempts > 1 {
			l = l.add(yellow, fmt.Sprintf("  attempt %d", s.Attempts))
		}
		if s.Zone != "" {
			l = l.add(faint, "  ", s.Zone)
		}
		if trouble := v.Status[s.ID].Trouble; trouble != "" {
			l = l.add(yellow, "  tried again after: ", trouble)
		}
		items = append(items, []line{l})
	}
	return newSection("in flight", items)
}

// step is where a server is and for how long.
func (v View) step(s rollout.ServerProgress) string {
	if s.State == rollout.Soaking {
		return "soak"
	}
	at := v.Status[s.ID].Now()
	if at.Step == "" {
		return "in flight"
	}
	return fmt.Sprintf("%-6s %s", at.Step, short(v.Now.Sub(at.At)))
}

func (v View) failures(style Style) *section {
	var items [][]line
	name := widest(v.Progress.Failures)
	for _, s := range v.Progress.Failures {
		items = append(items, []line{
			text("  ", pad(called(s), name), "  ").add(red, pad(string(s.End), 14)).add(plain, "  ", s.Reason),
			line{}.add(faint, "      -> ").add(plain, v.remedy(s, style.Width-9)),
		})
	}
	title := "failures"
	if more := v.Progress.Failed - len(items); more > 0 && len(items) > 0 {
		title += fmt.Sprintf(", the first %d of %d", len(items), v.Progress.Failed)
	}
	return newSection(title, items)
}

func (v View) log() *section {
	var items [][]line
	for _, entry := range v.Progress.Log {
		by := entry.By
		if by == "" {
			by = "reimage"
		}
		items = append(items, []line{line{}.add(faint, "  ", v.clock(entry.At), "  ", pad(by, 10), "  ").add(plain, entry.What)})
	}
	section := newSection("log", items)
	section.focus = len(items)
	return section
}

func called(s rollout.ServerProgress) string {
	if s.Name == "" {
		return s.ID
	}
	return s.Name
}
