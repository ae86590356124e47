package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHelp needs no configuration, and is no error.
func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h", "help"} {
		var out bytes.Buffer
		require.NoError(t, start(t.Context(), []string{arg}, &out, lookup(nil)), arg)
		assert.Equal(t, usage, out.String())
	}
	for line := range strings.Lines(usage) {
		assert.LessOrEqual(t, len(line), 101, line)
	}
}

// TestHelpNamesWhatThereIs: every variable of the help is described in the documentation.
func TestHelpNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	variables := regexp.MustCompile(`[A-Z]+_[A-Z_]+`).FindAllString(usage, -1)
	require.NotEmpty(t, variables)
	for _, variable := range variables {
		assert.Contains(t, string(text), "`"+variable+"`")
	}
}

// TestArgumentsAreRefused before anything is read or started.
func TestArgumentsAreRefused(t *testing.T) {
	var out bytes.Buffer
	err := start(t.Context(), []string{"--task-queue", "web"}, &out, lookup(nil))
	require.ErrorContains(t, err, `"--task-queue" means nothing here`)
	assert.ErrorContains(t, err, "reimage-worker --help")
	assert.NotContains(t, err.Error(), "configuration")
	assert.Empty(t, out.String())
	assert.ErrorContains(t, start(t.Context(), nil, &out, lookup(map[string]string{"HW_SECRET_KEY": "s"})), "the configuration cannot be used")
}
