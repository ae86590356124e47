package spec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/allocs"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

// FuzzParse reads anything. What is refused is refused with a place; what is read comes out the same when
// it is written and read again, and stays valid with its defaults. It takes memory by its size: an alias is
// never followed.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, file := range append(files, example) {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "  waves: [{name: \"on\", count: 1}, {name: 0x1, upTo: 100%}]\n  soak: 1d1.5h\n"))
	f.Add([]byte(strings.Replace(minimal, "noble", "|\n    2026-01-01\n", 1)))
	f.Add([]byte(strings.Replace(minimal, "[role=web]", bomb, 1)))
	f.Add([]byte(strings.Replace(minimal, "noble", "\"\\e[2J\"", 1)))
	f.Add([]byte("\"\\e[2J\\u202e\": 1\n*\u202e"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var doc document.Rollout
		var err error
		assert.LessOrEqual(t, allocs.Of(func() { doc, err = spec.Parse("fuzz.yaml", content) }), uint64(1<<20+1024*len(content)))
		if err != nil {
			var problems spec.Problems
			require.ErrorAs(t, err, &problems)
			for _, problem := range problems {
				assert.Positive(t, problem.Line, problem)
				assert.Positive(t, problem.Column, problem)
				assert.LessOrEqual(t, problem.Line, bytes.Count(content, []byte("\n"))+2, problem)
				assert.NotEmpty(t, problem.Message)
				assertShowable(t, problem)
			}
			return
		}
		require.NoError(t, spec.Validate(doc))
		checkRewritten(t, doc)
		full := doc.WithDefaults()
		require.NoError(t, spec.Validate(full))
		checkRewritten(t, full)
		if doc.Spec.Image.ID != "" {
			require.NoError(t, full.Spec.Change(doc.Spec.Image.ID).Validate())
		}
	})
}

// bomb has a hundred million entries once its aliases are followed.
const bomb = "[&a [x,x,x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e], &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f], [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]]"

// FuzzInlineSecret writes a secret where a reference to one belongs. Whatever it is made of, no message
// repeats it.
func FuzzInlineSecret(f *testing.F) {
	for _, secret := range []string{
		"hunter2hunter2", "*hunter2hunter2", "&hunter2hunter2", "!hunter2hunter2", "!!hunter2hunter2 x", "%hunter2hunter2", "@hunter2hunter2", "`hunter2hunter2",
		"\"hunter2hunter2", "'hunter2hunter2", "[hunter2hunter2", "{hunter2hunter2", "{hunter2hunter2: x}", "hunter2: hunter2", "- hunter2hunter2", "|hunter2hunter2",
		">hunter2hunter2", "?hunter2hunter2", "? hunter2hunter2", "#hunter2hunter2", "env:hunter2hunter2", "file:hunter2hunter2", "12345678901234", "2026-01-01", "0x1234567890",
		"!<hunter2hunter2> x", "*hunter2hunter2 *", "!!binary hunter2hunter2", "!!int hunter2hunter2", "hunter2\thunter2", "hunter2hunter2: ]", "<<: *hunter2hunter2",
	} {
		f.Add(secret)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		if len(secret) < 8 || strings.ContainsAny(secret, "\n\r\u0085\u2028\u2029") {
			return // a line of its own is not in the place of the secret any more
		}
		for _, field := range []string{"login: {keyPair: k}\n  userDataFrom: ", "login:\n    passwordFrom: "} {
			_, err := spec.Parse("fuzz.yaml", []byte(minimal+"  "+field+secret+"\n"))
			if err == nil {
				continue // a reference
			}
			_, without := spec.Parse("fuzz.yaml", []byte(minimal+"  "+field+strings.Repeat("x", len(secret))+"\n"))
			require.Error(t, without)
			if !strings.Contains(without.Error(), secret) { // a word that the message has anyway
				assert.NotContains(t, err.Error(), secret)
			}
		}
	})
}

// assertShowable checks a message that people are shown: it is short and has nothing that steers a terminal.
func assertShowable(t *testing.T, problem spec.Problem) {
	t.Helper()
	text := problem.String()
	assert.True(t, utf8.ValidString(text), "%q", text)
	assert.Less(t, len(text), 2000, "%q", text)
	assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
}
