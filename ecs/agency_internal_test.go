package ecs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMetadataIsAskedWithoutProxy, whatever the environment says: a proxy would answer with its own server's keys.
func TestMetadataIsAskedWithoutProxy(t *testing.T) {
	agency, err := NewAgency(MetadataConfig{})
	require.NoError(t, err)
	assert.Nil(t, agency.client.transport.reads.Proxy)
	assert.Nil(t, agency.client.transport.writes.Proxy)
}
