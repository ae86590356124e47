package rollout_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

func planFile(t testing.TB, plan rollout.Plan) []byte {
	t.Helper()
	content, err := json.MarshalIndent(plan, "", "  ")
	require.NoError(t, err)
	return append(content, '\n')
}

// TestReadPlan: blanks mean nothing, and neither does whether < and > are escaped.
func TestReadPlan(t *testing.T) {
	plan := sealed(t)
	file := planFile(t, plan)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, file))
	for _, content := range [][]byte{file, compact.Bytes(), bytes.ReplaceAll(file, []byte("  "), []byte("\t")), bytes.ReplaceAll(file, []byte(`\u003c`), []byte("<"))} {
		read, err := rollout.ReadPlan(content)
		require.NoError(t, err)
		assert.Equal(t, plan, read)
	}
}

// TestReadPlanRefuses what people would read in another way than the program does.
func TestReadPlanRefuses(t *testing.T) {
	file := string(planFile(t, sealed(t)))
	const elsewhere = "in another place"
	for name, test := range map[string]struct{ old, new, says string }{
		"nothing":                     {file, "", "EOF"},
		"half of it":                  {file, file[:len(file)/2], "EOF"},
		"no object":                   {file, "[]", "cannot unmarshal"},
		"null":                        {file, "null", "version 0"},
		"a second plan":               {file, file + file, "follows"},
		"a bracket more":              {file, file + "}", "follows"},
		"text after it":               {file, file + "#", "follows"},
		"another number":              {`"count": 0`, `"count": 1`, "edited"},
		"an unknown field":            {`"version"`, `"in_flight": 100, "version"`, "unknown field"},
		"an unknown field inside":     {`"in_flight"`, `"cap": 1, "in_flight"`, "unknown field"},
		"a field twice, last true":    {`"name": "web"`, `"name": "other", "name": "web"`, elsewhere},
		"servers twice, last true":    {`"servers": [`, `"servers": [], "servers": [`, elsewhere},
		"a field twice, in two cases": {`"name": "web"`, `"Name": "other", "name": "web"`, elsewhere},
		"the field in another case":   {`"name": "web"`, `"NAME": "web"`, elsewhere},
		"a field that says nothing":   {`"project"`, `"deadline": 0, "project"`, elsewhere},
		"a field that is null":        {`"project"`, `"skipped": null, "project"`, elsewhere},
		"another spelling":            {`"web"`, `"\u0077eb"`, elsewhere},
		"another order":               {"\"version\": 1,\n  \"name\": \"web\"", `"name": "web", "version": 1`, elsewhere},
	} {
		require.Contains(t, file, test.old, name)
		plan, err := rollout.ReadPlan([]byte(strings.Replace(file, test.old, test.new, 1)))
		assert.ErrorContains(t, err, test.says, name)
		assert.Zero(t, plan, name)
	}
	_, err := rollout.ReadPlan([]byte(file + strings.Repeat(" ", rollout.MaxPlanSize)))
	assert.EqualError(t, err, "it has more than 32 MB")
	_, err = rollout.ReadPlan([]byte(`{"servers":[` + strings.Repeat("{},", 1<<20) + "{}]}"))
	assert.ErrorContains(t, err, "than Temporal carries")
}
