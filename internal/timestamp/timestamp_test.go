package timestamp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/timestamp"
)

func TestTimesAreInUTC(t *testing.T) {
	at := time.Date(2026, 12, 1, 0, 30, 5, 999, time.FixedZone("CET", 3600))
	assert.Equal(t, "2026-11-30T23:30:05Z", timestamp.Full(at))
	assert.Equal(t, "23:30:05Z", timestamp.Clock(at))
	assert.Equal(t, "23:30:05Z", timestamp.Short(at, at.Add(-time.Hour)))
	assert.Equal(t, "2026-11-30T23:30:05Z", timestamp.Short(at, at.Add(time.Hour)), "it is the next day in UTC")
	assert.Empty(t, timestamp.Full(time.Time{}))
}

// TestOneClock: what people read has no time of another clock. No other code of the command and of its views formats one.
func TestOneClock(t *testing.T) {
	for _, folder := range []string{"starter", "internal/progressview", "internal/planview", "internal/report", "internal/doctorview"} {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && filepath.Base(file) != "junit.go" { // its format has a form of its own
				assert.Empty(t, formatsTimes(t, file), "%s: use package timestamp", file)
			}
		}
	}
}

// formatsTimes are the places that name a layout of package time, or local time.
func formatsTimes(t *testing.T, file string) (found []string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	tree, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
	require.NoError(t, err)
	ast.Inspect(tree, func(n ast.Node) bool {
		selected, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := selected.Sel.Name; name {
		case "Local", "TimeOnly", "DateTime", "DateOnly", "RFC3339":
			found = append(found, name)
		}
		return true
	})
	return found
}
