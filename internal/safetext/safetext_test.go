package safetext_test

import (
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
