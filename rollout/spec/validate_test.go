package spec_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

// accepted are fields of spec that must not be refused.
func accepted() map[string]string {
	return map[string]string{
		"no failure at all tolerated":        "budget: {tolerate: {count: 0, percent: 0%}}",
		"every failure tolerated":            "budget: {tolerate: {percent: 100%}, minSample: 1}",
		"a wave that ends where the last":    "waves: [{upTo: 10%}, {upTo: 10%}, {upTo: 100%}]",
		"a percentage that is made good":     "waves: [{percent: 50%}, {upTo: 50%}, {percent: 50%}]",
		"more than all":                      "waves: [{percent: 60%}, {percent: 60%}]",
		"a count, which may reach all":       "waves: [{count: 1}, {percent: 50%}]",
		"a count before a share":             "waves: [{count: 100}, {upTo: 1%}, {upTo: 100%}]",
		"approval in the middle":             "waves: [{count: 1, approval: true}, {upTo: 100%}]",
		"a last wave of the rest":            "waves: [{count: 1}, {name: rest}]",
		"a wave by what servers are":         "waves: [{select: {tags: [role=web]}}, {select: {zones: [a]}, count: 2}, {upTo: 10%}, {}]",
		"shares around a selected wave":      "waves: [{upTo: 10%}, {select: {names: [web-*]}}, {percent: 20%}]",
		"waves by groups":                    "perGroup: {tag: cluster}\n  waves: [{select: {groups: [one]}}, {}]",
		"a spread by groups":                 "perGroup: {serverGroup: true}\n  spread: [group, zone, tag:role]",
		"bake after the last wave":           "waves: [{upTo: 100%, bake: 30d}]",
		"groups only for the budget":         "perGroup: {tag: cluster}\n  budget: {perGroup: 0}",
		"groups of the cloud":                "perGroup: {serverGroup: true, percent: 50%}",
		"group and false":                    "perGroup: {tag: cluster, serverGroup: false, count: 1}",
		"the longest times":                  "soak: 24h\n  busy: {wait: 7d}\n  serverDeadline: 24h\n  deadline: 365d",
		"whole caps":                         "inFlight: {percent: 100%}\n  perZone: {percent: 0.01%}",
		"nothing in mappings":                "login: {}\n  budget: {tolerate: {}}",
		"a reason of two lines in a comment": "byol: false # one\n  # two",
		"JSON":                               `"budget": {"tolerate": {"count": 1}}`,
	}
}

func TestAccepted(t *testing.T) {
	for name, fields := range accepted() {
		_, err := spec.Parse("accepted", []byte(minimal+"  "+fields+"\n"))
		assert.NoError(t, err, name)
	}
	for _, tags := range []string{"a", "a=", "a=b=c", "größe=XL", "a b=c d"} {
		_, err := spec.Parse("accepted", []byte(strings.Replace(minimal, "role=web", tags, 1)))
		assert.NoError(t, err, tags)
	}
}

// names are names of rollouts, and whether they may be.
func names() map[string]bool {
	return map[string]bool{
		"w": true, "web-1": true, "0": false, "2026": false, // numbers have to be quoted
		`"2026"`: true, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false,
		"-web": false, "web-": false, "Web": false, "web_1": false, "web.1": false, "a/b": false, "wéb": false, `""`: false,
	}
}

func TestNames(t *testing.T) {
	for name, good := range names() {
		_, err := spec.Parse("name", []byte(strings.Replace(minimal, "name: web", "name: "+name, 1)))
		assert.Equal(t, good, err == nil, "%s: %v", name, err)
	}
}

// TestValidate finds in a document that was put together what Parse cannot have let through.
func TestValidate(t *testing.T) {
	doc := parse(t, minimal+"  waves: [{upTo: 50%}, {upTo: 100%}]\n")
	require.NoError(t, spec.Validate(doc))
	doc.Kind = ""
	doc.Spec.Soak = -1
	doc.Spec.Busy.Wait = new(document.Duration(-1))
	doc.Spec.PerZone.Percent = new(rollout.Percent(10001))
	doc.Spec.Budget.Tolerate.Percent = new(rollout.Percent(-100))
	doc.Spec.Budget.MinSample = -1
	doc.Spec.Select.Names = []string{""}
	doc.Spec.Waves[1].UpTo = new(rollout.Percent(20000))
	assert.EqualError(t, spec.Validate(doc), `spec.waves[1].upTo: 200% is not between 0% and 100%
spec.perZone.percent: 100.01% is not between 0% and 100%
spec.budget.tolerate.percent: -1% is not between 0% and 100%
spec.busy.wait: -1ns is negative
spec.soak: -1ns is negative
kind: is missing: write kind: Rollout
spec.select.names[0]: a name is empty
spec.budget.minSample: -1 is less than 0`)
	doc.Spec.Waves = make([]document.Wave, 101)
	assert.ErrorContains(t, spec.Validate(doc), "spec.waves: there are 101 waves, more than 100")
}
