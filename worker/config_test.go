package main

import (
	"maps"
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
	_, err = cfg.Clouds[0].open(t.Context())
	require.NoError(t, err, "the client accepts what the worker loads")

	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HW_REGION_NAME": "cn-north-4"}, "https://ecs.cn-north-4.myhuaweicloud.com"},
		{map[string]string{"HW_REGION_NAME": "eu-west-101"}, "https://ecs.eu-west-101.myhuaweicloud.eu"},
		{map[string]string{"HW_CLOUD": "cloud.example"}, "https://ecs.eu-de.cloud.example"},
		{map[string]string{"OS_AUTH_URL": "https://iam.eu-de.cloud.example:443/v3"}, "https://ecs.eu-de.cloud.example"},
		{map[string]string{"OS_AUTH_URL": "https://iam.cloud.example/v3"}, "https://ecs.eu-de.otc.t-systems.com"},
	} {
		cfg, err = load(t, test.env)
		require.NoError(t, err)
		assert.Equal(t, test.want, cfg.Clouds[0].ECS)
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
	for _, names := range [][3]string{
		{"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"},
		{"HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN"},
		{"OS_ACCESS_KEY", "OS_SECRET_KEY", "OS_SECURITY_TOKEN"},
	} {
		cfg, err := loadConfig(lookup(map[string]string{
			names[0]: "AK", names[1]: "SK", names[2]: "ST", "HW_PROJECT_ID": "p", "OS_REGION_NAME": "eu-nl",
		}))
		require.NoError(t, err)
		key, ok := cfg.Clouds[0].Credentials.(ecs.AccessKey)
		require.True(t, ok)
		assert.Equal(t, [3]string{"AK", "SK", "ST"}, [3]string{key.ID, key.Secret.Reveal(), key.SecurityToken.Reveal()})
	}
	cfg, err := loadConfig(lookup(map[string]string{"OS_TOKEN": "tok", "OS_PROJECT_ID": "p", "OS_REGION_NAME": "eu-nl"}))
	require.NoError(t, err)
	token, ok := cfg.Clouds[0].Credentials.(ecs.Token)
	require.True(t, ok)
	assert.Equal(t, "tok", token.Value.Reveal())
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
