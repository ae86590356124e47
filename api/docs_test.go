package api_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEmbeddingShowsTheExample: the Go of the page stands in examples/runbook, which the end-to-end tests run.
func TestEmbeddingShowsTheExample(t *testing.T) {
	files, err := filepath.Glob("../examples/runbook/*.go")
	require.NoError(t, err)
	var example strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		example.Write(content)
	}
	page, err := os.ReadFile("../docs/embedding.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, strings.Count(string(page), "```go"))
	assert.GreaterOrEqual(t, len(blocks), 5)
	for _, block := range blocks {
		assert.True(t, strings.Contains(example.String(), block[1]), "the example does not have:\n%s", block[1])
	}
}
