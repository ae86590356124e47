// Package safetext makes text that comes from a cloud or from other operators safe to show.
package safetext

import (
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
