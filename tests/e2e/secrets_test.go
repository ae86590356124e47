package e2e

import (
	"bytes"
	"encoding/base64"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// TestSecretsStayWithTheWorker plants a password, user data and the worker's own key, lets changes
// succeed and fail, and then reads Temporal's database byte by byte.
func TestSecretsStayWithTheWorker(t *testing.T) {
	t.Parallel()
	const (
		password  = "Pl4nted-Passw0rd"
		userData  = "#cloud-config\n# planted-user-data-marker\n"
		secretKey = emulator.DefaultSecretKey
	)
	lab := machine.NewLab(t, emulator.Options{Faults: []emulator.Fault{
		// Refusals are the likeliest way for a secret to come back in somebody's words.
		{Op: "changeos", Kind: "refuse", Status: 400, Code: "Ecs.0005", Message: "adminpass " + password + " is bad", Times: 1},
	}})
	lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": password})
	lab.Secret("cloud-config", userData)
	server := lab.Server("SHUTOFF")
	image := lab.OtherImage(server).ID

	refused := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: image, Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}}))
	require.Equal(t, rollout.FailedIntact, refused.End, refused.Reason)
	assert.NotContains(t, refused.Reason, password)
	withPassword := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: image, Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}}))
	require.Equal(t, rollout.Done, withPassword.End, withPassword.Reason)
	withUserData := lab.Result(lab.Start(server.ID, rollout.Change{ImageID: image, UserDataFrom: "file:cloud-config", EvenIfSameImage: true}))
	require.Equal(t, rollout.Done, withUserData.End, withUserData.Reason)

	database := readDatabase(t)
	assert.Contains(t, string(database), server.ID, "the search finds what is there")
	assert.Contains(t, string(database), "env:REIMAGE_SECRET_ROOT_PASSWORD", "references are there")
	for what, secret := range map[string]string{
		"the password": password, "the user data": "planted-user-data-marker", "the user data in base64": base64.StdEncoding.EncodeToString([]byte(userData)),
		"the worker's secret key": secretKey,
	} {
		assert.False(t, bytes.Contains(database, []byte(secret)), "%s is in Temporal's database", what)
	}
}

// readDatabase reads the SQLite file and what has not been merged into it yet.
func readDatabase(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-journal"} {
		content, err := os.ReadFile(machine.DB + suffix)
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		all = append(all, content...)
	}
	return all
}
