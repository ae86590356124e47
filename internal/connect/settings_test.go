package connect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// setUp leaves no setting of Temporal but those given.
func setUp(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range variables {
		t.Setenv(name, "") // restores it afterwards
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "none.toml"))
	for name, value := range env {
		t.Setenv(name, value)
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{
		"", "localhost:7233", "temporal.example:443", "10.0.0.1:7233", "[::1]:7233", ":7233", "dns:///temporal.example:7233",
		"passthrough:///temporal.example:7233", "fleet.abcde.tmprl.cloud:7233", "temporal_frontend:7233",
	} {
		assert.Empty(t, addressProblem(address), address)
	}
	for address, remedy := range map[string]string{
		"http://temporal.example:7233":         "is a URL, and HOST:PORT is expected: write temporal.example:7233",
		"http://temporal.example":              "write temporal.example:7233",
		"HTTPS://temporal.example:7243/path":   "write temporal.example:7243, and set TEMPORAL_TLS=true",
		"grpc://temporal.example:7233":         "write temporal.example:7233",
		"dns:///https://temporal.example:7233": "write temporal.example:7233, and set TEMPORAL_TLS=true",
		"dns:///temporal.example":              "has no port: write temporal.example:7233",
		"temporal.example":                     "has no port: write temporal.example:7233",
		"10.0.0.1":                             "has no port: write 10.0.0.1:7233",
		"[::1]":                                "has no port: write [::1]:7233",
		"::1:7233":                             "an IPv6 address stands in brackets, as in [::1]:7233",
		"temporal.example:":                    `"" is not a port`,
		"temporal.example:grpc":                `"grpc" is not a port`,
		"temporal.example:70000":               `"70000" is not a port`,
		"temporal.example/x:7233":              "the host is no name",
		"user@temporal.example:7233":           "the host is no name",
		"temporal example:7233":                "the host is no name",
		`"temporal.example:7233"`:              "has quotes within its value",
	} {
		assert.Contains(t, addressProblem(address), remedy, address)
	}
}

// TestSettingsThatCannotBeUsed are refused before anything is reached, and each names its variable or field.
func TestSettingsThatCannotBeUsed(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "temporal.toml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	misspelt := file("[profile.default]\nadress = \"temporal.example:7233\"\n")
	nested := file("[profile.default]\n[profile.default.tls]\nserver_ca_cert_pat = \"/ca.pem\"\n")
	noPort := file("[profile.fleet]\naddress = \"temporal.example\"\n")
	noTOML := file("[profile.default\n")
	noKey := file("[profile.default.tls]\nclient_cert_path = \"/cert.pem\"\n")
	for name, test := range map[string]struct {
		env  map[string]string
		says []string
	}{
		"quotes":            {map[string]string{"TEMPORAL_ADDRESS": `"localhost:7233"`}, []string{"TEMPORAL_ADDRESS has quotes around its value"}},
		"single quotes":     {map[string]string{"TEMPORAL_NAMESPACE": `'fleet'`}, []string{"TEMPORAL_NAMESPACE has quotes around its value"}},
		"a line end":        {map[string]string{"TEMPORAL_API_KEY": "key-1\r"}, []string{"TEMPORAL_API_KEY has a blank or a line end"}},
		"a flag":            {map[string]string{"TEMPORAL_TLS": "yes"}, []string{"TEMPORAL_TLS is neither true nor false"}},
		"the queue":         {map[string]string{"REIMAGE_TASK_QUEUE": `"reimage"`}, []string{"REIMAGE_TASK_QUEUE has quotes"}},
		"several":           {map[string]string{"TEMPORAL_ADDRESS": `"x:1"`, "TEMPORAL_TLS": "on", "TEMPORAL_CONFIG_FILE": misspelt}, []string{"TEMPORAL_ADDRESS has quotes", "TEMPORAL_TLS is neither", "profile.default.adress"}},
		"a URL":             {map[string]string{"TEMPORAL_ADDRESS": "https://temporal.example:7233"}, []string{"TEMPORAL_ADDRESS: \"https://temporal.example:7233\" is a URL"}},
		"a misspelt key":    {map[string]string{"TEMPORAL_CONFIG_FILE": misspelt}, []string{misspelt + ": ", "unrecognized: profile.default.adress: a profile has address, namespace,"}},
		"a key within tls":  {map[string]string{"TEMPORAL_CONFIG_FILE": nested}, []string{nested + ": ", "profile.default.tls.server_ca_cert_pat"}},
		"not TOML":          {map[string]string{"TEMPORAL_CONFIG_FILE": noTOML}, []string{noTOML + ": "}},
		"no port in a file": {map[string]string{"TEMPORAL_CONFIG_FILE": noPort, "TEMPORAL_PROFILE": "fleet"}, []string{"address of profile fleet in " + noPort + ": \"temporal.example\" has no port"}},
		"no such profile":   {map[string]string{"TEMPORAL_CONFIG_FILE": noPort, "TEMPORAL_PROFILE": "flet"}, []string{noPort + ": ", "unable to find profile flet"}},
		"no CA":             {map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/no/such.pem"}, []string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH: ", "/no/such.pem"}},
		"half a pair":       {map[string]string{"TEMPORAL_CONFIG_FILE": noKey}, []string{"tls of profile default in " + noKey, "other must be present too"}},
	} {
		t.Run(name, func(t *testing.T) {
			setUp(t, test.env)
			_, _, err := Where()
			for _, says := range test.says {
				assert.ErrorContains(t, err, says)
			}
			_, dialed := Temporal(t.Context(), nil)
			assert.Equal(t, err, dialed)
			assert.Equal(t, len(test.says) > 2, strings.Count(err.Error(), "\n") == 3, "each problem has a line of its own: %v", err)
			assert.NotContains(t, err.Error(), "key-1", "a key is not repeated")
		})
	}
}

func TestDefaults(t *testing.T) {
	setUp(t, nil)
	address, namespace, err := Where()
	require.NoError(t, err)
	assert.Equal(t, "localhost:7233", address)
	assert.Equal(t, "default", namespace)
	setUp(t, map[string]string{"TEMPORAL_TLS_SERVER_CA_CERT_DATA": ""})
	_, _, err = Where()
	assert.NoError(t, err)
}
