// Package replay runs recorded histories through today's workflow code. A change that would break a
// change of OS in flight fails here first.
package replay

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/tests/harness"
)

func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json.gz")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json.gz"), func(t *testing.T) {
			recorded, err := os.Open(file)
			require.NoError(t, err)
			defer recorded.Close()
			unpacked, err := gzip.NewReader(recorded)
			require.NoError(t, err)
			history, err := client.HistoryFromJSON(unpacked, client.HistoryJSONOptions{})
			require.NoError(t, err)
			harness.Replay(t, history)
		})
	}
}

// TestEveryPathIsRecorded fails when a recording is missing, so that an empty folder proves nothing.
func TestEveryPathIsRecorded(t *testing.T) {
	for _, path := range paths() {
		assert.FileExists(t, file(path.name), "record it with make record")
	}
}

func file(name string) string { return filepath.Join("testdata", name+".json.gz") }
