package spec_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout/spec"
)

func TestNear(t *testing.T) {
	names := []string{"db", "web", "web-fleet", "web-fleet-2", "wlan"}
	for name, want := range map[string][]string{
		"web-flet": {"web-fleet", "web"}, "WEB": {"web"}, "fleet": {"web-fleet", "web-fleet-2"}, "dc": {"db"}, "zzz": nil,
	} {
		assert.Equal(t, want, spec.Near(name, names), name)
	}
	assert.Len(t, spec.Near("a", []string{"a1", "a2", "a3", "a4", "a5", "a6"}), 5)
}
