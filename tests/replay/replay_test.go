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
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/tests/harness"
)

func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json.gz")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json.gz"), func(t *testing.T) {
			harness.Replay(t, load(t, file))
		})
	}
}

// TestReplayOfCompressedPayloads: large payloads are compressed, whenever they were recorded.
func TestReplayOfCompressedPayloads(t *testing.T) {
	recorded := load(t, file("changeos-done"))
	zlib := converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true})
	compressed := 0
	err := proxy.VisitPayloads(t.Context(), recorded, proxy.VisitPayloadsOptions{
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*common.Payload) ([]*common.Payload, error) {
			compressed += len(payloads)
			return zlib.Encode(payloads)
		},
	})
	require.NoError(t, err)
	require.Greater(t, compressed, 10)
	harness.Replay(t, recorded)
}

// TestReplayOfOtherVariables: a change that was begun with a variable which no worker hands out any more, before that was
// refused in advance, can still be looked at.
func TestReplayOfOtherVariables(t *testing.T) {
	recorded := load(t, file("changeos-done"))
	input := recorded.Events[0].GetWorkflowExecutionStartedEventAttributes().Input.Payloads[0]
	var in api.ChangeOSInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(input, &in))
	in.Change.Login.PasswordFrom = "env:OTHER"
	payload, err := converter.GetDefaultDataConverter().ToPayload(in)
	require.NoError(t, err)
	input.Data = payload.Data
	harness.Replay(t, recorded)
}

// load reads a recording.
func load(t *testing.T, name string) *history.History {
	t.Helper()
	recorded, err := os.Open(name)
	require.NoError(t, err)
	defer recorded.Close()
	unpacked, err := gzip.NewReader(recorded)
	require.NoError(t, err)
	events, err := client.HistoryFromJSON(unpacked, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return events
}

// TestEveryPathIsRecorded fails when a recording is missing, so that an empty folder proves nothing.
func TestEveryPathIsRecorded(t *testing.T) {
	for _, path := range paths() {
		assert.FileExists(t, file(path.name), "record it with make record")
	}
	for _, path := range rolloutPaths() {
		for run := range path.runs {
			assert.FileExists(t, file(path.recording(run)), "record it with make record")
		}
	}
}

func file(name string) string { return filepath.Join("testdata", name+".json.gz") }
