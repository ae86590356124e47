package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// complete is the least that a worker has to be told.
func complete() map[string]string {
	return map[string]string{
		"HUAWEICLOUD_SDK_AK": "AKEXAMPLE", "HUAWEICLOUD_SDK_SK": "the-secret-key", "HUAWEICLOUD_SDK_PROJECT_ID": "0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80",
		"HW_REGION_NAME": "eu-de",
	}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func load(t *testing.T, changes map[string]string) (config, error) {
	t.Helper()
	env := complete()
	maps.Copy(env, changes)
	return loadConfig(lookup(env))
}

func TestDefaultsFollowTheRegion(t *testing.T) {
	cfg, err := load(t, nil)
	require.NoError(t, err)
	assert.Equal(t, "https://ecs.eu-de.otc.t-systems.com", cfg.Clouds[0].ECS)
	assert.Equal(t, "https://ims.eu-de.otc.t-systems.com", cfg.Clouds[0].IMS)
	assert.Equal(t, "reimage", cfg.TaskQueue)
	assert.Equal(t, 30*time.Second, cfg.RequestTimeout)
	assert.Equal(t, ecs.DefaultCallsPerSecond, cfg.Clouds[0].CallsPerSecond)
	assert.Zero(t, cfg.ActivitiesPerSecond, "no limit")
	require.NoError(t, cfg.Timing.Validate(cfg.RequestTimeout), "the defaults keep the never-twice rule")
	_, err = cfg.Clouds[0].client()
	require.NoError(t, err, "the client accepts what the worker loads")

	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HW_REGION_NAME": "cn-north-4"}, "https://ecs.cn-north-4.myhuaweicloud.com"},
		{map[string]string{"HW_REGION_NAME": "eu-west-101"}, "https://ecs.eu-west-101.myhuaweicloud.eu"},
		{map[string]string{"HW_CLOUD": "cloud.example"}, "https://ecs.eu-de.cloud.example"},
		{map[string]string{"OS_AUTH_URL": "https://iam.eu-de.cloud.example:443/v3"}, "https://ecs.eu-de.cloud.example"},
		{map[string]string{"HW_REGION_NAME": "eu-ch2"}, "https://ecs.eu-ch2.sc.otc.t-systems.com"},
		{map[string]string{"HW_REGION_NAME": "eu-nl", "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}, "https://ecs.eu-nl.otc.t-systems.com"},
		{map[string]string{"HW_REGION_NAME": "", "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}, "https://ecs.eu-de.otc.t-systems.com"},
		{map[string]string{"HW_REGION_NAME": "", "HW_AUTH_URL": "https://IAM-PUB.eu-ch2.sc.otc.t-systems.com:443/v3"}, "https://ecs.eu-ch2.sc.otc.t-systems.com"},
		{map[string]string{"HW_CLOUD": "cloud.example", "OS_AUTH_URL": "https://iam.cloud.example/v3"}, "https://ecs.eu-de.cloud.example"},
		{map[string]string{"HW_REGION_NAME": "ap-southeast-1", "HW_AUTH_URL": "https://iam.myhuaweicloud.com/v3"}, "https://ecs.ap-southeast-1.myhuaweicloud.com"},
	} {
		cfg, err = load(t, test.env)
		require.NoError(t, err)
		assert.Equal(t, test.want, cfg.Clouds[0].ECS)
	}
}

// TestNoCloudIsGuessed where an identity service is given that belongs to another one.
func TestNoCloudIsGuessed(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		says string
	}{
		{map[string]string{"OS_AUTH_URL": "https://iam.cloud.example/v3"}, "region eu-de is not known to be at iam.cloud.example, where OS_AUTH_URL leads, and its services are not looked for in another cloud: set HW_CLOUD"},
		{map[string]string{"HW_REGION_NAME": "my-lab-1", "OS_AUTH_URL": "https://iam.cloud.example"}, "region my-lab-1 is not known to be at iam.cloud.example"},
		{map[string]string{"HW_REGION_NAME": "cn-north-4", "REIMAGE_IAM_ENDPOINT": "https://iam.eu-de.otc.t-systems.com"}, "where REIMAGE_IAM_ENDPOINT leads"},
		{map[string]string{"HW_REGION_NAME": "eu-de", "OS_AUTH_URL": "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3"}, "not known to be at iam-pub.eu-ch2.sc.otc.t-systems.com"},
		{map[string]string{"HW_CLOUD": "myhuaweicloud.com", "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}, "HW_CLOUD says that the cloud is myhuaweicloud.com, and OS_AUTH_URL leads to iam.eu-de.otc.t-systems.com, which is another"},
		{map[string]string{"HW_CLOUD": "otc.t-systems.com", "OS_AUTH_URL": "https://iam-pub.eu-ch2.sc.otc.t-systems.com"}, "which is another: unset"},
		{map[string]string{"HW_CLOUD": "https://cloud.example/"}, "HW_CLOUD has to be the domain of the cloud's services, such as otc.t-systems.com"},
		{map[string]string{"HW_CLOUD": "cloud.example:443"}, "HW_CLOUD has to be the domain"},
		{map[string]string{"HW_REGION_NAME": "", "OS_AUTH_URL": "https://iam.myhuaweicloud.com"}, "the address of the ECS service is not known: set REIMAGE_ECS_ENDPOINT, or the region in HW_REGION_NAME or OS_REGION_NAME"},
	} {
		_, err := load(t, test.env)
		require.ErrorContains(t, err, test.says)
		assert.Equal(t, 1, strings.Count(err.Error(), test.says), "once, for all services")
		_, err = load(t, with(test.env, map[string]string{"REIMAGE_ECS_ENDPOINT": "https://ecs.example", "REIMAGE_IMS_ENDPOINT": "https://ims.example"}))
		assert.NoError(t, err, "an address that is given is no guess")
	}
}

// TestNoCloudIsGuessedForAPartnersRegion: its operator's domain is in no document.
func TestNoCloudIsGuessedForAPartnersRegion(t *testing.T) {
	for _, region := range []string{"my-kualalumpur-1", "ae-ad-1", "tr-central-201"} {
		env := map[string]string{"HW_REGION_NAME": region}
		_, err := load(t, env)
		require.EqualError(t, err, "nothing tells which cloud has region "+region+": set HW_CLOUD to the domain of its services, or REIMAGE_ECS_ENDPOINT and REIMAGE_IMS_ENDPOINT, and REIMAGE_IAM_ENDPOINT for a user or the name of a project")
		cfg, err := load(t, with(env, map[string]string{"HW_CLOUD": "cloud.example"}))
		require.NoError(t, err)
		assert.Equal(t, "https://ecs."+region+".cloud.example", cfg.Clouds[0].ECS)
		cfg, err = load(t, with(env, map[string]string{"HW_AUTH_URL": "https://iam." + region + ".cloud.example"}))
		require.NoError(t, err)
		assert.Equal(t, "https://ims."+region+".cloud.example", cfg.Clouds[0].IMS)
	}
}

// TestRegionsOfOneCloudOnly are found without a domain.
func TestRegionsOfOneCloudOnly(t *testing.T) {
	for region, domain := range domains {
		cfg, err := load(t, map[string]string{"HW_REGION_NAME": region})
		require.NoError(t, err)
		assert.Equal(t, "https://ecs."+region+"."+domain, cfg.Clouds[0].ECS)
		assert.NotEqual(t, "any", cfg.Clouds[0].Edition.Name, "a cloud in the table")
	}
}

// TestCredentialsThatCannotBeRead are not passed over for those of another account.
func TestCredentialsThatCannotBeRead(t *testing.T) {
	_, home := credentialsFile(t, goodFile)
	place := map[string]string{"HOME": home, "HW_REGION_NAME": "eu-de"}
	for _, name := range unread {
		set := with(place, map[string]string{name: "planted"})
		_, err := loadConfig(lookup(set))
		require.ErrorContains(t, err, name+" leads to credentials that the worker cannot read, and those that it finds without may be of another account: unset it, and set ")
		assert.NotContains(t, err.Error(), "planted")
		assert.NotContains(t, err.Error(), "are used", "nothing is")
		for _, chosen := range []map[string]string{
			{"HUAWEICLOUD_SDK_CREDENTIALS_FILE": filepath.Join(home, ".huaweicloud", "credentials")}, {"REIMAGE_METADATA_ENDPOINT": ecs.MetadataURL},
			{"HW_ACCESS_KEY": "a", "HW_SECRET_KEY": "s"}, {"OS_TOKEN": "t"},
		} {
			_, err = loadConfig(lookup(with(set, chosen)))
			assert.NotContains(t, fmt.Sprint(err), "cannot read", "somebody has chosen %v", chosen)
		}
	}
}

// TestAccountsThatAreAssumed are not taken for that of the credentials.
func TestAccountsThatAreAssumed(t *testing.T) {
	for _, name := range assumed {
		says := name + " has Terraform act in another account"
		set := map[string]string{"HW_REGION_NAME": "eu-de", "HW_ACCESS_KEY": "a", "HW_SECRET_KEY": "s", name: "planted"}
		_, err := loadConfig(lookup(set))
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "planted")
		_, err = loadConfig(lookup(map[string]string{"HW_REGION_NAME": "eu-de", name: "planted"}))
		require.ErrorContains(t, err, says)
		_, err = loadConfig(lookup(with(complete(), map[string]string{name: "planted"})))
		assert.NoError(t, err, "the SDK knows it not")
	}
}

// TestDocumentedVariablesAreRead, and no others: those of the two tables in the section on the cloud.
func TestDocumentedVariablesAreRead(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(text), "\n## Cloud")
	section, _, _ = strings.Cut(section, "\n### ")
	var documented, read []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			documented = append(documented, regexp.MustCompile(`\b(?:HW|OS|HUAWEICLOUD_SDK)_[A-Z_]+\b`).FindAllString(line, -1)...)
		}
	}
	for _, f := range families {
		for _, names := range f {
			read = append(read, names...)
		}
	}
	read = slices.Concat(read, unread, assumed, []string{"OS_CLOUD", "HUAWEICLOUD_SDK_CREDENTIALS_FILE"})
	for _, list := range []*[]string{&documented, &read} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	assert.Equal(t, documented, read)
}

// TestEnterpriseProject is of its profile, also beside an entry of clouds.yaml, which has no key for it.
func TestEnterpriseProject(t *testing.T) {
	const id = "1f3d5b7a-9c2e-4f60-8a1b-3c5d7e9f1a2b"
	for _, value := range []string{"", "0", "all_granted_eps", id} {
		cfg, err := load(t, map[string]string{"HW_ENTERPRISE_PROJECT_ID": value})
		require.NoError(t, err)
		assert.Equal(t, value, cfg.Clouds[0].EnterpriseProject)
		assert.Equal(t, value, opened(t, cfg).EnterpriseProject(), "the client has it")
	}
	_, err := load(t, map[string]string{"HW_ENTERPRISE_PROJECT_ID": "default", "HW_REGION_NAME": ""})
	require.ErrorContains(t, err, `HW_ENTERPRISE_PROJECT_ID: enterprise project "default" is not a UUID, 0 (the default one) or all_granted_eps`)
	require.ErrorContains(t, err, "the region in", "all at once")

	cfg, err := loadConfig(lookup(with(cloudsYAML(t, otcSample, "", "otc"), map[string]string{"HW_ENTERPRISE_PROJECT_ID": id, "HW_PROJECT_ID": "left-over"})))
	require.NoError(t, err)
	assert.Equal(t, [2]string{id, ""}, [2]string{cfg.Clouds[0].EnterpriseProject, cfg.Clouds[0].ProjectID})

	env := map[string]string{"REIMAGE_PROFILES": "web,edge", "WEB_HW_ENTERPRISE_PROJECT_ID": "0", "HW_ENTERPRISE_PROJECT_ID": id}
	for i, prefix := range []string{"WEB_", "EDGE_"} {
		for name, value := range complete() {
			env[prefix+name] = value
		}
		env[prefix+"HUAWEICLOUD_SDK_PROJECT_ID"] = fmt.Sprint("p", i)
	}
	cfg, err = loadConfig(lookup(env))
	require.NoError(t, err)
	assert.Equal(t, [2]string{"0", ""}, [2]string{cfg.Clouds[0].EnterpriseProject, cfg.Clouds[1].EnterpriseProject})
	profiles, err := makeProfiles(cfg.Clouds)
	require.NoError(t, err)
	assert.Contains(t, described(cfg.Clouds, profiles)[0], "web: project p0 (enterprise project 0) at https://")
}

// TestKeyPairService is known by the region where the documents of the cloud have one, and never beside an ECS that was given.
func TestKeyPairService(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"https://kms.cn-north-4.myhuaweicloud.com": {"HW_REGION_NAME": "cn-north-4"},
		"https://kms.eu-west-101.myhuaweicloud.eu": {"HW_REGION_NAME": "eu-west-101"},
		"https://kps.example":                      {"REIMAGE_KPS_ENDPOINT": "https://kps.example"},
	} {
		cfg, err := load(t, env)
		require.NoError(t, err)
		assert.Equal(t, want, cfg.Clouds[0].KPS)
	}
	for _, env := range []map[string]string{
		nil, {"HW_CLOUD": "cloud.example"},
		{"HW_REGION_NAME": "cn-north-4", "REIMAGE_ECS_ENDPOINT": "https://ecs.cn-north-4.myhuaweicloud.com"},
	} {
		cfg, err := load(t, env)
		require.NoError(t, err)
		assert.Empty(t, cfg.Clouds[0].KPS)
	}
	_, err := load(t, map[string]string{"REIMAGE_KPS_ENDPOINT": "kms.example"})
	assert.EqualError(t, err, "REIMAGE_KPS_ENDPOINT must be like https://host/path")
}

// TestIdentityOfTheRegion has another name in one cloud.
func TestIdentityOfTheRegion(t *testing.T) {
	for region, want := range map[string]string{"eu-de": "https://iam.eu-de.otc.t-systems.com", "eu-ch2": "https://iam-pub.eu-ch2.sc.otc.t-systems.com"} {
		cfg, err := load(t, map[string]string{"HW_REGION_NAME": region, "HUAWEICLOUD_SDK_PROJECT_ID": ""})
		require.NoError(t, err)
		assert.Equal(t, want, cfg.Clouds[0].Identity.URL)
	}
}

// TestEditionFollowsTheEndpoint unless it is given.
func TestEditionFollowsTheEndpoint(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "otc"},
		{map[string]string{"HW_REGION_NAME": "cn-north-4"}, "huaweicloud-china"},
		{map[string]string{"HW_CLOUD": "cloud.example"}, "any"},
		{map[string]string{"REIMAGE_ECS_ENDPOINT": "http://127.0.0.1:1"}, "any"},
		{map[string]string{"REIMAGE_EDITION": "any"}, "any"},
		{map[string]string{"REIMAGE_EDITION": "flexibleengine"}, "flexibleengine"},
	} {
		cfg, err := load(t, test.env)
		require.NoError(t, err)
		assert.Equal(t, test.want, cfg.Clouds[0].Edition.Name, test.env)
	}
	_, err := load(t, map[string]string{"REIMAGE_EDITION": "mars"})
	assert.ErrorContains(t, err, `REIMAGE_EDITION: edition "mars" is not known: it is one of any, huaweicloud,`)
}

func TestEndpointsOverrideTheRegion(t *testing.T) {
	cfg, err := load(t, map[string]string{"HW_REGION_NAME": "", "REIMAGE_ECS_ENDPOINT": "http://127.0.0.1:1/ecs", "REIMAGE_IMS_ENDPOINT": "http://127.0.0.1:1/ims"})
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:1/ecs", cfg.Clouds[0].ECS)
	assert.Equal(t, "http://127.0.0.1:1/ims", cfg.Clouds[0].IMS)
}

// TestCredentialNames takes every name in the documented order.
func TestCredentialNames(t *testing.T) {
	for _, names := range [][5]string{
		{"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN", "HUAWEICLOUD_SDK_PROJECT_ID", "HW_REGION_NAME"},
		{"HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN", "HW_PROJECT_ID", "HW_REGION_NAME"},
		{"OS_ACCESS_KEY", "OS_SECRET_KEY", "OS_SECURITY_TOKEN", "OS_PROJECT_ID", "OS_REGION_NAME"},
		{"OS_ACCESS_KEY_ID", "OS_ACCESS_KEY_SECRET", "OS_SECURITY_TOKEN", "OS_TENANT_ID", "OS_REGION"},
		{"OS_AK", "OS_SK", "OS_SECURITY_TOKEN", "OS_TENANT_ID", "OS_REGION"},
	} {
		cfg, err := loadConfig(lookup(map[string]string{
			names[0]: "AK", names[1]: "SK", names[2]: "ST", names[3]: "p", names[4]: "eu-nl",
		}))
		require.NoError(t, err)
		key, ok := cfg.Clouds[0].Credentials.(ecs.AccessKey)
		require.True(t, ok)
		assert.Equal(t, [4]string{"AK", "SK", "ST", "p"}, [4]string{key.ID, key.Secret.Reveal(), key.SecurityToken.Reveal(), cfg.Clouds[0].ProjectID})
		assert.Equal(t, "access key of "+names[0], cfg.Clouds[0].Source)
	}
	for _, name := range []string{"OS_TOKEN", "OS_AUTH_TOKEN"} {
		cfg, err := loadConfig(lookup(map[string]string{name: "tok", "OS_PROJECT_ID": "p", "OS_REGION_NAME": "eu-nl"}))
		require.NoError(t, err)
		token, ok := cfg.Clouds[0].Credentials.(ecs.Token)
		require.True(t, ok)
		assert.Equal(t, "tok", token.Value.Reveal())
	}
	for _, name := range []string{"OS_USER_DOMAIN_ID", "OS_DOMAIN_ID", "OS_DOMAIN_NAME"} {
		cfg, err := loadConfig(lookup(map[string]string{"OS_USERNAME": "u", "OS_PASSWORD": "p", name: "d", "OS_REGION_NAME": "eu-nl"}))
		require.NoError(t, err)
		login := cfg.Clouds[0].Login
		assert.Equal(t, strings.HasSuffix(name, "_ID"), login.DomainID == "d" && login.Domain == "", name)
		assert.Equal(t, strings.HasSuffix(name, "_NAME"), login.Domain == "d" && login.DomainID == "", name)
	}
}

// TestAccountsAreNotMixed: what another tool left in the environment is not added to the credentials, and completes none.
func TestAccountsAreNotMixed(t *testing.T) {
	place := map[string]string{"OS_REGION_NAME": "eu-de", "OS_PROJECT_ID": "p"}
	sdk := with(place, map[string]string{"HUAWEICLOUD_SDK_AK": "sdk-ak", "HUAWEICLOUD_SDK_SK": "planted"})
	openStack := with(place, map[string]string{"OS_USERNAME": "os-user", "OS_PASSWORD": "planted", "OS_USER_DOMAIN_NAME": "os-domain"})

	cfg, err := loadConfig(lookup(with(sdk, map[string]string{"HW_SECURITY_TOKEN": "left-over"})))
	require.NoError(t, err)
	assert.Empty(t, cfg.Clouds[0].Credentials.(ecs.AccessKey).SecurityToken.Reveal())

	cfg, err = loadConfig(lookup(with(openStack, map[string]string{
		"HW_DOMAIN_NAME": "left-over", "HW_PROJECT_ID": "left-over", "HW_REGION_NAME": "cn-north-4", "HW_AUTH_URL": "https://iam.cn-north-4.myhuaweicloud.com",
		"OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com",
	})))
	require.NoError(t, err)
	login := cfg.Clouds[0].Login
	assert.Equal(t, [4]string{"os-user", "os-domain", "", "p"}, [4]string{login.User, login.Domain, login.DomainID, login.ProjectID})
	assert.Equal(t, "https://ecs.eu-de.otc.t-systems.com", cfg.Clouds[0].ECS)
	assert.Equal(t, "https://iam.eu-de.otc.t-systems.com", cfg.Clouds[0].Identity.URL)

	cfg, err = loadConfig(lookup(with(openStack, map[string]string{"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "mine", "HW_PROJECT_ID": "left-over"})))
	require.NoError(t, err)
	assert.Equal(t, [2]string{"", "mine"}, [2]string{cfg.Clouds[0].ProjectID, cfg.Clouds[0].ProjectName}, "the id is of another account than the name")

	for says, env := range map[string]map[string]string{
		"there is HW_ACCESS_KEY, and no HW_SECRET_KEY:":                                          {"HW_ACCESS_KEY": "a", "OS_ACCESS_KEY": "b", "OS_SECRET_KEY": "planted"},
		"there is HW_SECURITY_TOKEN, and no HW_ACCESS_KEY, and no HW_SECRET_KEY":                 {"HW_SECURITY_TOKEN": "planted", "OS_ACCESS_KEY": "b", "OS_SECRET_KEY": "planted"},
		"no OS_SECRET_KEY or OS_ACCESS_KEY_SECRET or OS_SK":                                      {"OS_AK": "a", "HUAWEICLOUD_SDK_PROJECT_ID": "p"},
		"OS_ACCESS_KEY and OS_AK differ, and mean the same":                                      {"OS_ACCESS_KEY": "a", "OS_AK": "b", "OS_SK": "planted"},
		"there is HW_USER_PASSWORD, and no HW_USER_NAME, and no HW_DOMAIN_NAME or HW_DOMAIN_ID:": with(openStack, map[string]string{"HW_USER_PASSWORD": "planted"}),
		"and no OS_USER_DOMAIN_NAME or":                                                          with(openStack, map[string]string{"OS_USER_DOMAIN_NAME": "", "HW_DOMAIN_NAME": "another"}),
		"a password is not sent where HW_AUTH_URL leads, which is of another tool, and maybe of another cloud: set OS_AUTH_URL, or unset HW_AUTH_URL": with(openStack, map[string]string{"HW_AUTH_URL": "https://iam.eu-de.otc.t-systems.com"}),
		"a token is not sent where HW_AUTH_URL leads": {"OS_TOKEN": "planted", "OS_PROJECT_ID": "", "HW_AUTH_URL": "https://iam.eu-de.otc.t-systems.com"},
	} {
		_, err := loadConfig(lookup(with(place, env)))
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "planted")
	}
}

// TestSecretsStayWithTheirCloud: what is sent as it is, and not only signs, goes nowhere that another tool's leftovers name.
func TestSecretsStayWithTheirCloud(t *testing.T) {
	user := map[string]string{"OS_USERNAME": "u", "OS_PASSWORD": "planted", "OS_USER_DOMAIN_NAME": "d"}
	token := map[string]string{"OS_TOKEN": "planted", "OS_PROJECT_ID": "p"}
	key := map[string]string{"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK": "planted", "HUAWEICLOUD_SDK_PROJECT_ID": "p"}
	temporary := with(key, map[string]string{"HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted"})
	provider := map[string]string{"HW_USER_NAME": "u", "HW_USER_PASSWORD": "planted", "HW_DOMAIN_NAME": "d"}
	region := map[string]string{"HW_REGION_NAME": "cn-north-4"}
	const which = ", which is of another tool, and maybe of another cloud: set "
	for _, test := range []struct {
		credentials, beside map[string]string
		says                string
	}{
		{user, region, "a password is not sent where HW_REGION_NAME leads" + which + "OS_REGION_NAME or OS_REGION, or unset HW_REGION_NAME"},
		{token, region, "a token is not sent where HW_REGION_NAME leads"},
		{provider, map[string]string{"OS_REGION_NAME": "cn-north-4"}, "a password is not sent where OS_REGION_NAME leads" + which + "HW_REGION_NAME, or"},
		{temporary, map[string]string{"OS_REGION_NAME": "eu-de"}, "a security token is not sent where OS_REGION_NAME leads" + which + "HW_REGION_NAME, or"},
		{user, map[string]string{"OS_REGION_NAME": "eu-de", "HW_CLOUD": "elsewhere.example"}, "a password is not sent where HW_CLOUD leads" + which + "OS_AUTH_URL, or unset HW_CLOUD"},
		{token, map[string]string{"OS_REGION_NAME": "eu-de", "HW_CLOUD": "elsewhere.example"}, "a token is not sent where HW_CLOUD leads"},
		{token, map[string]string{"OS_REGION_NAME": "eu-de", "HW_AUTH_URL": "https://iam.eu-de.elsewhere.example"}, "a token is not sent where HW_AUTH_URL leads" + which + "OS_AUTH_URL, or"},
		{token, map[string]string{"HW_AUTH_URL": "https://iam.eu-de.elsewhere.example"}, "a token is not sent where HW_AUTH_URL leads"},
		{temporary, map[string]string{"HW_AUTH_URL": "https://iam.eu-de.elsewhere.example"}, "a security token is not sent where HW_AUTH_URL leads" + which + "HUAWEICLOUD_SDK_IAM_ENDPOINT, or"},
		{with(temporary, map[string]string{"HUAWEICLOUD_SDK_PROJECT_ID": ""}), map[string]string{
			"HW_AUTH_URL": "https://iam.eu-de.elsewhere.example", "HW_PROJECT_NAME": "n",
			"REIMAGE_ECS_ENDPOINT": "https://ecs.example", "REIMAGE_IMS_ENDPOINT": "https://ims.example",
		}, "a security token is not sent where HW_AUTH_URL leads"},
	} {
		_, err := loadConfig(lookup(with(test.credentials, test.beside)))
		require.ErrorContains(t, err, test.says)
		assert.Equal(t, 1, strings.Count(err.Error(), "is not sent where"), "once, for all services")
		assert.NotContains(t, err.Error(), "planted")
	}

	for _, test := range []struct {
		credentials, beside map[string]string
		want                string
	}{
		{key, map[string]string{"OS_REGION_NAME": "eu-de"}, "https://ecs.eu-de.otc.t-systems.com"},
		{temporary, map[string]string{"HW_REGION_NAME": "eu-de", "HW_CLOUD": "cloud.example"}, "https://ecs.eu-de.cloud.example"},
		{provider, map[string]string{"HW_REGION_NAME": "my-lab-1", "HW_CLOUD": "cloud.example"}, "https://ecs.my-lab-1.cloud.example"},
		{user, map[string]string{"OS_REGION_NAME": "eu-de", "OS_AUTH_URL": "https://iam.cloud.example", "HW_CLOUD": "cloud.example"}, "https://ecs.eu-de.cloud.example"},
		{user, map[string]string{"HW_REGION_NAME": "eu-nl", "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com"}, "https://ecs.eu-nl.otc.t-systems.com"},
		{token, map[string]string{"OS_REGION_NAME": "eu-de", "REIMAGE_IAM_ENDPOINT": "https://iam.cloud.example", "HW_CLOUD": "cloud.example"}, "https://ecs.eu-de.cloud.example"},
		{token, map[string]string{
			"HW_REGION_NAME": "cn-north-4", "REIMAGE_ECS_ENDPOINT": "https://ecs.example", "REIMAGE_IMS_ENDPOINT": "https://ims.example",
		}, "https://ecs.example"},
	} {
		cfg, err := loadConfig(lookup(with(test.credentials, test.beside)))
		require.NoError(t, err)
		assert.Equal(t, test.want, cfg.Clouds[0].ECS)
	}
}

// TestEverythingWrongIsNamed gives all problems at once and no secret.
func TestEverythingWrongIsNamed(t *testing.T) {
	_, err := loadConfig(lookup(map[string]string{
		"HUAWEICLOUD_SDK_SK": "the-secret-key", "REIMAGE_POLL_INTERVAL": "soon", "REIMAGE_SETTLE_TIME": "1m", "REIMAGE_REQUEST_TIMEOUT": "45s",
		"REIMAGE_CALLS_PER_SECOND": "1", "REIMAGE_ACTIVITIES_PER_SECOND": "-3",
	}))
	require.Error(t, err)
	for _, says := range []string{
		"the project is not known: set its id in HUAWEICLOUD_SDK_PROJECT_ID", "access key and its secret key go together",
		"ECS service is not known", "IMS service is not known", "REIMAGE_POLL_INTERVAL", "REIMAGE_REQUEST_TIMEOUT",
		"settle time (1m0s) must not be shorter", `REIMAGE_CALLS_PER_SECOND: "1" is not a whole number`, "REIMAGE_ACTIVITIES_PER_SECOND",
	} {
		assert.ErrorContains(t, err, says)
	}
	assert.NotContains(t, err.Error(), "the-secret-key")
}

// TestPinKey: one that could be guessed ends the start, and no error shows it.
func TestPinKey(t *testing.T) {
	cfg, err := load(t, nil)
	require.NoError(t, err)
	assert.True(t, cfg.PinKey.Empty())
	long := strings.Repeat("0123456789abcdef", 2)
	cfg, err = load(t, map[string]string{"REIMAGE_PIN_KEY": long})
	require.NoError(t, err)
	assert.Equal(t, long, cfg.PinKey.Reveal())
	_, err = load(t, map[string]string{"REIMAGE_PIN_KEY": long[1:]})
	require.ErrorContains(t, err, "REIMAGE_PIN_KEY: it has fewer than 32 characters; make one with: openssl rand -hex 32")
	assert.NotContains(t, err.Error(), long[1:])
}

func TestLimits(t *testing.T) {
	cfg, err := load(t, map[string]string{"REIMAGE_CALLS_PER_SECOND": "7", "REIMAGE_ACTIVITIES_PER_SECOND": "0.5"})
	require.NoError(t, err)
	assert.Equal(t, 7, cfg.Clouds[0].CallsPerSecond)
	assert.InDelta(t, 0.5, cfg.ActivitiesPerSecond, 0)
	for _, number := range []string{"NaN", "+Inf", "0", "many"} {
		_, err = load(t, map[string]string{"REIMAGE_ACTIVITIES_PER_SECOND": number})
		assert.ErrorContains(t, err, "REIMAGE_ACTIVITIES_PER_SECOND", number)
	}
}

func TestWorkerRefusesToStart(t *testing.T) {
	ctx := t.Context()
	err := run(ctx, lookup(map[string]string{}))
	assert.ErrorContains(t, err, "no cloud credentials")

	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	t.Setenv("TEMPORAL_CONFIG_FILE", t.TempDir()+"/none.toml")
	err = run(ctx, lookup(complete()))
	assert.ErrorContains(t, err, "Temporal at 127.0.0.1:1")

	env := complete()
	env["REIMAGE_LOG_LEVEL"] = "loud"
	assert.ErrorContains(t, run(ctx, lookup(env)), "REIMAGE_LOG_LEVEL")
}
