package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/tests/harness"
)

// TestDemo runs the demo as a newcomer does, and looks for processes that it left behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	ran := machine.Command(t, "demo", "--one", "--output", "json", "--temporal", machine.TemporalProgram).Env("TMPDIR", temp).Run("")
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

// TestFleetDemo runs the demo of a fleet, faster than a newcomer's, and keeps it running to look at the Web UI.
func TestFleetDemo(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	demo := machine.Command(t, "demo", "--keep", "--speed", "30", "--output", "json", "--temporal", machine.TemporalProgram).Env("TMPDIR", temp)
	demo.Start()
	page := regexp.MustCompile(`Web UI: (\S+)`)
	require.Eventually(t, func() bool { return page.MatchString(demo.ErrOutput()) }, harness.Patience, 100*time.Millisecond)
	response, err := http.Get(page.FindStringSubmatch(demo.ErrOutput())[1])
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
	demo.Interrupt()
	ran := demo.Wait()
	require.Equal(t, 0, ran.Code)
	assert.Regexp(t, `worker 1 was killed with SIGKILL; worker 2 \(process \d+\) goes on\n`, ran.ErrOut)

	var figures map[string]any
	require.NoError(t, json.Unmarshal([]byte(ran.Out), &figures))
	assert.Equal(t, "completed-with-failures", figures["end"])
	assert.EqualValues(t, 24, figures["changeos_accepted"])
	assert.EqualValues(t, 0, figures["accepted_twice"])
	assert.EqualValues(t, 22, figures["on_new_image"])
	assert.EqualValues(t, 1, figures["workers_killed"])
	assert.LessOrEqual(t, figures["most_out_of_service"], figures["in_flight_cap"])

	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files")
	assert.Empty(t, processesUsing(t, temp), "processes")
}

// TestDemoInterrupted presses Ctrl-C in the middle.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	demo := machine.Command(t, "demo", "--one", "--temporal", machine.TemporalProgram).Env("TMPDIR", temp)
	demo.Start()
	require.Eventually(t, func() bool { return strings.Contains(demo.Output(), "submit") }, harness.Patience, 20*time.Millisecond)
	demo.Interrupt()

	assert.Equal(t, 130, demo.Wait().Code)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files")
	assert.Empty(t, processesUsing(t, temp), "processes")
}

// TestEmulatorCommand serves a cloud by itself and reads its ledger.
func TestEmulatorCommand(t *testing.T) {
	t.Parallel()
	faults := filepath.Join(t.TempDir(), "faults.yaml")
	require.NoError(t, os.WriteFile(faults, []byte("faults:\n  - {op: changeos, kind: drop_after}\n"), 0o600))
	emulator := machine.Command(t, "emulator", "--listen", "127.0.0.1:0", "--servers", "50", "--seed", "1", "--faults", faults)
	emulator.Start()
	var url string
	require.Eventually(t, func() bool {
		first, _, complete := strings.Cut(emulator.Output(), "\n")
		url = strings.TrimSuffix(strings.TrimPrefix(strings.SplitN(first+":", ": ", 2)[0], "Emulated cloud at "), ":")
		return complete
	}, harness.Patience, 20*time.Millisecond)

	response, err := http.Get(url + "/_emulator/ledger")
	require.NoError(t, err)
	defer response.Body.Close()
	var ledger struct {
		Servers map[string]struct {
			Accepted int `json:"changeos_accepted"`
		} `json:"servers"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&ledger))
	assert.Len(t, ledger.Servers, 50)

	emulator.Interrupt()
	assert.Zero(t, emulator.Wait().Code)
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
