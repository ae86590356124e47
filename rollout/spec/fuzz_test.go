package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/spec"
)

// FuzzParse reads anything. What is refused is refused with a place; what is read comes out the same when
// it is written and read again, and stays valid with its defaults.
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
	f.Fuzz(func(t *testing.T, content []byte) {
		doc, err := spec.Parse("fuzz.yaml", content)
		if err != nil {
			var problems spec.Problems
			require.ErrorAs(t, err, &problems)
			for _, problem := range problems {
				assert.Positive(t, problem.Line, problem)
				assert.Positive(t, problem.Column, problem)
				assert.NotEmpty(t, problem.Message)
			}
			return
		}
		require.NoError(t, doc.Validate())
		checkRewritten(t, doc)
		full := doc.WithDefaults()
		require.NoError(t, full.Validate())
		checkRewritten(t, full)
		if doc.Spec.Image.ID != "" {
			require.NoError(t, full.Spec.Change(doc.Spec.Image.ID).Validate())
		}
	})
}
