package ecs

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxMessage bounds, in characters, what of an answer reaches an error.
	maxMessage = 300
	// maxError bounds, in characters, an error that is made of several such parts.
	maxError = 2000
	// minSecret is the shortest value, in bytes, that is searched for. Shorter ones would tear up every text.
	minSecret = 4
	// sharedRun is how many bytes in a row a text has to share with a secret to lose them: the cloud may
	// repeat user data in part.
	sharedRun = 12
	// ellipsis ends a text that was cut.
	ellipsis = "..."
)

// urlPassword matches what a URL holds before its host: a proxy's password, for instance.
var urlPassword = regexp.MustCompile(`://[^\s/@"]*@`)

// scrubber removes known secrets from texts. It prepares itself when it is first needed: most calls
// have nothing to report.
type scrubber struct {
	secrets  []string
	prepared bool
	values   []string            // every spelling of every secret, longest first
	runs     map[string]struct{} // every sharedRun bytes in a row of them
}

// newScrubber knows the secrets of the request, of the credentials, and what these put on the request.
func (c *Client) newScrubber(r request, req *http.Request) *scrubber {
	secrets := slices.Clone(r.secrets)
	if known, ok := c.credentials.(interface{ secrets() []string }); ok {
		secrets = append(secrets, known.secrets()...)
	}
	if req != nil {
		for _, name := range []string{"Authorization", "X-Auth-Token", "X-Security-Token"} {
			secrets = append(secrets, req.Header.Values(name)...)
		}
	}
	return &scrubber{secrets: secrets}
}

// Scrub makes a text of the cloud fit for a report, as is done with errors: one line of at most 300
// characters, without these secrets in any usual spelling or in part, and without the client's own
// credentials. It is for what an answer that is no error says, such as why a job failed.
func (c *Client) Scrub(text string, secrets ...Secret) string {
	return c.scrub(text, maxMessage, secrets)
}

// ScrubError is Scrub for the text of an Error and what was said around it, at most 2000 characters. What to do, and the request
// that the cloud's support asks for, are at its end.
func (c *Client) ScrubError(text string, secrets ...Secret) string {
	return c.scrub(text, maxError, secrets)
}

func (c *Client) scrub(text string, limit int, secrets []Secret) string {
	values := make([]string, len(secrets))
	for i, secret := range secrets {
		values[i] = secret.Reveal()
	}
	s := c.newScrubber(request{secrets: values}, nil)
	return s.clean(s.removeBeginnings(s.remove(text)), limit)
}

func (s *scrubber) prepare() {
	if s.prepared {
		return
	}
	s.prepared = true
	s.runs = map[string]struct{}{}
	for _, secret := range s.secrets {
		for _, form := range spellings(secret) {
			if len(form) >= minSecret && !slices.Contains(s.values, form) {
				s.values = append(s.values, form)
			}
		}
	}
	// Longest first, so that removing a part does not hide the whole.
	slices.SortStableFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range s.values {
		for i := 0; i+sharedRun <= len(value); i++ {
			s.runs[value[i:i+sharedRun]] = struct{}{}
		}
	}
}

// spellings are the forms in which an answer may repeat a secret.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always has a JSON form
	return []string{
		secret,
		strings.TrimSpace(secret),
		tidy(secret),
		strings.Trim(string(quoted), `"`),
		html.EscapeString(secret),
		url.QueryEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// clean removes secrets and control characters from a text and cuts it to so many characters. Secrets are
// removed twice: tidied, a text may spell one that it did not spell before.
func (s *scrubber) clean(text string, limit int) string {
	return cut(tidy(s.remove(tidy(s.remove(text)))), limit)
}

func (s *scrubber) remove(text string) string {
	s.prepare()
	for _, value := range s.values {
		text = strings.ReplaceAll(text, value, redacted)
	}
	return urlPassword.ReplaceAllString(s.removeRuns(text), "://"+redacted+"@")
}

// removeRuns redacts every stretch of the text that is made of pieces of a secret.
func (s *scrubber) removeRuns(text string) string {
	var out strings.Builder
	done := 0 // text[:done] is written or redacted
	for i := 0; i+sharedRun <= len(text); i++ {
		if _, shared := s.runs[text[i:i+sharedRun]]; !shared {
			continue
		}
		if i > done || done == 0 {
			out.WriteString(text[done:i] + redacted)
		}
		done = i + sharedRun
	}
	out.WriteString(text[done:])
	return out.String()
}

// removeBeginnings redacts what an earlier cut has left of a secret, when that is too short for a run.
func (s *scrubber) removeBeginnings(text string) string {
	parts := strings.SplitAfter(text, ellipsis)
	for i, part := range parts[:len(parts)-1] {
		kept := strings.TrimSuffix(part, ellipsis)
		for n := min(sharedRun-1, len(kept)); n >= minSecret; n-- {
			if s.begins(kept[len(kept)-n:]) {
				parts[i] = kept[:len(kept)-n] + redacted + ellipsis
				break
			}
		}
	}
	return strings.Join(parts, "")
}

// begins is true when a secret begins with the piece.
func (s *scrubber) begins(piece string) bool {
	return slices.ContainsFunc(s.values, func(value string) bool { return strings.HasPrefix(value, piece) })
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

func (s *scrubber) cleanError(err error) error {
	if err == nil {
		return nil
	}
	return &cleanError{text: s.clean(err.Error(), maxMessage), err: err}
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.err, target) }
