package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// emulated is a cloud, and the settings that lead to it.
func emulated(t *testing.T) (*emulator.Emulator, map[string]string) {
	t.Helper()
	cloud, err := emulator.New(emulator.Options{Servers: 1})
	require.NoError(t, err)
	server := httptest.NewServer(cloud)
	t.Cleanup(server.Close)
	return cloud, map[string]string{
		"REIMAGE_ECS_ENDPOINT": server.URL, "REIMAGE_IMS_ENDPOINT": server.URL, "OS_AUTH_URL": server.URL + "/v3",
		"OS_PROJECT_NAME": emulator.DefaultProjectName,
	}
}

func with(env map[string]string, changes map[string]string) map[string]string {
	all := maps.Clone(env)
	maps.Copy(all, changes)
	return all
}

var (
	aUser = map[string]string{"OS_USERNAME": emulator.DefaultUserName, "OS_PASSWORD": emulator.DefaultPassword, "OS_USER_DOMAIN_NAME": emulator.DefaultDomainName}
	aKey  = map[string]string{"HW_ACCESS_KEY": emulator.DefaultAccessKey, "HW_SECRET_KEY": emulator.DefaultSecretKey}
)

// TestProjectIsLookedUp: a user and a key both reach the project by its name, and a server in it.
func TestProjectIsLookedUp(t *testing.T) {
	for name, credentials := range map[string]map[string]string{"user": aUser, "key": aKey} {
		t.Run(name, func(t *testing.T) {
			cloud, env := emulated(t)
			cfg, err := loadConfig(lookup(with(env, credentials)))
			require.NoError(t, err)
			client := opened(t, cfg)
			assert.Empty(t, cloud.Ledger().Requests, "until it is needed")
			require.NoError(t, client.Resolve(t.Context()))
			assert.Equal(t, emulator.DefaultProjectID, client.ProjectID())
			_, err = client.Server(t.Context(), cloud.Servers()[0].ID)
			assert.NoError(t, err)
			assert.LessOrEqual(t, cloud.Ledger().Requests["POST /v3/auth/tokens"], 1, "the token that told the project is used")
		})
	}
}

func TestIdentityURL(t *testing.T) {
	for _, path := range []string{"", "/", "/v3", "/v3/"} {
		_, env := emulated(t)
		env = with(env, with(aUser, map[string]string{"OS_AUTH_URL": env["REIMAGE_ECS_ENDPOINT"] + path}))
		cfg, err := loadConfig(lookup(env))
		require.NoError(t, err)
		assert.NoError(t, opened(t, cfg).Resolve(t.Context()), path)
	}
}

// TestRegionNamesTheProject: every account has a project of the region's name.
func TestRegionNamesTheProject(t *testing.T) {
	_, env := emulated(t)
	env = with(env, with(aUser, map[string]string{"OS_PROJECT_NAME": "", "OS_REGION_NAME": emulator.DefaultProjectName}))
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	client := opened(t, cfg)
	require.NoError(t, client.Resolve(t.Context()))
	assert.Equal(t, emulator.DefaultProjectID, client.ProjectID())
}

// TestKnownProjectAsksNobody: that takes no identity service.
func TestKnownProjectAsksNobody(t *testing.T) {
	for _, credentials := range []map[string]string{aUser, aKey} {
		cloud, env := emulated(t)
		cfg, err := loadConfig(lookup(with(with(env, credentials), map[string]string{"OS_PROJECT_ID": "0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80"})))
		require.NoError(t, err)
		require.NoError(t, opened(t, cfg).Resolve(t.Context()))
		assert.Empty(t, cloud.Ledger().Requests)
	}
}

// TestIdleConnectionsAreClosed, also those of the service that told the project.
func TestIdleConnectionsAreClosed(t *testing.T) {
	cloud, err := emulator.New(emulator.Options{Servers: 1})
	require.NoError(t, err)
	idle, closed := make(chan string, 10), make(chan string, 10)
	server := httptest.NewUnstartedServer(cloud)
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateIdle:
			idle <- conn.RemoteAddr().String()
		case http.StateClosed:
			closed <- conn.RemoteAddr().String()
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	cfg, err := loadConfig(lookup(with(aKey, map[string]string{
		"REIMAGE_ECS_ENDPOINT": server.URL, "REIMAGE_IMS_ENDPOINT": server.URL, "REIMAGE_IAM_ENDPOINT": server.URL, "HW_PROJECT_NAME": emulator.DefaultProjectName,
	})))
	require.NoError(t, err)
	require.NoError(t, opened(t, cfg).Resolve(t.Context()))
	asked := <-idle
	cfg.Clouds[0].close()
	select {
	case gone := <-closed:
		assert.Equal(t, asked, gone)
	case <-time.After(10 * time.Second):
		t.Error("the connection to the identity service is still open")
	}
}

// opened is the client of the first profile.
func opened(t *testing.T, cfg config) *ecs.Client {
	t.Helper()
	client, err := cfg.Clouds[0].client()
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// introduced is what a worker logs of its profiles once it has started, each line with its fields.
func introduced(t *testing.T, env map[string]string) []string {
	t.Helper()
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	profiles, err := makeProfiles(cfg.Clouds)
	require.NoError(t, err)
	core, seen := observer.New(zap.DebugLevel)
	introduce(t.Context(), zap.New(core), cfg.Clouds, &activities.Activities{Profiles: profiles})
	var lines []string
	for _, line := range seen.All() {
		fields := line.ContextMap()
		lines = append(lines, fmt.Sprint(line.Level, ": ", line.Message, ": ", fields["profile"], ": ", fields["error"]))
	}
	slices.Sort(lines)
	return lines
}

// TestProfileThatCannotBeUsed is named by a worker that serves all the same: what is wrong, and what to do.
func TestProfileThatCannotBeUsed(t *testing.T) {
	_, env := emulated(t)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	const noProject = `the credentials reach 0 projects of that name (check the name and the region, or set the id of the project: `
	const userInNowhere = `get a token for user "` + emulator.DefaultUserName + `" in project "nowhere": `
	for name, test := range map[string]struct {
		wrong map[string]string
		says  []string
	}{
		"project of a key":  {with(aKey, map[string]string{"OS_PROJECT_NAME": "nowhere"}), []string{`look up project "nowhere": `, noProject}},
		"project of a user": {with(aUser, map[string]string{"OS_PROJECT_NAME": "nowhere"}), []string{userInNowhere, "HTTP 401: the cloud's text is not kept", `(check that project "nowhere" is one of this cloud`}},
		"password":          {with(aUser, map[string]string{"OS_PASSWORD": "not-the-password-of-anybody"}), []string{"HTTP 401: the cloud's text is not kept", "(check the user, password and account)"}},
		"secret key":        {with(aKey, map[string]string{"HW_SECRET_KEY": "not-the-password-of-anybody"}), []string{"verify aksk signature fail", "(the secret key is not that of the access key"}},
		"silence":           {with(aUser, map[string]string{"OS_AUTH_URL": nobody.URL}), []string{"get a token for user", strings.TrimPrefix(nobody.URL, "http://")}},
	} {
		t.Run(name, func(t *testing.T) {
			lines := introduced(t, with(env, test.wrong))
			require.Len(t, lines, 1)
			assert.Contains(t, lines[0], "warn: a profile cannot be used yet: reimage doctor says what is in the way: default: find the project of profile default: ")
			for _, says := range test.says {
				assert.Contains(t, lines[0], says)
			}
			assert.NotContains(t, lines[0], "not-the-password-of-anybody")
		})
	}
}

// TestProfilesStandAlone: what is wrong with one is not in the way of the other.
func TestProfilesStandAlone(t *testing.T) {
	_, web := emulated(t)
	_, edge := emulated(t)
	env := with(prefixed("WEB_", with(web, with(aUser, map[string]string{"OS_PASSWORD": "not-the-password-of-anybody"}))), prefixed("EDGE_", with(edge, aUser)))
	env["REIMAGE_PROFILES"] = "web,edge"
	lines := introduced(t, env)
	require.Len(t, lines, 2)
	assert.Equal(t, "info: project found: edge: project "+emulator.DefaultProjectID+" at "+edge["REIMAGE_ECS_ENDPOINT"]+", edition any, user of EDGE_OS_USERNAME: <nil>", lines[0])
	assert.Contains(t, lines[1], "warn: a profile cannot be used yet: reimage doctor says what is in the way: web: ")
}

// TestHalfALogin names what goes together.
func TestHalfALogin(t *testing.T) {
	_, env := emulated(t)
	_, err := loadConfig(lookup(with(env, map[string]string{"HW_USER_NAME": "u", "HW_USER_PASSWORD": "not-the-password-of-anybody"})))
	require.Error(t, err)
	assert.ErrorContains(t, err, "there is HW_USER_NAME and HW_USER_PASSWORD, and no HW_DOMAIN_NAME or HW_DOMAIN_ID: set what is missing")
	assert.NotContains(t, err.Error(), "not-the-password-of-anybody")
}

// prefixed are the settings of a profile.
func prefixed(prefix string, env map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range env {
		all[prefix+name] = value
	}
	return all
}

// TestProfiles: each has settings of its own, under names of its own.
func TestProfiles(t *testing.T) {
	_, web := emulated(t)
	_, edge := emulated(t)
	env := with(prefixed("EU_WEB_", with(web, aUser)), prefixed("EDGE_", with(edge, with(aKey, map[string]string{"OS_PROJECT_ID": "6af1c92eaf7e471fb35c82eecd4b7b5d"}))))
	env["REIMAGE_PROFILES"] = "eu-web, edge"
	env["EU_WEB_REIMAGE_EDITION"] = "swiss-otc"
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	profiles, err := makeProfiles(cfg.Clouds)
	require.NoError(t, err)
	require.Len(t, profiles, 2)
	assert.Contains(t, described(cfg.Clouds, profiles)[0], `eu-web: project "`+emulator.DefaultProjectName+`" at `)
	require.NoError(t, profiles[0].Cloud.Resolve(t.Context()))
	assert.Equal(t, [2]string{"eu-web", emulator.DefaultProjectID}, [2]string{profiles[0].Name, profiles[0].Cloud.ProjectID()})
	assert.Equal(t, [2]string{"edge", "6af1c92eaf7e471fb35c82eecd4b7b5d"}, [2]string{profiles[1].Name, profiles[1].Cloud.ProjectID()})
	assert.Equal(t, []string{
		"eu-web: project " + emulator.DefaultProjectID + " at " + web["REIMAGE_ECS_ENDPOINT"] + ", edition swiss-otc, user of EU_WEB_OS_USERNAME",
		"edge: project 6af1c92eaf7e471fb35c82eecd4b7b5d at " + edge["REIMAGE_ECS_ENDPOINT"] + ", edition any, access key of EDGE_HW_ACCESS_KEY",
	}, described(cfg.Clouds, profiles))
}

// TestProfilesThatAreWrong: every problem at once, and nothing is taken from another profile or the plain names.
func TestProfilesThatAreWrong(t *testing.T) {
	_, web := emulated(t)
	env := with(with(web, aUser), prefixed("WEB_", with(web, aUser)))
	env["REIMAGE_PROFILES"] = "web,web,Edge,core,reimage-secret,lab"
	env = with(env, prefixed("LAB_", with(web, with(aUser, map[string]string{"REIMAGE_EDITION": "mars"}))))
	_, err := loadConfig(lookup(env))
	require.Error(t, err)
	for _, says := range []string{
		"names web twice", `"Edge" is no name of a profile`, `"reimage-secret" cannot be the name of a profile`,
		"profile core, whose variables begin with CORE_: there are no cloud credentials", "CORE_: the project is not known",
		`LAB_: REIMAGE_EDITION: edition "mars" is not known: it is one of any, huaweicloud,`,
	} {
		assert.ErrorContains(t, err, says)
	}
	assert.NotContains(t, err.Error(), "profile web,")

	env = with(prefixed("A_", with(web, aUser)), prefixed("B_", with(web, aKey)))
	env["REIMAGE_PROFILES"] = "a,b"
	assert.Contains(t, strings.Join(introduced(t, env), "\n"), "are of the same project, "+emulator.DefaultProjectID+": leave one of them out")
	env["A_OS_PROJECT_ID"], env["B_OS_PROJECT_ID"] = emulator.DefaultProjectID, emulator.DefaultProjectID
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	_, err = makeProfiles(cfg.Clouds)
	assert.ErrorContains(t, err, "profiles a and b are of the same project, "+emulator.DefaultProjectID)
}

// cloudsYAML writes a clouds.yaml and a secure.yaml, and gives the variables that lead to a cloud in them.
func cloudsYAML(t *testing.T, clouds, secure, name string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "clouds.yaml"), []byte(clouds), 0o600))
	if secure != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "secure.yaml"), []byte(secure), 0o600))
	}
	return map[string]string{"OS_CLIENT_CONFIG_FILE": filepath.Join(dir, "clouds.yaml"), "OS_CLOUD": name}
}

// TestCloudsYAML signs in with what OTC users have, its password in secure.yaml.
func TestCloudsYAML(t *testing.T) {
	_, env := emulated(t)
	otc := cloudsYAML(t, `
clouds:
  otc:
    region_name: eu-de
    auth:
      auth_url: `+env["OS_AUTH_URL"]+`
      username: `+emulator.DefaultUserName+`
      user_domain_name: `+emulator.DefaultDomainName+`
      project_name: `+emulator.DefaultProjectName+`
    interface: public
`, "clouds: {otc: {auth: {password: "+emulator.DefaultPassword+"}}}", "otc")
	delete(env, "OS_AUTH_URL")
	env = with(with(env, otc), map[string]string{"HW_ACCESS_KEY": "another", "HW_SECRET_KEY": "account", "OS_PROJECT_NAME": "elsewhere", "HW_CLOUD": "cloud.example"})
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	client := opened(t, cfg)
	require.NoError(t, client.Resolve(t.Context()))
	assert.Equal(t, emulator.DefaultProjectID, client.ProjectID())
}

// TestCloudsYAMLOfTheDocumentation is complete.
func TestCloudsYAMLOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	samples := regexp.MustCompile("(?s)```yaml\n(# ~/.config/openstack/.*?)```").FindAllSubmatch(text, -1)
	require.Len(t, samples, 2)
	cfg, err := loadConfig(lookup(cloudsYAML(t, string(samples[0][1]), string(samples[1][1]), "otc")))
	require.NoError(t, err)
	c := cfg.Clouds[0]
	assert.Equal(t, "user of OS_CLOUD=otc", c.Source)
	assert.Equal(t, "https://ecs.eu-de.otc.t-systems.com", c.ECS)
	assert.Equal(t, "https://iam.eu-de.otc.t-systems.com/v3", c.Identity.URL)
	assert.Equal(t, "eu-de", c.ProjectName)
	assert.Equal(t, "fleet-worker", c.Login.User)
}

// TestCloudsYAMLThatIsWrong is named by its path, and never by what is in it.
func TestCloudsYAMLThatIsWrong(t *testing.T) {
	_, env := emulated(t)
	for says, wrong := range map[string]map[string]string{
		`has no cloud "lab": it has edge, otc`:               cloudsYAML(t, "clouds: {otc: {}}", "clouds: {otc: {}, edge: {}}", "lab"),
		"is not a clouds.yaml that can be read, near line 1": cloudsYAML(t, "clouds:\n  otc: [the-password: of anybody", "", "otc"),
		"can be read, near line ":                            cloudsYAML(t, "clouds: [the-password: of anybody", "", "otc"),
		"secure.yaml is not a clouds.yaml that can":          cloudsYAML(t, "clouds: {otc: {}}", "the-password", "otc"),
		"there is no " + t.Name():                            {"OS_CLOUD": "otc", "OS_CLIENT_CONFIG_FILE": t.Name()},
	} {
		_, err := loadConfig(lookup(with(env, wrong)))
		require.Error(t, err)
		assert.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "the-password")
		assert.NotContains(t, err.Error(), "no cloud credentials")
	}
	_, err := loadConfig(lookup(with(env, map[string]string{"OS_CLOUD": "of-nobody", "HOME": "/dev/null"})))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "/dev/null/.config/openstack/clouds.yaml: ", "it is looked for in the next place")
}
