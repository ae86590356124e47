// Package safetext makes text that comes from a cloud or from other operators safe to show.
package safetext

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Line makes one line of a text and takes out what could steer a terminal or turn its direction.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Lines is Line for a text of several lines, which stay lines.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Line(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Fprintf is fmt.Fprintf with every string among the arguments made one line. Whoever writes to a terminal or
// into memory has no use for the error.
func Fprintf(w io.Writer, format string, args ...any) {
	safe := make([]any, len(args))
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			arg = Line(text)
		}
		safe[i] = arg
	}
	fmt.Fprintf(w, format, safe...)
}
