package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/tests/harness"
)

// requireNothingWritten: the cloud accepted no write for any server.
func requireNothingWritten(t *testing.T, lab *harness.Lab) {
	t.Helper()
	for id, server := range lab.Cloud.Ledger().Servers {
		require.Empty(t, server.Writes, "%s (%s) was touched", server.Name, id)
	}
}

// writeRollout writes a rollout of all servers with user data, and says where.
func writeRollout(t *testing.T, lab *harness.Lab, name string) (document, planFile string) {
	t.Helper()
	dir := t.TempDir()
	document, planFile = filepath.Join(dir, "rollout.yaml"), filepath.Join(dir, "plan.json")
	require.NoError(t, os.WriteFile(document, fmt.Appendf(nil, `apiVersion: reimage/v1
kind: Rollout
metadata: {name: %s}
spec:
  select: {names: ["*"]}
  image: {id: %s}
  api: v2
  userDataFrom: file:cloud-config
  countOthers: false
  servers: {unfit: skip}
`, name, lab.OtherImage(lab.Cloud.Servers()[0]).ID), 0o600))
	return document, planFile
}

// TestUserDataEditedAfterThePlan is refused by apply before anything is touched. With the planned content back, the same
// plan is carried out.
func TestUserDataEditedAfterThePlan(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 2})
	lab.StartWorker(nil)
	const planned, edited = "#cloud-config\nruncmd: []\n", "#cloud-config\nruncmd: [planted-user-data-marker]\n"
	lab.Secret("cloud-config", planned)
	document, planFile := writeRollout(t, lab, "pinned")
	made := machine.CLI(t, "plan", "-f", document, "-o", planFile, "--task-queue", lab.Queue)
	require.Equal(t, 0, made.Code)
	assert.Regexp(t, `user data in file:cloud-config \(digest [0-9a-f]{12}\)`, made.Out)

	lab.Secret("cloud-config", edited)
	refused := machine.CLI(t, "apply", planFile, "--yes", "--task-queue", lab.Queue)
	assert.Equal(t, 1, refused.Code)
	assert.Contains(t, refused.ErrOut, "user data from file:cloud-config: its content is not what was planned")
	assert.Contains(t, refused.ErrOut, "Nothing was started. Make a new plan with: reimage plan")
	assert.NotContains(t, refused.ErrOut, "planted-user-data-marker")
	requireNothingWritten(t, lab)

	lab.Secret("cloud-config", planned)
	require.Equal(t, 0, machine.CLI(t, "apply", planFile, "--yes", "--task-queue", lab.Queue).Code)
	for _, server := range lab.Cloud.Servers() {
		if lab.Accepted(server.ID) > 0 {
			assert.Equal(t, sha256Hex(planned), server.UserDataSHA256)
		}
	}
}

// TestUserDataEditedBeforeTheConsent: the server is changed with what was looked at, or not at all.
func TestUserDataEditedBeforeTheConsent(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{})
	lab.StartWorker(nil)
	lab.Secret("cloud-config", "#cloud-config\nruncmd: []\n")
	server := lab.Server("ACTIVE")
	c := machine.Command(t, "server", server.ID, "--image", lab.OtherImage(server).ID, "--user-data-from", "file:cloud-config", "--task-queue", lab.Queue)
	input := c.Input()
	c.Start()
	lab.Eventually("consent is asked for", func() bool { return strings.Contains(c.ErrOutput(), "Type yes") })
	lab.Secret("cloud-config", "#cloud-config\nruncmd: [another]\n")
	_, err := io.WriteString(input, "yes\n")
	require.NoError(t, err)
	ran := c.Wait()
	assert.Equal(t, 1, ran.Code)
	assert.Contains(t, ran.ErrOut, "was not changed")
	assert.Contains(t, ran.Out+ran.ErrOut, "user data from file:cloud-config: its content is not what was planned")
	requireNothingWritten(t, lab)
}

// TestUserDataThatNothingReads: every command that shows what will be done warns of it, before the consent.
func TestUserDataThatNothingReads(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 2})
	lab.StartWorker(nil)
	lab.Secret("cloud-config", base64.StdEncoding.EncodeToString([]byte("#cloud-config\nruncmd: []\n")))
	document, planFile := writeRollout(t, lab, "unread")
	server := lab.Cloud.Servers()[0]
	for _, args := range [][]string{
		{"plan", "-f", document, "-o", planFile},
		{"apply", planFile},
		{"server", server.ID, "--image", lab.OtherImage(server).ID, "--user-data-from", "file:cloud-config"},
	} {
		ran := machine.CLI(t, append(args, "--task-queue", lab.Queue)...)
		assert.Contains(t, ran.Out+ran.ErrOut, "user data from file:cloud-config looks like base64 of a cloud-config", args[0])
	}
	requireNothingWritten(t, lab)
}
