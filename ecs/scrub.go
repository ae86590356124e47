package ecs

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessage bounds, in characters, what of an answer reaches an error.
	maxMessage = 300
	// ellipsis ends a text that was cut.
	ellipsis = "..."
)

var (
	// urlPassword matches what a URL holds before its host: a proxy's password, for instance.
	urlPassword = regexp.MustCompile(`://[^\s/@"]*@`)
	// signatureHex matches a signature, which a gateway repeats when it does not accept it.
	signatureHex = regexp.MustCompile(`[0-9A-Fa-f]{64}`)
)

// clean makes one line of a text, without control characters, and cuts it to so many characters. It is for the text of answers
// to requests that carried no secret (withhold), and for errors of this machine.
func clean(text string, limit int) string {
	text = urlPassword.ReplaceAllString(tidy(text), "://"+redacted+"@")
	return cut(signatureHex.ReplaceAllString(text, redacted), limit)
}

// tidy turns control characters, line breaks and runs of spaces into single spaces.
func tidy(text string) string {
	text = strings.ToValidUTF8(text, "?")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + ellipsis
}

// cleanError keeps of an error a text without secrets, and what errors.Is finds in it. The error itself
// stays out of reach, because its own text may hold more.
type cleanError struct {
	text string
	err  error
}

func cleaned(err error) error {
	if err == nil {
		return nil
	}
	return &cleanError{text: clean(err.Error(), maxMessage), err: err}
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.err, target) }
