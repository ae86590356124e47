package spec_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

const manual = "../../docs/rollout.md"

// TestManualParses reads every YAML block. One that is not a whole document is taken for fields of spec.
func TestManualParses(t *testing.T) {
	for _, text := range examples(t) {
		if !strings.Contains(text, "apiVersion:") {
			text = completed(text)
		}
		doc := parse(t, text)
		assert.Empty(t, schemaFaults(t, text))
		assert.NoError(t, spec.Validate(doc.WithDefaults()))
	}
}

// examples are the YAML blocks of the manual.
func examples(t *testing.T) []string {
	var texts []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(read(t, manual)), -1) {
		texts = append(texts, block[1])
	}
	require.Greater(t, len(texts), 5)
	return texts
}

// TestManualShowsEveryField in a YAML block.
func TestManualShowsEveryField(t *testing.T) {
	shown := map[string]bool{}
	for _, text := range examples(t) {
		var fields any
		require.NoError(t, yaml.Unmarshal([]byte(text), &fields))
		path := "spec"
		if strings.Contains(text, "apiVersion:") {
			path = ""
		}
		for _, field := range leaves(fields, path) {
			shown[field] = true
		}
	}
	for _, field := range fieldPaths() {
		assert.True(t, shown[field], "%s has no example", field)
	}
}

// leaves are the paths of the fields with a value of their own, as fieldPaths writes them.
func leaves(value any, path string) []string {
	var all []string
	switch value := value.(type) {
	case map[string]any:
		for name, inside := range value {
			all = append(all, leaves(inside, strings.TrimPrefix(path+"."+name, "."))...)
		}
	case []any:
		for _, item := range value {
			if fields, ok := item.(map[string]any); ok {
				all = append(all, leaves(fields, path+"[]")...)
			} else {
				all = append(all, path)
			}
		}
	default:
		return []string{path}
	}
	return all
}

// completed makes a document of fields of spec.
func completed(fields string) string {
	head, _, _ := strings.Cut(minimal, "  select:")
	for _, line := range []string{"select: {tags: [role=web]}\n", "image: {name: noble}\n"} {
		if name, _, _ := strings.Cut(line, ":"); !regexp.MustCompile(`(?m)^` + name + `:`).MatchString(fields) {
			fields += line
		}
	}
	return head + "  " + strings.ReplaceAll(strings.TrimSpace(fields), "\n", "\n  ") + "\n"
}

// TestManualNamesEveryField looks for each field in a table of the manual, and for fields that are none.
func TestManualNamesEveryField(t *testing.T) {
	var want, got []string
	for _, path := range fieldPaths() {
		want = append(want, strings.TrimPrefix(path, "spec."))
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (required|`|none|one of|as |not |[01],|the user)").FindAllStringSubmatch(string(read(t, manual)), -1) {
		got = append(got, row[1])
	}
	assert.ElementsMatch(t, want, got)
}

// TestManualRounds computes the rounding table.
func TestManualRounds(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| ([0-9.]+%) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$`).FindAllStringSubmatch(string(read(t, manual)), -1)
	require.Len(t, rows, 9)
	for _, row := range rows {
		share, err := rollout.ParsePercent(row[1])
		require.NoError(t, err)
		n, err := strconv.Atoi(row[2])
		require.NoError(t, err)
		assert.Equal(t, row[3:], []string{strconv.Itoa(share.Cap(n)), strconv.Itoa(share.Ceil(n)), strconv.Itoa(share.Floor(n))}, row[0])
	}
}

// TestManualTolerates computes the example of a budget.
func TestManualTolerates(t *testing.T) {
	share, err := rollout.ParsePercent("2%")
	require.NoError(t, err)
	budget := rollout.Budget{Count: new(3), Share: new(share.Floor(100)), MinSample: 20}
	assert.Equal(t, []int{3, 3, 2, 2}, []int{budget.Tolerated(0), budget.Tolerated(19), budget.Tolerated(20), budget.Tolerated(100)})
}
