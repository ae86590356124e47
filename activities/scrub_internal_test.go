package activities

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

const (
	ownKey       = "the-workers-own-secret-key"
	rootPassword = "Xk7-Pw/9"
	cloudConfig  = "#cloud-config\nchpasswd:\n  list:   root:pw-1357\nhuvud: [9]\nruncmd:\n  - 'join  swordfish'\n"
)

// scrubbing gives activities that know the secrets above, and a change that refers to them.
func scrubbing(t *testing.T) (site, rollout.Change) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "root"), []byte(rootPassword+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cloud-config"), []byte(cloudConfig), 0o600))
	cloud, err := ecs.New(ecs.Config{
		ProjectID: "p", ECS: "http://ecs.emulated", IMS: "http://ims.emulated",
		Credentials: ecs.AccessKey{ID: "the-workers-access-key", Secret: ecs.NewSecret(ownKey)},
	})
	require.NoError(t, err)
	t.Cleanup(cloud.Close)
	change := rollout.Change{Login: rollout.Login{PasswordFrom: "file:root"}, UserDataFrom: "file:cloud-config"}
	return site{&Activities{Secrets: Secrets{Dir: dir, LookupEnv: os.LookupEnv}}, Profile{Cloud: cloud}}, change
}

func TestScrub(t *testing.T) {
	acts, change := scrubbing(t)
	encoded := base64.StdEncoding.EncodeToString([]byte(cloudConfig))
	quoted, err := json.Marshal(cloudConfig)
	require.NoError(t, err)
	for said, want := range map[string]string{
		"":                                        "",
		"Ecs.0202: Failed to create the disk.":    "Ecs.0202: Failed to create the disk.",
		"password " + rootPassword + " is weak":   "password [redacted] is weak",
		"twice " + rootPassword + rootPassword:    "twice [redacted][redacted]",
		"user_data <" + cloudConfig + ">":         "user_data <[redacted]>",
		"user_data <" + encoded + ">":             "user_data <[redacted]>",
		"user_data " + encoded[8:40] + " is bad":  "user_data [redacted] is bad",
		"user_data " + string(quoted) + " is bad": `user_data "[redacted]" is bad`,
		"line 3: list:   root:pw-1357":            "line 3: [redacted]",
		"line 3: list: root:pw-1357":              "line 3: [redacted]",
		"line 4: huvud: [9] unknown":              "line 4: [redacted] unknown",
		"line 4: huvud: [8] unknown":              "line 4: huvud: [8] unknown",
		"signed with " + ownKey:                   "signed with [redacted]",
		strings.Repeat("x", 40) + " Xk7-Pw...":    strings.Repeat("x", 40) + " [redacted]...",
		"a Xk7-Pw...; b":                          "a [redacted]...; b",
		"first\nsecond":                           "first second",
	} {
		assert.Equal(t, want, acts.scrub(change, said), said)
	}
}

// TestScrubWithoutSecrets leaves the cloud's words as they are.
func TestScrubWithoutSecrets(t *testing.T) {
	acts, _ := scrubbing(t)
	assert.Equal(t, "password "+rootPassword, acts.scrub(rollout.Change{}, "password "+rootPassword))
	assert.Equal(t, "signed with [redacted]", acts.scrub(rollout.Change{}, "signed with "+ownKey))
}

// TestScrubInTheDark: what cannot be searched is not shown.
func TestScrubInTheDark(t *testing.T) {
	acts, known := scrubbing(t)
	for name, change := range map[string]rollout.Change{
		"password":  {Login: rollout.Login{PasswordFrom: "file:gone"}, UserDataFrom: known.UserDataFrom},
		"user data": {Login: known.Login, UserDataFrom: "env:REIMAGE_SECRET_GONE"},
	} {
		assert.Equal(t, "(the cloud's words are withheld: a secret could not be resolved)", acts.scrub(change, "it failed"), name)
		assert.Empty(t, acts.scrub(change, ""), name)
	}
}
