package spec_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/spec"
)

// TestHealthProblems: all at once, each at its place.
func TestHealthProblems(t *testing.T) {
	_, err := spec.Parse("web.yaml", []byte(minimal+`  power: off
  health:
    checks:
      - {type: tcp}
      - {type: http, after: 5m, stableFor: 1m, within: 5m}
      - {type: https, ca: "-----BEGIN CERTIFICATE-----"}
      - {type: ping, port: 1}
      - {port: 8080}
    requireBefore: always
`))
	require.Error(t, err)
	for _, want := range []string{
		"web.yaml:7:10: spec.power: off leaves the servers stopped, and health needs them running",
		"spec.health.checks[0]: has no port: tcp has no default",
		"spec.health.checks[1]: it can never pass: within is 5m0s, and after and stableFor together are 6m0s",
		"spec.health.checks[2].ca: holds no certificate that can be read",
		`spec.health.checks[3].type: "ping" is not known here`,
		"spec.health.checks[4].type: is missing",
		`spec.health.requireBefore: "always" is not known here: write warn, or refuse, or off`,
	} {
		assert.ErrorContains(t, err, want)
	}
	_, err = spec.Parse("web.yaml", []byte(minimal+"  health: {requireBefore: refuse}\n"))
	assert.ErrorContains(t, err, "spec.health: has no checks")
}
