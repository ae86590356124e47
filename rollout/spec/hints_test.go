package spec_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/spec"
)

// TestFieldsOfOtherTools: a field of another tool is refused with what there is instead.
func TestFieldsOfOtherTools(t *testing.T) {
	for field, instead := range map[string]string{
		"maxUnavailable: 1": "inFlight, perZone and perGroup", "serial: 5": "waves cut the servers", "max_fail_percentage: 10": "budget.tolerate",
		"strategy: {type: RollingUpdate}": "there is one strategy", "batchSize: 10": "waves cut", "parallel: 3": "inFlight", "canary: 1": "a canary first",
		"dryRun: true": "reimage plan", "timeout: 1h": "serverDeadline bounds", "mode: withStopServer": "stop.platform: true", "window: night": "there are no windows",
		"hooks: {before: x}": "there are no hooks", "verify: {http: x}": "health lists the probes", "auto_revert: true": "budget.onBreach", "min-healthy-time: 1m": "stableFor in health",
		"MaxErrors: 2": "budget.tolerate", "MaxConcurrency: 5": "inFlight", "hosts: web": "select.names", "retries: 3": "reimage retry", "imageRef: x": "image.id",
		"readinessProbe: {}": "health lists the probes", "user_data: x": "userDataFrom", "password: hunter2": "login.passwordFrom", "zones: [a]": "select.zones",
	} {
		_, err := spec.Parse("web.yaml", []byte(minimal+"  "+field+"\n"))
		name, _, _ := strings.Cut(field, ":")
		require.ErrorContains(t, err, "web.yaml:7:3: spec: unknown field "+name+": ")
		assert.ErrorContains(t, err, instead)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err := spec.Parse("web.yaml", []byte(minimal+"  waves: [{size: 10%, pause: 5m}]\n  budget: {maxFailures: 1}\n"))
	assert.ErrorContains(t, err, "spec.waves[0]: unknown field size: a wave says how many servers it has by waves[].count")
	assert.ErrorContains(t, err, "spec.waves[0]: unknown field pause: waves[].bake is the wait")
	assert.ErrorContains(t, err, "spec.budget: unknown field maxFailures: budget.tolerate")
	_, err = spec.Parse("web.yaml", []byte(minimal+"  login: {password: hunter2}\n"))
	assert.ErrorContains(t, err, "did you mean passwordFrom?", "what begins a field here is that field")
}

// TestHintsNameFieldsThatThereAre.
func TestHintsNameFieldsThatThereAre(t *testing.T) {
	known := fieldPaths()
	hints := regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(string(read(t, "hints.go")), -1)
	require.Greater(t, len(hints), 20)
	for _, hint := range hints {
		for _, field := range regexp.MustCompile(`[a-zA-Z]+(\[\])?\.[a-zA-Z]+|inFlight|perZone|perGroup|serverDeadline|userDataFrom`).FindAllString(hint[1], -1) {
			path := field
			if !strings.HasPrefix(field, "metadata.") {
				path = "spec." + field
			}
			isField := func(known string) bool { return known == path || strings.HasPrefix(known, path+".") }
			assert.True(t, slices.ContainsFunc(known, isField), "%s in: %s", field, hint[1])
		}
	}
}

// TestEmptyDocumentAtTheEnd is none: files that were put together end so.
func TestEmptyDocumentAtTheEnd(t *testing.T) {
	want := parse(t, minimal)
	for _, end := range []string{"---\n", "---", "...\n", "---\n# nothing\n", "---\n---\n", "--- \n\n"} {
		assert.Equal(t, want, parse(t, minimal+end), "%q", end)
		assert.Equal(t, want, parse(t, "---\n"+minimal+end), "%q", end)
	}
	for _, end := range []string{"---\nkind: Rollout\n", "---\n---\nkind: Rollout\n", "---\n[]\n"} {
		_, err := spec.Parse("web.yaml", []byte(minimal+end))
		assert.ErrorContains(t, err, "a second document begins here", "%q", end)
	}
}
