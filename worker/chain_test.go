package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// credentialsFile writes a credentials file of the official SDK where that looks for it, and gives the HOME.
func credentialsFile(t *testing.T, text string) (path, home string) {
	t.Helper()
	home = t.TempDir()
	path = filepath.Join(home, ".huaweicloud", "credentials")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path, home
}

// goodFile is as the official SDK's own test writes it: two sections, blanks at the ends, a comment.
const goodFile = `
# of the whole team
[global]
ak = another
sk = account
domain_id = elsewhere

[basic]
ak = ` + emulator.DefaultAccessKey + `
sk = "` + emulator.DefaultSecretKey + `"
project_id: ` + emulator.DefaultProjectID + `   
`

// TestCredentialsFile is read from where the official SDK looks, or from where its variable points.
func TestCredentialsFile(t *testing.T) {
	path, home := credentialsFile(t, goodFile)
	for name, variable := range map[string]map[string]string{
		"at home":      {"HOME": home},
		"elsewhere":    {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": path},
		"of a profile": with(prefixed("WEB_", map[string]string{"HUAWEICLOUD_SDK_CREDENTIALS_FILE": path}), map[string]string{"REIMAGE_PROFILES": "web"}),
	} {
		t.Run(name, func(t *testing.T) {
			cloud, env := emulated(t)
			cfg, err := loadConfig(lookup(with(with(env, prefixed("WEB_", env)), variable)))
			require.NoError(t, err)
			assert.Equal(t, "access key of "+path, cfg.Clouds[0].Source)
			client := opened(t, cfg)
			require.NoError(t, client.Resolve(t.Context()))
			assert.Equal(t, emulator.DefaultProjectID, client.ProjectID(), "the project of the file goes with its keys")
			_, err = client.Server(t.Context(), cloud.Servers()[0].ID)
			assert.NoError(t, err)
		})
	}
}

// TestCredentialsFileOfTemporaryKeys has a security token and an identity service.
func TestCredentialsFileOfTemporaryKeys(t *testing.T) {
	_, home := credentialsFile(t, "[basic]\nak=AK\nsk=SK\nsecurity_token=ST\niam_endpoint=https://iam.eu-nl.otc.t-systems.com\n")
	cfg, err := loadConfig(lookup(map[string]string{"HOME": home, "HW_REGION_NAME": "eu-de"}))
	require.NoError(t, err)
	key, ok := cfg.Clouds[0].Credentials.(ecs.AccessKey)
	require.True(t, ok)
	assert.Equal(t, [3]string{"AK", "SK", "ST"}, [3]string{key.ID, key.Secret.Reveal(), key.SecurityToken.Reveal()})
	assert.Equal(t, "https://iam.eu-nl.otc.t-systems.com", cfg.Clouds[0].Identity.URL)
}

// TestOrderOfCredentials: the first that is there counts, and parts of two are never mixed.
func TestOrderOfCredentials(t *testing.T) {
	path, home := credentialsFile(t, goodFile)
	_, env := emulated(t)
	env["HOME"] = home
	otc := cloudsYAML(t, "clouds: {otc: {auth: {token: t, project_id: p}}}", "", "otc")
	token := map[string]string{"OS_TOKEN": "t"}
	everything := with(with(with(with(env, otc), aKey), aUser), token)
	for _, want := range []string{
		"token of OS_CLOUD=otc", "access key of HW_ACCESS_KEY", "user of OS_USERNAME", "token of OS_TOKEN", "access key of " + path, "agency of this server",
	} {
		cfg, err := loadConfig(lookup(everything))
		require.NoError(t, err)
		assert.Equal(t, want, cfg.Clouds[0].Source)
		for _, name := range map[string][]string{
			"token of OS_CLOUD=otc": {"OS_CLOUD"}, "access key of HW_ACCESS_KEY": {"HW_ACCESS_KEY", "HW_SECRET_KEY"},
			"user of OS_USERNAME": {"OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME"}, "token of OS_TOKEN": {"OS_TOKEN"},
			"access key of " + path: {"HOME"},
		}[want] {
			delete(everything, name)
		}
	}

	_, err := loadConfig(lookup(with(env, map[string]string{"HW_SECURITY_TOKEN": "of-other-keys"})))
	require.ErrorContains(t, err, "an access key and its secret key go together")
	assert.NotContains(t, err.Error(), "of-other-keys")
}

// TestCredentialsFileThatIsWrong is named by its path, and never by what is in it.
func TestCredentialsFileThatIsWrong(t *testing.T) {
	_, env := emulated(t)
	for says, text := range map[string]string{
		"is not a credentials file that can be read": "[basic]\nak planted-secret\n",
		"needs both ak and sk":                       "[basic]\nsk = planted-secret\n",
		"needs both ak and sk in its section":        "[global]\nak = planted-secret\nsk = planted-secret\n",
	} {
		path, home := credentialsFile(t, text)
		_, err := loadConfig(lookup(with(env, map[string]string{"HOME": home})))
		require.ErrorContains(t, err, path+" ")
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "planted")
		assert.NotContains(t, err.Error(), "no cloud credentials")
	}
	_, err := loadConfig(lookup(with(env, map[string]string{"HUAWEICLOUD_SDK_CREDENTIALS_FILE": t.Name()})))
	assert.ErrorContains(t, err, "HUAWEICLOUD_SDK_CREDENTIALS_FILE: open "+t.Name())
	_, err = loadConfig(lookup(map[string]string{"REIMAGE_PROFILES": "web", "WEB_HUAWEICLOUD_SDK_CREDENTIALS_FILE": t.Name()}))
	assert.ErrorContains(t, err, "profile web, whose variables begin with WEB_: HUAWEICLOUD_SDK_CREDENTIALS_FILE: open "+t.Name())
}

// TestCredentialsFileThatIsNoFile is passed over only when nobody named it and it cannot be there.
func TestCredentialsFileThatIsNoFile(t *testing.T) {
	_, env := emulated(t)
	cfg, err := loadConfig(lookup(with(env, map[string]string{"HOME": "/dev/null"})))
	require.NoError(t, err)
	assert.Equal(t, "agency of this server", cfg.Clouds[0].Source)

	_, err = loadConfig(lookup(with(env, map[string]string{"HUAWEICLOUD_SDK_CREDENTIALS_FILE": "/dev/null/credentials"})))
	require.ErrorContains(t, err, "/dev/null/credentials")

	home := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".huaweicloud", "credentials"), 0o700))
	_, err = loadConfig(lookup(with(env, map[string]string{"HOME": home})))
	require.ErrorContains(t, err, filepath.Join(home, ".huaweicloud", "credentials"))
	assert.ErrorContains(t, err, "set HOME to another folder, or HUAWEICLOUD_SDK_CREDENTIALS_FILE to another file")
}

// TestAgency: a worker that was given no credentials works with those of its server.
func TestAgency(t *testing.T) {
	cloud, env := emulated(t)
	env["REIMAGE_METADATA_ENDPOINT"] = env["REIMAGE_ECS_ENDPOINT"]
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	profiles, err := makeProfiles(cfg.Clouds)
	require.NoError(t, err)
	assert.Empty(t, cloud.Ledger().Requests)
	require.NoError(t, profiles[0].Cloud.Resolve(t.Context()))
	_, err = profiles[0].Cloud.Server(t.Context(), cloud.Servers()[0].ID)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"default: project " + emulator.DefaultProjectID + " at " + env["REIMAGE_ECS_ENDPOINT"] + ", edition any, agency of this server",
	}, described(cfg.Clouds, profiles))
}

// TestNoCredentialsAtAll: whoever forgot them reads which to set, and that no agency was found either.
func TestNoCredentialsAtAll(t *testing.T) {
	_, env := emulated(t)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	env["REIMAGE_METADATA_ENDPOINT"] = nobody.URL
	for _, changes := range []map[string]string{nil, {"OS_PROJECT_ID": emulator.DefaultProjectID}} {
		lines := introduced(t, with(env, changes))
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "default: there are no cloud credentials: set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or ")
		assert.Contains(t, lines[0], "grants none either: open a session of the metadata service at "+nobody.URL+": ")
	}

	cfg, err := loadConfig(lookup(map[string]string{"HW_REGION_NAME": "eu-de"}))
	require.NoError(t, err)
	assert.Equal(t, ecs.MetadataURL, cfg.Clouds[0].Agency.URL)
}

// TestAgencyWithoutAProject: whoever asks for the agency is not told that there are no credentials. Who may just have
// forgotten them is.
func TestAgencyWithoutAProject(t *testing.T) {
	const missing = "the project is not known: set its id in HUAWEICLOUD_SDK_PROJECT_ID or "
	_, env := emulated(t)
	delete(env, "OS_PROJECT_NAME")
	_, err := loadConfig(lookup(env))
	require.ErrorContains(t, err, missing)
	assert.ErrorContains(t, err, "there are no cloud credentials in the settings, so those of the agency of this server are used; if it has none, set HUAWEICLOUD_SDK_AK and ")

	env["REIMAGE_METADATA_ENDPOINT"] = env["REIMAGE_ECS_ENDPOINT"]
	_, err = loadConfig(lookup(env))
	require.ErrorContains(t, err, "the credentials are those of the agency of this server, but "+missing)
	assert.NotContains(t, err.Error(), "no cloud credentials")
}

// TestProfilesShareNoAgency unless each asks for it.
func TestProfilesShareNoAgency(t *testing.T) {
	_, web := emulated(t)
	env := prefixed("WEB_", web)
	env["REIMAGE_PROFILES"] = "web"
	env["REIMAGE_METADATA_ENDPOINT"] = web["REIMAGE_ECS_ENDPOINT"]
	_, err := loadConfig(lookup(env))
	require.ErrorContains(t, err, "there are no cloud credentials")
	env["WEB_REIMAGE_METADATA_ENDPOINT"] = web["REIMAGE_ECS_ENDPOINT"]
	_, err = loadConfig(lookup(env))
	assert.NoError(t, err)
}
