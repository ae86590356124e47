package progressview

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/reimage/reimage/internal/safetext"
)

// colour is the code of a terminal's colour; empty is the terminal's own.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	faint  colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	cyan   colour = "36"
)

// span is a piece of a line in one colour.
type span struct {
	text   string
	colour colour
}

type line []span

func text(parts ...string) line { return line{{text: strings.Join(parts, "")}} }

func (l line) add(c colour, parts ...string) line {
	return append(l, span{strings.Join(parts, ""), c})
}

// render cuts the line at so many columns and writes it; zero columns means no limit.
func (l line) render(columns int, colours bool) string {
	var out strings.Builder
	for i, s := range l {
		shown := safetext.Line(s.text)
		if i == len(l)-1 {
			shown = strings.TrimRight(shown, " ")
		}
		cutOff := columns > 0 && columnsOf(shown) > columns
		if cutOff {
			shown = cut(shown, columns)
		}
		if colours && s.colour != plain && shown != "" {
			out.WriteString("\x1b[" + string(s.colour) + "m" + shown + "\x1b[0m")
		} else {
			out.WriteString(shown)
		}
		if columns > 0 {
			if columns -= columnsOf(shown); cutOff || columns <= 0 {
				break
			}
		}
	}
	return out.String()
}

// columnsOf is how wide a terminal shows the text.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOfRune(r)
	}
	return n
}

func columnsOfRune(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens the text to so many columns and shows that it did.
func cut(s string, columns int) string {
	if columnsOf(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += columnsOfRune(r); n > columns-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// pad fills the text up to so many columns, and cuts it when it is longer.
func pad(s string, columns int) string {
	s = cut(safetext.Line(s), columns)
	return s + strings.Repeat(" ", max(0, columns-columnsOf(s)))
}

// bar shows a share of the whole in so many columns. Only the whole fills it, and only nothing leaves it empty.
func bar(part, whole, columns int) string {
	full := 0
	if whole > 0 {
		full = min(part, whole) * columns / whole
		if part > 0 {
			full = max(full, 1)
		}
	}
	return strings.Repeat("█", full) + strings.Repeat("░", columns-full)
}

// short writes a time the way a watch shows it: 42s, 3m07s, 2h05m, 3d04h.
func short(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	switch {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return two(int(d/time.Minute), "m", int(d%time.Minute/time.Second), "s")
	case d < 24*time.Hour:
		return two(int(d/time.Hour), "h", int(d%time.Hour/time.Minute), "m")
	}
	return two(int(d/(24*time.Hour)), "d", int(d%(24*time.Hour)/time.Hour), "h")
}
