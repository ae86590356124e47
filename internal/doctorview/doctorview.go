// Package doctorview writes the findings of the doctor for people: one line for each check, and below it what is
// to be done. With several workers, the findings of each have a heading.
package doctorview

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
)

// width is the longest line, in characters. A word that is longer stays whole.
const width = 120

// Print writes every finding, and how many there are of each kind.
func Print(w io.Writer, findings []api.Finding) error {
	column := 0
	for _, f := range findings {
		column = max(column, utf8.RuneCountInString(f.Check))
	}
	var text strings.Builder
	indent := strings.Repeat(" ", len(verdict(api.CheckSkipped))+column+4)
	worker, several := "", SeveralWorkers(findings)
	for _, f := range findings {
		if several && f.Worker != worker && f.Worker != "" {
			worker = f.Worker
			fmt.Fprintf(&text, "\nworker %s\n", safetext.Line(worker))
		}
		fmt.Fprintf(&text, "%s  %-*s  %s\n", verdict(f.Verdict), column, safetext.Line(f.Check), wrapped(f.Seen, indent, ""))
		if f.Fix != "" {
			fmt.Fprintf(&text, "%s%s\n", indent, wrapped("-> "+f.Fix, indent, "   "))
		}
	}
	fmt.Fprintf(&text, "\n%d checks: %d ok, %d failed, %d skipped\n", len(findings),
		count(findings, api.CheckOK), count(findings, api.CheckFailed), count(findings, api.CheckSkipped))
	_, err := io.WriteString(w, text.String())
	return err
}

// SeveralWorkers is true when the findings are of more than one worker.
func SeveralWorkers(findings []api.Finding) bool {
	first := ""
	for _, f := range findings {
		first = cmp.Or(first, f.Worker)
		if f.Worker != "" && f.Worker != first {
			return true
		}
	}
	return false
}

// verdict is as wide as its column. What failed stands out.
func verdict(v api.Verdict) string {
	word := safetext.Line(string(v))
	if v == api.CheckFailed {
		word = "FAILED"
	}
	return fmt.Sprintf("%-7s", word)
}

// wrapped breaks a text between words. What does not fit goes below its beginning, and is indented by hang more.
func wrapped(text, indent, hang string) string {
	var out strings.Builder
	used := len(indent)
	for i, word := range strings.Fields(safetext.Line(text)) {
		long := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+long > width:
			out.WriteString("\n" + indent + hang)
			used = len(indent) + len(hang)
		default:
			out.WriteString(" ")
			used++
		}
		out.WriteString(word)
		used += long
	}
	return out.String()
}

func count(findings []api.Finding, v api.Verdict) int {
	n := 0
	for _, f := range findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}
