package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestOneWorkerServesTwoProfiles: side by side, a rollout and a server go to the project of the profile that was named, with
// the credentials of that one, and nothing else in either project is touched. Without a name, or with one that nobody
// has, nothing is done.
func TestOneWorkerServesTwoProfiles(t *testing.T) {
	t.Parallel()
	const project, accessKey, secretKey = "6af1c92eaf7e471fb35c82eecd4b7b5d", "CORESACCESSKEY000000", "cores-secret-key-opens-nothing-real-00000"
	edge := machine.NewLab(t, emulator.Options{Servers: 6, Seed: 71})
	core := machine.NewLab(t, emulator.Options{Servers: 6, Seed: 72, ProjectID: project, AccessKey: accessKey, SecretKey: secretKey})
	edge.StartWorker(map[string]string{
		"REIMAGE_PROFILES":          "edge, core",
		"EDGE_REIMAGE_ECS_ENDPOINT": edge.URL, "EDGE_REIMAGE_IMS_ENDPOINT": edge.URL, "EDGE_HUAWEICLOUD_SDK_PROJECT_ID": emulator.DefaultProjectID,
		"EDGE_HUAWEICLOUD_SDK_AK": emulator.DefaultAccessKey, "EDGE_HUAWEICLOUD_SDK_SK": emulator.DefaultSecretKey,
		"CORE_REIMAGE_ECS_ENDPOINT": core.URL, "CORE_REIMAGE_IMS_ENDPOINT": core.URL, "CORE_HUAWEICLOUD_SDK_PROJECT_ID": project,
		"CORE_HUAWEICLOUD_SDK_AK": accessKey, "CORE_HUAWEICLOUD_SDK_SK": secretKey,
	})
	run := func(code int, args ...string) string {
		t.Helper()
		ran := machine.CLI(t, append(args, "--task-queue", edge.Queue)...)
		require.Equal(t, code, ran.Code)
		return ran.Out + ran.ErrOut
	}
	image := core.OtherImage(core.Cloud.Servers()[0])
	document, planFile := filepath.Join(t.TempDir(), "rollout.yaml"), filepath.Join(t.TempDir(), "plan.json")
	plan := func(code int, profile string) string {
		t.Helper()
		require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: of-a-profile}
spec:
  %s
  select: {names: ["*"]}
  image: {id: %s}
  servers: {unfit: skip}
  inFlight: {count: 6}
`, profile, image.ID), 0o600))
		return run(code, "plan", "-f", document, "-o", planFile)
	}

	assert.Contains(t, plan(1, ""), "no profile is named, and the workers have several: name one of core, edge")
	assert.Contains(t, plan(1, "profile: abyss"), `profile "abyss" is not one of the workers'`)
	plan(0, "profile: core")
	content, err := os.ReadFile(planFile)
	require.NoError(t, err)
	var made rollout.Plan
	require.NoError(t, json.Unmarshal(content, &made))
	require.NotEmpty(t, made.Servers)
	assert.Equal(t, project, made.Project)

	server := edge.Server("ACTIVE")
	args := []string{"server", server.ID, "--image", edge.OtherImage(server).ID, "--yes"}
	assert.Contains(t, run(1, args...), "no profile is named, and the workers have several: name one of core, edge")
	assert.Contains(t, run(1, append(args, "--profile", "abyss")...), `profile "abyss" is not one of the workers'`)
	assert.Contains(t, run(1, append(args, "--profile", "core")...), "server "+server.ID+" does not exist in project "+project)
	assert.Empty(t, slices.Concat(touched(edge), touched(core)))

	run(0, append(args, "--profile", "edge", "--detach")...)
	run(0, "apply", planFile, "--yes", "--by", "ina")
	run(0, "server", "status", server.ID, "--wait")
	requireFleetChangedOnce(t, core, made)
	assert.Len(t, touched(core), len(made.Servers))
	assert.Equal(t, 1, edge.Accepted(server.ID))
	assert.Equal(t, []string{server.ID}, touched(edge))
}

// touched are the servers at which a write was accepted.
func touched(lab *harness.Lab) []string {
	var ids []string
	for id, account := range lab.Cloud.Ledger().Servers {
		if len(account.Writes) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
