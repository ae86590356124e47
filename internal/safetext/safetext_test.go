package safetext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/safetext"
)

func TestLine(t *testing.T) {
	for hostile, shown := range map[string]string{
		"web-07":                   "web-07",
		"服务器 é ß":                  "服务器 é ß",
		"two\nlines\r\n\tand more": "two lines   and more",
		"\x1b[2Jgone\x07":          "[2Jgone",
		"\u009b31mred":             "31mred",
		"\u202egnp.exe\u200b":      "gnp.exe",
		"not \xff UTF-8":           "not \uFFFD UTF-8",
		"a\u2028b":                 "a b",
	} {
		assert.Equal(t, shown, safetext.Line(hostile))
	}
}

func TestLines(t *testing.T) {
	assert.Equal(t, "one\n  two three", safetext.Lines("one\x1b\n  two\tthree"))
}

func TestFprintf(t *testing.T) {
	var out strings.Builder
	safetext.Fprintf(&out, "%s: %d\n", "a\nb\u202e", 3)
	assert.Equal(t, "a b: 3\n", out.String())
}
