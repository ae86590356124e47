package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// otcSample is the smallest clouds.yaml in the README of python-otcextensions, word by word.
const otcSample = `
clouds:
  otc:
    profile: otc
    auth:
      username: '<USER_NAME>'
      password: '<PASSWORD>'
      project_name: '<eu-de_project>'
      # or project_id: '<123456_PROJECT_ID>'
      user_domain_name: 'OTC00000000001000000xxx'
      # or user_domain_id: '<123456_DOMAIN_ID>'
      auth_url: 'https://iam.eu-de.otc.t-systems.com:443/v3'
    interface: 'public'
    identity_api_version: 3 # !Important
    ak: '<AK_VALUE>' # AK/SK pair for access to OBS
    sk: '<SK_VALUE>'
`

// TestOTCSamples: what OTC tells its users to write works as it stands, as a file and as variables.
func TestOTCSamples(t *testing.T) {
	for source, env := range map[string]map[string]string{
		"user of OS_CLOUD=otc": cloudsYAML(t, otcSample, "", "otc"),
		"user of OS_USERNAME": {
			"OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com:443/v3", "OS_IDENTITY_API_VERSION": "3",
			"OS_PROJECT_NAME": "<eu-de_project>", "OS_PROJECT_DOMAIN_NAME": "<project-domain-name>",
			"OS_USERNAME": "<USER_NAME>", "OS_USER_DOMAIN_NAME": "OTC00000000001000000xxx", "OS_PASSWORD": "<PASSWORD>",
			"S3_ACCESS_KEY_ID": "<access_key>", "S3_SECRET_ACCESS_KEY": "<secret_access_key>",
		},
	} {
		cfg, err := loadConfig(lookup(env))
		require.NoError(t, err, source)
		c := cfg.Clouds[0]
		assert.Equal(t, source, c.Source)
		assert.Equal(t, "https://ecs.eu-de.otc.t-systems.com", c.ECS)
		assert.Equal(t, "https://ims.eu-de.otc.t-systems.com", c.IMS)
		assert.Equal(t, "https://iam.eu-de.otc.t-systems.com:443/v3", c.Identity.URL)
		assert.Equal(t, "otc", c.Edition.Name)
		assert.Equal(t, [4]string{"<USER_NAME>", "<PASSWORD>", "OTC00000000001000000xxx", "<eu-de_project>"},
			[4]string{c.Login.User, c.Login.Password.Reveal(), c.Login.Domain, c.Login.ProjectName})
	}
}

// TestPlacesInCloudsYAML: region and domain follow from what the entry says, and never from anything beside it.
func TestPlacesInCloudsYAML(t *testing.T) {
	const key = "project_id: p, ak: a, sk: s"
	for entry, want := range map[string]string{
		`{profile: otc, auth: {` + key + `}}`:                                                           "https://ecs.eu-de.otc.t-systems.com",
		`{profile: otc, region_name: eu-nl, auth: {` + key + `}}`:                                       "https://ecs.eu-nl.otc.t-systems.com",
		`{profile: otc, auth: {auth_url: "https://iam.eu-nl.otc.t-systems.com/v3", ` + key + `}}`:       "https://ecs.eu-nl.otc.t-systems.com",
		`{cloud: otc-swiss, auth: {` + key + `}}`:                                                       "https://ecs.eu-ch2.sc.otc.t-systems.com",
		`{auth: {auth_url: "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", ` + key + `}}`:             "https://ecs.eu-ch2.sc.otc.t-systems.com",
		`{regions: [eu-nl], auth: {auth_url: "https://iam.eu-de.otc.t-systems.com", ` + key + `}}`:      "https://ecs.eu-nl.otc.t-systems.com",
		`{region_name: ap-southeast-1, auth: {auth_url: "https://iam.myhuaweicloud.com", ` + key + `}}`: "https://ecs.ap-southeast-1.myhuaweicloud.com",
		`{region_name: eu-de, auth: {` + key + `}}`:                                                     "https://ecs.eu-de.otc.t-systems.com",
		`{profile: ours, auth: {` + key + `}}`:                                                          "https://ecs.my-lab-1.cloud.example",
		`{profile: ours, region_name: my-lab-2, auth: {` + key + `}}`:                                   "https://ecs.my-lab-2.cloud.example",
	} {
		env := with(cloudsYAML(t, "clouds: {it: "+entry+"}", "", "it"), map[string]string{
			"HW_CLOUD": "left.over.example", "HW_REGION_NAME": "cn-north-4", "OS_AUTH_URL": "https://iam.left.over.example",
		})
		public := filepath.Join(filepath.Dir(env["OS_CLIENT_CONFIG_FILE"]), "clouds-public.yaml")
		require.NoError(t, os.WriteFile(public, []byte(`public-clouds: {ours: {auth: {auth_url: "https://iam.{region_name}.cloud.example/v3"}, regions: [my-lab-1]}}`), 0o600))
		cfg, err := loadConfig(lookup(env))
		require.NoError(t, err, entry)
		assert.Equal(t, want, cfg.Clouds[0].ECS, entry)
	}

	for entry, says := range map[string]string{
		`{auth: {` + key + `}}`:                          "set REIMAGE_ECS_ENDPOINT, or the region in region_name of OS_CLOUD=it",
		`{profile: elsewhere, auth: {` + key + `}}`:      `cloud "it" in `,
		`{region_name: cn-north-4, auth: {` + key + `}}`: "nothing tells which cloud has region cn-north-4: set auth_url of OS_CLOUD=it to https://iam.REGION.DOMAIN, or REIMAGE_ECS_ENDPOINT and",
		`{region_name: eu-ch2, auth: {auth_url: "https://iam.eu-de.otc.t-systems.com/v3", ` + key + `}}`:     "region eu-ch2 is not known to be at iam.eu-de.otc.t-systems.com, where auth_url of OS_CLOUD=it leads",
		`{region_name: eu-de, auth: {auth_url: "https://iam-pub.eu-ch2.sc.otc.t-systems.com", ` + key + `}}`: "region eu-de is not known to be at iam-pub.eu-ch2.sc.otc.t-systems.com",
		`{region_name: eu-de, auth: {auth_url: "iam.cloud.example/v3", ` + key + `}}`:                        "region eu-de is not known to be at iam.cloud.example",
	} {
		_, err := loadConfig(lookup(cloudsYAML(t, "clouds: {it: "+entry+"}", "", "it")))
		require.ErrorContains(t, err, says, entry)
		for _, ignored := range []string{"HW_", "HUAWEICLOUD_", "OS_REGION", "OS_AUTH_URL"} {
			assert.NotContains(t, err.Error(), ignored, "it does not count beside OS_CLOUD")
		}
	}
}

// TestOwnIdentityServiceBesideCloudsYAML is what leads away, and not the auth_url of the entry, which does not count then.
func TestOwnIdentityServiceBesideCloudsYAML(t *testing.T) {
	_, err := loadConfig(lookup(with(cloudsYAML(t, otcSample, "", "otc"), map[string]string{"REIMAGE_IAM_ENDPOINT": "https://iam.internal.example"})))
	assert.EqualError(t, err, "region eu-de is not known to be at iam.internal.example, where REIMAGE_IAM_ENDPOINT leads, "+
		"and its services are not looked for in another cloud: set REIMAGE_ECS_ENDPOINT and REIMAGE_IMS_ENDPOINT")
}

// TestOnlyTheNamedEntryIsRead: what another one has in it is for other tools.
func TestOnlyTheNamedEntryIsRead(t *testing.T) {
	const clouds = `
.defaults: &defaults
  region_name: eu-nl
clouds:
  other:
    region_name: [a, b]
    auth: {password: {of: [another, kind]}}
  it:
    <<: *defaults
    networks: [1, 2]
    auth: {token: 0123, project_id: p}
  nested: {region_name: eu-de, auth: {password: {the: planted-secret}}}
  listed: {region_name: [planted-secret]}
`
	cfg, err := loadConfig(lookup(cloudsYAML(t, clouds, "clouds: {other: planted-secret}", "it")))
	require.NoError(t, err)
	assert.Equal(t, "https://ecs.eu-nl.otc.t-systems.com", cfg.Clouds[0].ECS)
	assert.Equal(t, "token of OS_CLOUD=it", cfg.Clouds[0].Source)

	for name, says := range map[string]string{
		"nested": `has a password that is no text`, "listed": `its profile, region_name and cacert are text`,
	} {
		env := cloudsYAML(t, clouds, "clouds: {other: planted-secret}", name)
		_, err := loadConfig(lookup(env))
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, `cloud "`+name+`" in `+env["OS_CLIENT_CONFIG_FILE"])
		assert.NotContains(t, err.Error(), "planted")
	}
	env := cloudsYAML(t, clouds, "clouds: {it: planted-secret}", "it")
	_, err = loadConfig(lookup(env))
	require.ErrorContains(t, err, `cloud "it" in `+filepath.Join(filepath.Dir(env["OS_CLIENT_CONFIG_FILE"]), "secure.yaml")+" cannot be read")
	assert.NotContains(t, err.Error(), "planted-secret")
}

// TestFilesOfTheToolsAreLookedForByThemselves: whoever shares a clouds.yaml keeps the password at home.
func TestFilesOfTheToolsAreLookedForByThemselves(t *testing.T) {
	const entry = "clouds: {it: {profile: ours, auth: {username: u, user_domain_name: d, project_id: p}}}"
	const public = `public-clouds: {ours: {auth: {auth_url: "https://iam.{region_name}.cloud.example/v3"}, regions: [my-lab-1]}}`
	home := t.TempDir()
	config := filepath.Join(home, ".config", "openstack")
	require.NoError(t, os.MkdirAll(config, 0o700))
	write := func(path, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	env := with(cloudsYAML(t, entry, "", "it"), map[string]string{"HOME": home})
	password := func() string {
		t.Helper()
		cfg, err := loadConfig(lookup(env))
		require.NoError(t, err)
		assert.Equal(t, "https://ecs.my-lab-1.cloud.example", cfg.Clouds[0].ECS)
		return cfg.Clouds[0].Login.Password.Reveal()
	}

	_, err := loadConfig(lookup(env))
	require.ErrorContains(t, err, `its profile "ours" is not known`)
	write(filepath.Join(config, "secure.yaml"), "clouds: {it: {auth: {password: at-home}}}")
	write(filepath.Join(config, "clouds-public.yaml"), public)
	assert.Equal(t, "at-home", password())

	beside := filepath.Join(filepath.Dir(env["OS_CLIENT_CONFIG_FILE"]), "secure.yaml")
	write(beside, "clouds: {it: {auth: {password: beside}}}")
	assert.Equal(t, "beside", password())

	env["OS_CLIENT_SECURE_FILE"], env["OS_CLIENT_VENDOR_FILE"] = filepath.Join(home, "s"), filepath.Join(home, "p")
	_, err = loadConfig(lookup(env))
	require.ErrorContains(t, err, ", which OS_CLIENT_SECURE_FILE names")
	write(env["OS_CLIENT_SECURE_FILE"], "clouds: {it: {auth: {password: given}}}")
	_, err = loadConfig(lookup(env))
	require.ErrorContains(t, err, ", which OS_CLIENT_VENDOR_FILE names")
	write(env["OS_CLIENT_VENDOR_FILE"], public)
	assert.Equal(t, "given", password())
}

// TestTwoFilesThatSignInDifferently would mix two accounts unseen.
func TestTwoFilesThatSignInDifferently(t *testing.T) {
	const place = "region_name: eu-de, auth: {project_id: p, "
	user := place + "username: u, user_domain_name: d, password: planted}"
	for name, test := range map[string]struct{ plain, secure, says string }{
		"a user, and a key":     {user, "auth: {ak: planted, sk: planted}", "signs in by a user in "},
		"a key, and a token":    {place + "ak: a, sk: planted}", "auth: {token: planted}", "signs in by an access key in "},
		"the same":              {user, "auth: {password: planted}", ""},
		"the rest of it":        {place + "ak: a}", "auth: {sk: planted}", ""},
		"several, in one place": {place + "ak: a, sk: planted, token: planted}", "auth: {project_id: q}", ""},
	} {
		env := cloudsYAML(t, "clouds: {it: {"+test.plain+"}}", "clouds: {it: {"+test.secure+"}}", "it")
		_, err := loadConfig(lookup(env))
		if test.says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, `cloud "it" `+test.says+env["OS_CLIENT_CONFIG_FILE"]+", and by ", name)
		assert.ErrorContains(t, err, filepath.Join(filepath.Dir(env["OS_CLIENT_CONFIG_FILE"]), "secure.yaml")+", which may be another account: take one of them out")
		assert.NotContains(t, err.Error(), "planted")
	}
}

// TestSecureFileThatCannotBeRead: what is in it may count, so it is not passed over.
func TestSecureFileThatCannotBeRead(t *testing.T) {
	env := cloudsYAML(t, otcSample, "", "otc")
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(env["OS_CLIENT_CONFIG_FILE"]), "secure.yaml"), 0o700))
	_, err := loadConfig(lookup(env))
	assert.ErrorContains(t, err, "is a directory: let the worker read it, or name another file in OS_CLIENT_SECURE_FILE")
}

// TestIncompleteEntry says what belongs into the entry, and no variable that does not count beside OS_CLOUD.
func TestIncompleteEntry(t *testing.T) {
	for auth, says := range map[string]string{
		`{project_id: p}`: "there are no cloud credentials in OS_CLOUD=it: its auth needs a username, a password and a user_domain_name, or a token, or an ak and an sk",
		`{project_id: p, username: u, password: planted}`: "there is username of OS_CLOUD=it and password of OS_CLOUD=it, and no user_domain_name or user_domain_id or ",
		`{project_id: p, ak: planted}`:                    "there is ak of OS_CLOUD=it, and no sk or secret_key of OS_CLOUD=it",
		`{project_id: p, ak: planted, access_key: other}`: "ak of OS_CLOUD=it and access_key of OS_CLOUD=it differ",
	} {
		_, err := loadConfig(lookup(cloudsYAML(t, "clouds: {it: {region_name: eu-de, auth: "+auth+"}}", "", "it")))
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "planted")
		assert.NotContains(t, strings.ReplaceAll(err.Error(), "OS_CLOUD=it", ""), "OS_")
		assert.NotContains(t, err.Error(), "HW_")
		assert.NotContains(t, err.Error(), "HUAWEICLOUD_")
	}
	_, err := loadConfig(lookup(cloudsYAML(t, "clouds: {it: {auth: {token: t}}}", "", "it")))
	assert.ErrorContains(t, err, "the project is not known: set its id in project_id or tenant_id of OS_CLOUD=it, or its name in project_name or tenant_name of OS_CLOUD=it")
}

// TestAccountByID: a user's account may be given by its id.
func TestAccountByID(t *testing.T) {
	_, env := emulated(t)
	body := `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "` + emulator.DefaultUserName + `", "password": "` +
		emulator.DefaultPassword + `", "domain": {"name": "` + emulator.DefaultDomainName + `"}}}}, "scope": {"project": {"name": "` + emulator.DefaultProjectName + `"}}}}`
	answer, err := http.Post(env["OS_AUTH_URL"]+"/auth/tokens", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer answer.Body.Close()
	var told struct {
		Token struct {
			User struct{ Domain struct{ ID string } }
		}
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&told))
	require.NotEmpty(t, told.Token.User.Domain.ID)

	cfg, err := loadConfig(lookup(with(env, with(aUser, map[string]string{"OS_USER_DOMAIN_NAME": "", "OS_USER_DOMAIN_ID": told.Token.User.Domain.ID}))))
	require.NoError(t, err)
	identity, err := ecs.NewIdentity(cfg.Clouds[0].Identity)
	require.NoError(t, err)
	defer identity.Close()
	user, err := ecs.NewUserToken(identity, *cfg.Clouds[0].Login)
	require.NoError(t, err)
	id, err := user.ProjectID(t.Context())
	require.NoError(t, err)
	assert.Equal(t, emulator.DefaultProjectID, id)
}
