package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDemo runs the demo as a newcomer does, and looks for processes that it left behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	ran := machine.Command(t, "demo", "--output", "json", "--temporal", machine.TemporalProgram).Env("TMPDIR", temp).Run("")
	require.Equal(t, 0, ran.Code)

	var figures map[string]any
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &figures))
	assert.Equal(t, "done", figures["end"])
	assert.EqualValues(t, 1, figures["changeos_accepted"])
	assert.EqualValues(t, 1, figures["workers_killed"])
	assert.EqualValues(t, 2, figures["poll_job_attempts"], "the job was adopted by the second worker")
	assert.NotEqual(t, figures["volume_before"], figures["volume_after"])
	assert.NotEqual(t, figures["image_before"], figures["image_after"])

	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files")
	assert.Empty(t, processesUsing(t, temp), "processes")
}

// processesUsing lists the processes whose command line or environment names a folder.
func processesUsing(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	entries, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, entry := range entries {
		for _, file := range []string{"cmdline", "environ"} {
			content, err := os.ReadFile(filepath.Join(entry, file))
			if err == nil && strings.Contains(string(content), dir) {
				found = append(found, entry+" "+strings.ReplaceAll(string(content), "\x00", " "))
			}
		}
	}
	return found
}
