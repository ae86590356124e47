package spec_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

// checkJSON sends a document to a worker and back, and reads it as a document too: JSON is YAML.
func checkJSON(t *testing.T, doc document.Rollout) {
	t.Helper()
	asJSON, err := json.Marshal(doc)
	require.NoError(t, err)
	var received document.Rollout
	require.NoError(t, json.Unmarshal(asJSON, &received))
	require.Equal(t, doc, received, string(asJSON))
	again, err := spec.Parse("rewritten", asJSON)
	require.NoError(t, err, string(asJSON))
	require.Equal(t, doc, again, string(asJSON))
}

// TestWords writes times and shares the way people do.
func TestWords(t *testing.T) {
	doc := parse(t, minimal+"  soak: 90s\n  inFlight: {percent: 2.50%}\n  busy: {wait: 0s}\n  deadline: 72h\n")
	asJSON, err := json.Marshal(doc.Spec)
	require.NoError(t, err)
	assert.JSONEq(t, `{"select":{"tags":["role=web"]},"image":{"name":"noble"},"soak":"1m30s","inFlight":{"percent":"2.5%"},"busy":{"wait":"0s"},"deadline":"3d"}`, string(asJSON))
}
