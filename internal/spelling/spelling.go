// Package spelling writes a text in the ways in which services repeat what they were sent, and looks for a secret in any of
// them. It is for the emulated cloud and for tests: reimage itself never looks for secrets, it keeps no text that may hold one.
package spelling

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Of is the spelling of that name, nil for none.
func Of(name string) func(text string) string { return spellings()[name] }

// Names are those of all spellings, in order.
func Names() []string { return slices.Sorted(maps.Keys(spellings())) }

func spellings() map[string]func(string) string {
	return map[string]func(string) string{
		"plain":            func(text string) string { return text },
		"json":             quoted,
		"json twice":       func(text string) string { return quoted(quoted(text)) },
		"json codes":       func(text string) string { return each(text, func(b byte) string { return fmt.Sprintf(`\u%04x`, b) }) },
		"query":            url.QueryEscape,
		"javascript":       javaScript,
		"javascript lower": func(text string) string { return lowerEscapes(javaScript(text)) },
		"percent":          func(text string) string { return each(text, func(b byte) string { return fmt.Sprintf("%%%02X", b) }) },
		"html":             html.EscapeString,
		"html decimal":     func(text string) string { return each(text, func(b byte) string { return fmt.Sprintf("&#%d;", b) }) },
		"html hex":         func(text string) string { return each(text, func(b byte) string { return fmt.Sprintf("&#x%x;", b) }) },
		"base64":           func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64 url":       func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) },
		"base64 lines":     func(text string) string { return lines(base64.StdEncoding.EncodeToString([]byte(text)), 76) },
		"hex":              func(text string) string { return hex.EncodeToString([]byte(text)) },
		"hex upper":        func(text string) string { return strings.ToUpper(hex.EncodeToString([]byte(text))) },
		"utf16":            utf16LE,
		"utf16 hex":        func(text string) string { return hex.EncodeToString([]byte(utf16LE(text))) },
		"other case":       otherCase,
		"lines":            func(text string) string { return lines(text, 7) },
		"spaced":           func(text string) string { return strings.Join(strings.Split(text, ""), " ") },
		"backwards":        backwards,
	}
}

// In looks for a secret, which has to be ASCII, in all spellings, also for a piece of it, and without regard to blanks and case. It
// returns the name of the spelling that was found, or nothing.
func In(text, secret string) (name string, found bool) {
	squeezed := squeeze(text)
	for _, name := range Names() {
		for _, spelt := range aligned(name, secret) {
			if hasPiece(squeezed, squeeze(spelt)) {
				return name, true
			}
		}
	}
	return "", false
}

// pieceSize is how many characters of a spelling count as the secret.
const pieceSize = 12

func hasPiece(text, spelt string) bool {
	size := min(pieceSize, len(spelt))
	for i := 0; size > 0 && i+size <= len(spelt); i++ {
		if strings.Contains(text, spelt[i:i+size]) {
			return true
		}
	}
	return false
}

// aligned is what a secret looks like, also in the middle of a longer text in base64.
func aligned(name, secret string) []string {
	spelt := []string{Of(name)(secret)}
	if !strings.HasPrefix(name, "base64") {
		return spelt
	}
	for before := range 3 {
		text := strings.Repeat("x", before) + secret
		text = text[:len(text)/3*3]
		spelt = append(spelt, Of(name)(text)[(before*8+5)/6:])
	}
	return spelt[1:]
}

func squeeze(text string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == 0 {
			return -1
		}
		return r
	}, text))
}

func each(text string, spell func(byte) string) string {
	var out strings.Builder
	for i := range len(text) {
		out.WriteString(spell(text[i]))
	}
	return out.String()
}

func quoted(text string) string {
	out, _ := json.Marshal(text) // a string always has a JSON form
	return string(out[1 : len(out)-1])
}

// javaScript is encodeURIComponent.
func javaScript(text string) string {
	return each(text, func(b byte) string {
		if b < 0x80 && (unicode.IsLetter(rune(b)) || unicode.IsDigit(rune(b)) || strings.IndexByte("-_.!~*'()", b) >= 0) {
			return string(rune(b))
		}
		return fmt.Sprintf("%%%02X", b)
	})
}

func lowerEscapes(text string) string {
	parts := strings.Split(text, "%")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToLower(parts[i][:2]) + parts[i][2:]
	}
	return strings.Join(parts, "%")
}

func lines(text string, columns int) string {
	var out strings.Builder
	for len(text) > columns {
		out.WriteString(text[:columns] + "\r\n")
		text = text[columns:]
	}
	return out.String() + text
}

func utf16LE(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

func otherCase(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, text)
}

func backwards(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}
