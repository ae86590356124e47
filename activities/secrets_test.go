package activities_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// secretsIn is a secrets folder with one secret of each kind, and an environment. Beside the folder lies
// a file that no reference may reach.
func secretsIn(t *testing.T) activities.Secrets {
	t.Helper()
	above := t.TempDir()
	dir := filepath.Join(above, "secrets")
	write := func(path, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	write(filepath.Join(dir, "root"), plantedPassword)
	write(filepath.Join(dir, "web", "cloud-config"), plantedUserData)
	write(filepath.Join(dir, "empty"), "")
	write(filepath.Join(dir, "largest"), strings.Repeat("x", 1<<20))
	write(filepath.Join(dir, "too-large"), plantedPassword+strings.Repeat("x", 1<<20))
	write(filepath.Join(above, "outside"), plantedPassword)
	write(filepath.Join(above, "secrets-of-others", "root"), plantedPassword)
	for link, target := range map[string]string{
		"link-out": filepath.Join(above, "outside"), "link-up": "../outside", "folder-out": above, "link-in": "root",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	write(filepath.Join(dir, "blank"), " \t\n\n")
	environment := map[string]string{
		"REIMAGE_SECRET_ROOT_PASSWORD": plantedPassword, "REIMAGE_SECRET_EMPTY": "", "REIMAGE_SECRET_LINE_BREAK": "\r\n", "REIMAGE_SECRET_X": "x",
	}
	for _, name := range notSecrets() {
		environment[name] = plantedPassword
	}
	return activities.Secrets{Dir: dir, LookupEnv: func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	}}
}

// notSecrets are variables of the worker that nobody named as secrets, its own credentials among them.
func notSecrets() []string {
	return []string{
		"HUAWEICLOUD_SDK_SK", "HW_SECRET_KEY", "OS_PASSWORD", "TEMPORAL_API_KEY", "TEMPORAL_TLS_CLIENT_KEY_DATA", "REIMAGE_SECRETS_DIR",
		"HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY", "ROOT_PASSWORD", "PATH", "REIMAGE_SECRET", "reimage_secret_x", " REIMAGE_SECRET_X",
	}
}

func TestSecretsResolve(t *testing.T) {
	secrets := secretsIn(t)
	for ref, want := range map[rollout.SecretRef]string{
		"":                                 "",
		"env:REIMAGE_SECRET_ROOT_PASSWORD": plantedPassword,
		"env:REIMAGE_SECRET_X":             "x",
		"file:root":                        plantedPassword,
		"file:./root":                      plantedPassword,
		"file:web/cloud-config":            plantedUserData,
		"file:web/../root":                 plantedPassword,
		"file:link-in":                     plantedPassword,
		"file:largest":                     strings.Repeat("x", 1<<20),
		rollout.SecretRef("file:" + filepath.Join(secrets.Dir, "web", "cloud-config")): plantedUserData,
	} {
		got, err := secrets.Resolve(ref)
		require.NoError(t, err, ref)
		assert.Equal(t, want, got.Reveal(), ref)
	}
}

// TestSecretsOutOfReach: an operator who may start workflows must not read the worker's credentials
// through the user data of a server.
func TestSecretsOutOfReach(t *testing.T) {
	secrets := secretsIn(t)
	above := filepath.Dir(secrets.Dir)
	tests := map[rollout.SecretRef]string{
		"env:REIMAGE_SECRET_NOT_THERE":  "the worker's environment does not hold it",
		"env:REIMAGE_SECRET_EMPTY":      "it is empty on the worker",
		"env:REIMAGE_SECRET_LINE_BREAK": "it is empty on the worker",
		"file:not-there":                "does not hold it",
		"file:blank":                    "it is empty on the worker",
		"file:empty":                    "it is empty on the worker",
		"file:too-large":                "it is larger than 1024 KB",
		"file:web":                      "file:web",
		"file:.":                        "file:.",
		"file:../outside":               "it lies outside the worker's secrets folder",
		"file:web/../../outside":        "it lies outside the worker's secrets folder",
		"file:link-out":                 "file:link-out",
		"file:link-up":                  "file:link-up",
		"file:folder-out/outside":       "file:folder-out/outside",
		"file:root\x00x":                "file:root",
		"file:/etc/hostname":            "it lies outside the worker's secrets folder",
		rollout.SecretRef("file:" + filepath.Join(above, "outside")):                   "it lies outside the worker's secrets folder",
		rollout.SecretRef("file:" + filepath.Join(above, "secrets-of-others", "root")): "it lies outside the worker's secrets folder",
		rollout.SecretRef("file:" + secrets.Dir + "/../outside"):                       "it lies outside the worker's secrets folder",
	}
	for _, name := range notSecrets() {
		tests[rollout.SecretRef("env:"+name)] = "only variables of the worker that begin with REIMAGE_SECRET_ are handed out: use env:REIMAGE_SECRET_NAME"
	}
	for ref, says := range tests {
		t.Run(string(ref), func(t *testing.T) {
			got, err := secrets.Resolve(ref)
			require.ErrorContains(t, err, says)
			assert.True(t, got.Empty())
			assert.NotContains(t, err.Error(), plantedPassword)
		})
	}
}

// TestSecretsTypedInPlaceOfAReference are not repeated.
func TestSecretsTypedInPlaceOfAReference(t *testing.T) {
	for _, ref := range []rollout.SecretRef{plantedPassword, "vault:" + plantedPassword, ":" + plantedPassword, "ENV:" + plantedPassword, "file:", "env:"} {
		_, err := secretsIn(t).Resolve(ref)
		require.ErrorContains(t, err, "the reference must be env:REIMAGE_SECRET_NAME or file:PATH")
		assert.NotContains(t, err.Error(), plantedPassword)
	}
}

func TestSecretsWithoutAFolder(t *testing.T) {
	secrets := secretsIn(t)
	secrets.Dir = ""
	for _, ref := range []rollout.SecretRef{"file:root", "file:/etc/hostname"} {
		_, err := secrets.Resolve(ref)
		require.ErrorContains(t, err, "the worker has no secrets folder (REIMAGE_SECRETS_DIR)")
	}
	secrets.Dir = filepath.Join(t.TempDir(), "not-there")
	_, err := secrets.Resolve("file:root")
	require.ErrorContains(t, err, "the worker cannot open its secrets folder")
}

// TestWorkOfAWorkerWithoutTheSecretIsHandedBack: no look, plan or check is spoilt by one worker that lacks what others have. When none
// has it, the caller gets the names of the worker and the reference, and no server is refused for it.
func TestWorkOfAWorkerWithoutTheSecretIsHandedBack(t *testing.T) {
	const says = "password from env:REIMAGE_SECRET_NOT_THERE: the worker's environment does not hold it (worker 4711@build-07)"
	inLab(t, fleetSized(1), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		l.acts.Secrets.Worker = "4711@build-07"
		look := l.question()
		look.Change.Login.PasswordFrom, look.Change.UserDataFrom = "env:REIMAGE_SECRET_NOT_THERE", ""
		doc := l.planOf(selectsEvery, func(s *document.Spec) { s.Login.PasswordFrom = "env:REIMAGE_SECRET_NOT_THERE" })
		plan.Change.Login.PasswordFrom = "env:REIMAGE_SECRET_NOT_THERE"
		require.NoError(l, plan.Seal())
		for n := int32(1); n < 6; n++ {
			for _, err := range []error{
				run(l, l.acts.Preflight, look, attempt{number: n}).err,
				run(l, l.acts.MakePlan, doc, attempt{number: n}).err,
				run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{number: n}).err,
			} {
				assert.Equal(l, says, failsWith(l, err, api.ErrSecret, false).Message())
			}
		}
		assert.Equal(l, says, failsWith(l, run(l, l.acts.Preflight, look, attempt{number: 6}).err, api.ErrSecret, true).Message())
		assert.Contains(l, l.makePlan(doc).result.Problems, says)
	})
}

// TestSecretsFolderThatCannotBeUsed ends the start of a worker.
func TestSecretsFolderThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.NoError(t, activities.Secrets{}.CheckDir())
	assert.NoError(t, activities.Secrets{Dir: dir}.CheckDir())
	assert.NoError(t, activities.Secrets{Dir: t.TempDir()}.CheckDir(), "an empty one")
	assert.EqualError(t, activities.Secrets{Dir: file}.CheckDir(), file+" is not a folder")
	assert.EqualError(t, activities.Secrets{Dir: dir + "/gone"}.CheckDir(), "there is no folder "+dir+"/gone: create or mount it, or unset the variable")
}
