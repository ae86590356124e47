package planner_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// fullPlan is a plan in which every field has a value.
func fullPlan(t *testing.T) rollout.Plan {
	inv := fleet(6)
	inv.Servers[1].Locked = true
	inv.UserData.Digest = "1f0e5c2b7a9d4e3f8b6a0c1d2e3f4a5b"
	doc := with(func(s *document.Spec) {
		s.API, s.BYOL, s.AutoPay, s.UserDataFrom, s.Disk.EncryptWith = "v2", true, new(true), "file:init.yaml", uuid(5, 5)
		s.Login = document.Login{KeyPair: "k", KeyOwner: "me"}
		s.Stop = document.Stop{AllowHard: true, Platform: true}
		s.Servers = document.States{Locked: document.RuleSkip, AlreadyThere: document.RuleChange}
		s.Waves = []document.Wave{{
			Name: "canary", Select: &document.WaveSelection{Tags: []string{"role=web"}}, Count: new(1), Bake: document.Duration(time.Minute), Approval: true,
		}, {}}
		s.PerZone.Count, s.PerGroup.Tag, s.PerGroup.Count, s.InFlight.Count = new(1), "shard", new(1), new(2)
		s.Budget = document.Budget{Tolerate: document.Limit{Count: new(1), Percent: percent(t, "50%")}, MinSample: 2, PerGroup: new(1), Admission: document.AdmissionStrict, SlowStart: true}
		s.Soak, s.Deadline = document.Duration(time.Minute), document.Duration(48*time.Hour)
	})
	doc.Metadata.Reason = "CVE-2026-1"
	return mustMake(t, doc, inv)
}

// edits are the plan once for every value in its JSON, with that value changed, by the value's path.
func edits(t *testing.T, plan rollout.Plan) map[string]rollout.Plan {
	text, err := json.Marshal(plan)
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, json.Unmarshal(text, &tree))
	all := map[string]rollout.Plan{}
	var walk func(path string, node any, set func(any))
	try := func(path string, set func(any), old, changed any) {
		set(changed)
		defer set(old)
		text, err := json.Marshal(tree)
		require.NoError(t, err)
		var edited rollout.Plan
		require.NoError(t, json.Unmarshal(text, &edited), path)
		all[path] = edited
	}
	walk = func(path string, node any, set func(any)) {
		switch v := node.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(path+"/"+key, v[key], func(to any) { v[key] = to })
			}
		case []any:
			for i := range v {
				walk(fmt.Sprintf("%s/%d", path, i), v[i], func(to any) { v[i] = to })
			}
			try(path+"/less", set, v, v[:len(v)-1])
		case bool:
			try(path, set, v, !v)
		case float64:
			try(path, set, v, v+1)
		case string:
			changed := v + "x"
			if path == "/made_at" {
				changed = "2026-10-10T20:00:01Z"
			}
			try(path, set, v, changed)
		}
	}
	walk("", tree, nil)
	return all
}

// TestNoEditPassesVerify, whatever value of the file it changes.
func TestNoEditPassesVerify(t *testing.T) {
	plan := fullPlan(t)
	all := edits(t, plan)
	require.Greater(t, len(all), 100)
	for path, edited := range all {
		err := edited.Verify()
		if path == "/version" {
			assert.ErrorContains(t, err, "the plan has version 2 and this program carries out version 1")
			continue
		}
		assert.ErrorIs(t, err, rollout.ErrEdited, path)
	}
	plan.Servers[0], plan.Servers[1] = plan.Servers[1], plan.Servers[0]
	assert.ErrorIs(t, plan.Verify(), rollout.ErrEdited, "another order")
}

// TestCompareMissesNothing that decides what is done to whom: what says nothing of that is listed here.
func TestCompareMissesNothing(t *testing.T) {
	says := []string{"/made_at", "/digest", "/version", "/estimate", "/warnings/", "/skipped/", "/servers/0/image_name", "/servers/1/image_name", "/servers/2/image_name", "/servers/3/image_name", "/servers/4/image_name"}
	plan := fullPlan(t)
	for path, edited := range edits(t, plan) {
		if path == "/waves/less" || path == "/servers/less" {
			continue // no plan: the waves end elsewhere than the servers
		}
		if strings.HasPrefix(path, "/waves/") && strings.HasSuffix(path, "/end") && edited.Waves[len(edited.Waves)-1].End > len(edited.Servers) {
			continue
		}
		differ := planner.Compare(plan, edited)
		if slices.ContainsFunc(says, func(p string) bool { return strings.HasPrefix(path, p) }) {
			assert.Empty(t, differ, path)
		} else {
			assert.NotEmpty(t, differ, path)
		}
	}
}
