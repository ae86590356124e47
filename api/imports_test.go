package api_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/reimage/reimage/"

// TestImports: what other programs import brings nothing along, and the workflows know neither the cloud nor what the activities
// are made of.
func TestImports(t *testing.T) {
	contract := []string{"api", "rollout", "rollout/change", "rollout/document"}
	assert.Equal(t, contract, imports(t, "api"))
	assert.Equal(t, append([]string{"activities/contract"}, contract...), imports(t, "activities/contract"))
	assert.Equal(t, slices.Sorted(slices.Values(append([]string{"activities/contract", "rollout/engine", "workflows"}, contract...))), imports(t, "workflows"))
}

// TestStarterImports: the command line does not link the cloud client.
func TestStarterImports(t *testing.T) {
	for _, name := range imports(t, "starter") {
		assert.NotEqual(t, "ecs", name)
		assert.False(t, strings.HasPrefix(name, "activities"), "%s", name)
	}
}

// imports are the packages of reimage that a package needs, and itself.
func imports(t *testing.T, name string) []string {
	t.Helper()
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+name).Output()
	require.NoError(t, err)
	var own []string
	for line := range strings.Lines(string(listed)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), module); ok {
			own = append(own, path)
		}
	}
	slices.Sort(own)
	return own
}
