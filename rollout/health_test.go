package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
)

func TestHealthDefaults(t *testing.T) {
	for kind, port := range map[rollout.HealthCheckType]int{rollout.CheckHTTP: 80, rollout.CheckHTTPS: 443, rollout.CheckSSH: 22} {
		check := rollout.HealthCheck{Type: kind}.WithDefaults()
		assert.Equal(t, port, check.Port, kind)
		assert.NoError(t, check.Validate(), kind)
	}
	long := rollout.HealthCheck{Type: rollout.CheckSSH, StableFor: 10 * time.Minute}.WithDefaults()
	assert.Equal(t, 20*time.Minute, long.Within, "a check that has to pass for longer than the default has the time")
	assert.Equal(t, long, long.WithDefaults())
}

// TestHealthIsRefused names everything at once.
func TestHealthIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		check rollout.HealthCheck
		wants []string
	}{
		"no port and no type": {rollout.HealthCheck{Address: "public"}, []string{`type "" is none of`, "port 0 is not", `address "public"`}},
		"never": {
			rollout.HealthCheck{Type: rollout.CheckTCP, Port: 1, After: time.Minute, StableFor: time.Minute, Within: time.Minute},
			[]string{"it can never pass: within is 1m0s, and after and stableFor together are 2m0s"},
		},
		"http fields of tcp":     {rollout.HealthCheck{Type: rollout.CheckTCP, Port: 1, Path: "/x"}, []string{"path, status, contains and host are of http"}},
		"tls fields of http":     {rollout.HealthCheck{Type: rollout.CheckHTTP, Insecure: true}, []string{"ca and insecure are of https"}},
		"no certificate":         {rollout.HealthCheck{Type: rollout.CheckHTTPS, CA: "x"}, []string{"ca holds no certificate"}},
		"both":                   {rollout.HealthCheck{Type: rollout.CheckHTTPS, CA: "x", Insecure: true}, []string{"exclude each other"}},
		"a whole address":        {rollout.HealthCheck{Type: rollout.CheckHTTP, Path: "http://elsewhere/"}, []string{"begins with a slash"}},
		"a path that no URL has": {rollout.HealthCheck{Type: rollout.CheckHTTP, Path: "/%zz"}, []string{"begins with a slash"}},
		"a host in a path":       {rollout.HealthCheck{Type: rollout.CheckHTTP, Path: "//elsewhere/"}, []string{"begins with a slash"}},
		"a header in a path":     {rollout.HealthCheck{Type: rollout.CheckHTTP, Path: "/ HTTP/1.1\r\nX: y"}, []string{"holds no blanks"}},
		"a user in a host":       {rollout.HealthCheck{Type: rollout.CheckHTTP, Host: "a@b"}, []string{"is not the name of a host"}},
		"a status":               {rollout.HealthCheck{Type: rollout.CheckHTTP, Status: 99}, []string{"status 99"}},
		"too much to look for":   {rollout.HealthCheck{Type: rollout.CheckHTTP, Contains: strings.Repeat("x", 201)}, []string{"201 bytes"}},
		"a long time":            {rollout.HealthCheck{Type: rollout.CheckHTTP, Within: 25 * time.Hour}, []string{"within is 25h0m0s"}},
	} {
		err := c.check.WithDefaults().Validate()
		for _, want := range c.wants {
			assert.ErrorContains(t, err, want, name)
		}
	}
	assert.ErrorContains(t, rollout.Health{RequireBefore: "always"}.Validate(), "there is no check")
	assert.ErrorContains(t, rollout.Health{RequireBefore: "always"}.Validate(), `requireBefore "always"`)
}
