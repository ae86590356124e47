package rollout_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/allocs"
	"github.com/reimage/reimage/internal/planview"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
	"github.com/reimage/reimage/rollout/planner"
)

// FuzzReadPlan reads anything. What is read is what is written, and is sealed.
func FuzzReadPlan(f *testing.F) {
	plan := sealed(f)
	f.Add(planFile(f, plan))
	for _, seed := range []string{``, `null`, `{"version":1}`, `{"version":1,"digest":"` + plan.Digest + `"}`, `{"servers":[{},{},{}]}`, `[[[`, "kind: Rollout"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var plan rollout.Plan
		var err error
		assert.LessOrEqual(t, allocs.Of(func() { plan, err = rollout.ReadPlan(content) }), uint64(1<<20+1024*len(content)))
		if err != nil {
			assert.Zero(t, plan)
			return
		}
		require.NoError(t, plan.Verify())
		assert.Equal(t, spelled(t, planFile(t, plan)), spelled(t, content))
	})
}

// FuzzSealedPlan seals anything that has the form of a plan and writes it. It is read as it was, or no planner
// made it; who looks at it does not stumble; and after an edit it is no plan any more.
func FuzzSealedPlan(f *testing.F) {
	whole := planFile(f, sealed(f))
	f.Add(whole, uint(0), uint(0), []byte(" "))
	f.Add(whole, uint(5), uint(0), []byte(`"version":0,`))
	f.Add(whole, uint(bytes.Index(whole, []byte(`"count": 0`))+9), uint(1), []byte("1"))
	for _, seed := range []string{
		`{}`, `{"waves":[{"end":1}]}`, `{"servers":[{}],"waves":[{"end":-1},{"end":1}]}`, `{"servers":[{"id":"a","group":"g"},{"id":"a"}],"waves":[{"end":2,"bake":-1}]}`,
		`{"made_at":"9999-12-31T23:59:59.999999999+23:59","servers":[{"name":"\ufffd\u2028\u001b"}],"waves":[{"end":1}],"budget":{"share":-1,"min_sample":-5}}`,
		`{"servers":[],"skipped":[{"id":"x","reason":"y"}],"caps":{"zones":[{"name":"z","cap":-1}]},"change":{"login":{"key_pair":"k"},"encrypted":false}}`,
	} {
		f.Add([]byte(seed), uint(3), uint(1), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, content []byte, at, cut uint, put []byte) {
		var plan rollout.Plan
		if json.Unmarshal(content, &plan) != nil {
			return
		}
		plan.Version = rollout.PlanVersion
		if plan.Seal() != nil {
			return
		}
		file := planFile(t, plan)
		read, err := rollout.ReadPlan(file)
		if err != nil {
			require.ErrorContains(t, err, "no planner made this plan")
			return
		}
		require.Equal(t, file, planFile(t, read), "it is written as it was read")
		require.NoError(t, planview.Print(io.Discard, read))
		assert.Empty(t, planner.Compare(read, read))
		planner.Compare(read, sealed(t))
		planner.Drift(read, rollout.Inventory{Project: read.Project})
		engine.New(read, "somebody", time.Unix(0, 0).UTC())

		from := int(at % uint(len(file)))
		to := from + int(cut%uint(len(file)-from+1))
		edited := append(append(bytes.Clone(file[:from]), put...), file[to:]...)
		if read, err := rollout.ReadPlan(edited); err == nil {
			assert.Equal(t, string(spelled(t, file)), string(spelled(t, edited)), "an edit was not noticed")
			assert.Equal(t, plan.Digest, read.Digest)
		}
	})
}

// spelled is JSON without what may differ: blanks, and whether < and > are escaped.
func spelled(t *testing.T, content []byte) []byte {
	t.Helper()
	var compact, escaped bytes.Buffer
	require.NoError(t, json.Compact(&compact, content))
	json.HTMLEscape(&escaped, compact.Bytes())
	return escaped.Bytes()
}
