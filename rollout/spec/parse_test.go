package spec_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

const example = "../../docs/examples/web.yaml"

// minimal is the shortest document, to which a test adds fields of spec.
const minimal = `apiVersion: reimage/v1
kind: Rollout
metadata: {name: web}
spec:
  select: {tags: [role=web]}
  image: {name: noble}
`

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return content
}

func parse(t *testing.T, text string) document.Rollout {
	t.Helper()
	doc, err := spec.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return doc
}

// checkGolden compares with a file, which REIMAGE_UPDATE=1 rewrites.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("REIMAGE_UPDATE") == "1" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "REIMAGE_UPDATE=1 writes it")
	assert.Equal(t, string(want), got, "if that is what is wanted, REIMAGE_UPDATE=1 rewrites %s", file)
}

// TestProblems holds every message, with its place, against the files of testdata.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := spec.Parse(filepath.Base(file), read(t, file))
			var problems spec.Problems
			require.ErrorAs(t, err, &problems)
			assert.NotContains(t, err.Error(), "hunter2", "a secret in the wrong place is never repeated")
			for i, problem := range problems {
				assert.Positive(t, problem.Line, problem)
				assert.Positive(t, problem.Column, problem)
				if i > 0 {
					assert.LessOrEqual(t, problems[i-1].Line, problem.Line, "in the order of the lines")
				}
			}
			checkGolden(t, strings.TrimSuffix(file, ".yaml")+".err", err.Error()+"\n")
		})
	}
}

func TestMinimal(t *testing.T) {
	doc := parse(t, minimal)
	assert.Equal(t, document.Rollout{
		APIVersion: document.APIVersion, Kind: document.Kind, Metadata: document.Metadata{Name: "web"},
		Spec: document.Spec{Select: document.Selection{Tags: []string{"role=web"}}, Image: document.Image{Name: "noble"}},
	}, doc)
}

// TestExample reads the example, which gives every field but one of each pair that exclude each other.
func TestExample(t *testing.T) {
	content := read(t, example)
	doc := parse(t, string(content))
	assert.Equal(t, rollout.Percent(1000), *doc.Spec.Waves[1].UpTo)
	assert.Equal(t, []document.Wave{{Name: "canary", Count: new(1), Bake: document.Duration(30 * time.Minute), Approval: true}}, doc.Spec.Waves[:1])
	assert.Equal(t, document.Limit{Count: new(20), Percent: new(rollout.Percent(1000))}, doc.Spec.InFlight)
	assert.Equal(t, false, *doc.Spec.AutoPay)
	apart := []string{"spec.image.id", "spec.login.passwordFrom", "spec.perGroup.serverGroup", "spec.perGroup.percent", "spec.perZone.count", "spec.select.expect.count"}
	for _, field := range fieldPaths() {
		name := regexp.MustCompile(`(?m)^[ -]*` + field[strings.LastIndex(field, ".")+1:] + `:`)
		if !slices.Contains(apart, field) {
			assert.True(t, name.Match(content), "the example lacks %s", field)
		}
	}
}

// TestRewritten writes what was read, in YAML and in JSON, and reads it again.
func TestRewritten(t *testing.T) {
	for _, text := range []string{minimal, string(read(t, example))} {
		checkRewritten(t, parse(t, text))
	}
}

func checkRewritten(t *testing.T, doc document.Rollout) {
	t.Helper()
	asYAML, err := yaml.Marshal(doc)
	require.NoError(t, err)
	again, err := spec.Parse("rewritten", asYAML)
	require.NoError(t, err, string(asYAML))
	require.Equal(t, doc, again, string(asYAML))
	checkJSON(t, doc)
}

func TestLimitsOfAFile(t *testing.T) {
	fits := minimal + "#" + strings.Repeat("x", spec.MaxSize-len(minimal)-1)
	_, err := spec.Parse("big", []byte(fits))
	assert.NoError(t, err)
	_, err = spec.Parse("big", []byte(fits+"x"))
	assert.EqualError(t, err, "big:1:1: the file has 1048577 bytes, more than 1048576: long lists of servers go into a file of their own, see select.file")

	for name, text := range map[string]string{
		"lists":    strings.Repeat("[", spec.MaxSize),
		"mappings": strings.Repeat("{a: ", spec.MaxSize/4),
		"blocks":   strings.Repeat("- ", spec.MaxSize/2),
	} {
		_, err := spec.Parse("deep", []byte(text))
		assert.EqualError(t, err, "deep:1:1: not YAML: exceeded max depth of 10000", name)
	}
}

// TestManyProblems keeps a wrong file from flooding the terminal, but not from the program.
func TestManyProblems(t *testing.T) {
	text := strings.Replace(minimal, "tags: [role=web]", "ids: ["+strings.Repeat("x,", 1000)+"]", 1)
	_, err := spec.Parse("many", []byte(text))
	var problems spec.Problems
	require.ErrorAs(t, err, &problems)
	assert.Len(t, problems, 1000)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 101)
	assert.Equal(t, "and 900 more", lines[100])
}

// TestCycle reads an anchor that holds itself.
func TestCycle(t *testing.T) {
	_, err := spec.Parse("cycle", []byte(minimal+"  waves: &w [*w]\n"))
	assert.EqualError(t, err, "cycle:7:14: spec.waves[0]: an alias stands here: write the value out, so that everybody sees it")
}

// TestMisspeltBesideTheField: a field that is there is judged by the rules, also when another one looks like it.
func TestMisspeltBesideTheField(t *testing.T) {
	for _, fields := range []string{"inFlight: {count: 0}\n  inflight: 3\n", "inflight: 3\n  inFlight: {count: 0}\n"} {
		_, err := spec.Parse("web.yaml", []byte(minimal+"  "+fields))
		assert.ErrorContains(t, err, "spec: unknown field inflight; did you mean inFlight?", fields)
		assert.ErrorContains(t, err, "spec.inFlight.count: a cap of 0 starts nothing", fields)
	}
	_, err := spec.Parse("web.yaml", []byte(strings.Replace(minimal, "image:", "Image:", 1)))
	assert.ErrorContains(t, err, "did you mean image?")
	assert.NotContains(t, err.Error(), "is missing", "what was meant is there")
}

// TestSecretsInNames: where a colon or the space after it is forgotten, a secret becomes the name of a field.
func TestSecretsInNames(t *testing.T) {
	for fields, says := range map[string]string{
		"login: {passwordFrom:hunter2}":                    "spec.login: after passwordFrom a colon and a space are expected",
		"login: {passwordFrom hunter2}":                    "spec.login: after passwordFrom a colon and a space are expected",
		"login: {password:hunter2}":                        "spec.login: unknown field password; did you mean passwordFrom?",
		"login: {password:hunter2, password:hunter2}":      "field password is given twice",
		"login: {passwordfrom_hunter2: x}":                 "unknown field passwordfrom; did you mean passwordFrom?",
		"login: {hunter2}":                                 "unknown field hunter; known here are",
		"? userDataFrom:hunter2\n  : x":                    "spec: after userDataFrom a colon and a space are expected",
		"? userDataFrom hunter2\n  :":                      "spec: after userDataFrom a colon and a space are expected",
		"login:\n    passwordFrom:hunter2":                 "spec.login: a text stands here, and fields are expected",
		"login:\n    passwordFrom:hunter2\n    keyPair: x": "not YAML",
		"userDataFrom:hunter2\n  power: on":                "not YAML",
	} {
		_, err := spec.Parse("web.yaml", []byte(minimal+"  "+fields+"\n"))
		assert.ErrorContains(t, err, says, fields)
		assert.NotContains(t, err.Error(), "hunter2", fields)
	}
}
