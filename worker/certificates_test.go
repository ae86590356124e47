package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// privateCloud is a cloud behind TLS with a CA of its own, and the file of that CA.
func privateCloud(t *testing.T) (cloud *emulator.Emulator, url, caFile string) {
	t.Helper()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	require.NoError(t, err)

	cloud, err = emulator.New(emulator.Options{Servers: 1})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(cloud)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600))
	return cloud, server.URL, caFile
}

// entryOf is an entry of clouds.yaml for a user of the emulated cloud at that address, with more keys.
func entryOf(url, more string) string {
	return "clouds: {it: {" + more + "auth: {auth_url: '" + url + "/v3', username: " + emulator.DefaultUserName + ", password: " + emulator.DefaultPassword +
		", user_domain_name: " + emulator.DefaultDomainName + ", project_name: " + emulator.DefaultProjectName + "}}}"
}

// TestCACertOfCloudsYAML: with it the identity service and the servers are reached, and without it neither.
func TestCACertOfCloudsYAML(t *testing.T) {
	cloud, url, caFile := privateCloud(t)
	endpoints := map[string]string{"REIMAGE_ECS_ENDPOINT": url, "REIMAGE_IMS_ENDPOINT": url}
	reach := func(env map[string]string) error {
		t.Helper()
		cfg, err := loadConfig(lookup(with(endpoints, env)))
		require.NoError(t, err)
		client := opened(t, cfg)
		if err := client.Resolve(t.Context()); err != nil {
			return err
		}
		_, err = client.Server(t.Context(), cloud.Servers()[0].ID)
		return err
	}
	require.NoError(t, reach(cloudsYAML(t, entryOf(url, "cacert: '"+caFile+"', "), "", "it")))
	atHome := cloudsYAML(t, entryOf(url, "cacert: '~/"+filepath.Base(caFile)+"', "), "", "it")
	require.NoError(t, reach(with(atHome, map[string]string{"HOME": filepath.Dir(caFile)})))
	variables := with(aUser, map[string]string{"OS_AUTH_URL": url, "OS_PROJECT_NAME": emulator.DefaultProjectName})
	require.NoError(t, reach(with(variables, map[string]string{"OS_CACERT": caFile})))

	for _, env := range []map[string]string{cloudsYAML(t, entryOf(url, ""), "", "it"), variables} {
		err := reach(env)
		var refused *ecs.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, ecs.CauseNetwork, refused.Cause())
		assert.ErrorContains(t, err, "unknown authority")
		assert.Contains(t, refused.Remedy(), "name the file of its CA in SSL_CERT_FILE or OS_CACERT of the worker, or in cacert of its clouds.yaml")
	}
}

// TestCACertIsThatOfItsProfile: another profile does not trust the CA.
func TestCACertIsThatOfItsProfile(t *testing.T) {
	_, url, caFile := privateCloud(t)
	env := map[string]string{"REIMAGE_PROFILES": "own,other"}
	for _, prefix := range []string{"OWN_", "OTHER_"} {
		for name, value := range with(aUser, map[string]string{
			"OS_AUTH_URL": url, "OS_PROJECT_NAME": emulator.DefaultProjectName, "REIMAGE_ECS_ENDPOINT": url, "REIMAGE_IMS_ENDPOINT": url,
		}) {
			env[prefix+name] = value
		}
	}
	env["OWN_OS_CACERT"] = caFile
	cfg, err := loadConfig(lookup(env))
	require.NoError(t, err)
	own, err := cfg.Clouds[0].client()
	require.NoError(t, err)
	other, err := cfg.Clouds[1].client()
	require.NoError(t, err)
	require.NoError(t, own.Resolve(t.Context()))
	assert.ErrorContains(t, other.Resolve(t.Context()), "unknown authority")
}

// TestSSLCertFile runs itself again, because a process reads that variable once.
func TestSSLCertFile(t *testing.T) {
	if url := os.Getenv("WORKER_TEST_PRIVATE_CLOUD"); url != "" {
		cfg, err := loadConfig(lookup(with(aUser, map[string]string{
			"OS_AUTH_URL": url, "OS_PROJECT_NAME": emulator.DefaultProjectName, "REIMAGE_ECS_ENDPOINT": url, "REIMAGE_IMS_ENDPOINT": url,
			"SSL_CERT_FILE": os.Getenv("SSL_CERT_FILE"),
		})))
		require.NoError(t, err)
		require.NoError(t, opened(t, cfg).Resolve(t.Context()))
		return
	}
	_, url, caFile := privateCloud(t)
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestSSLCertFile$")
	child.Env = append(os.Environ(), "WORKER_TEST_PRIVATE_CLOUD="+url, "SSL_CERT_FILE="+caFile)
	output, err := child.CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// TestUnusableCAFile: the start ends with the setting and the path.
func TestUnusableCAFile(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"), 0o600))
	for path, says := range map[string]string{
		filepath.Join(dir, "none.pem"): "no such file or directory: mount the file, let the worker read it, or remove the setting",
		dir:                            "is a directory",
		key:                            "holds no certificate in PEM",
	} {
		for setting, env := range map[string]map[string]string{
			"cacert of OS_CLOUD=it": cloudsYAML(t, entryOf("https://iam.eu-de.otc.t-systems.com", "cacert: '"+path+"', "), "", "it"),
			"OS_CACERT":             with(complete(), map[string]string{"OS_CACERT": path}),
			"SSL_CERT_FILE":         with(complete(), map[string]string{"SSL_CERT_FILE": path}),
		} {
			_, err := loadConfig(lookup(env))
			require.ErrorContains(t, err, setting+": ")
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, says)
			assert.NotContains(t, err.Error(), "planted")
		}
	}
}

// TestCertificatesAreAlwaysVerified: a setting that turns this off is refused with a remedy, and none is ignored.
func TestCertificatesAreAlwaysVerified(t *testing.T) {
	const otc = "https://iam.eu-de.otc.t-systems.com"
	for key, says := range map[string]string{
		"verify: false, ":    "has verify: false, and the worker verifies every certificate: take it out, and name the file of the cloud's CA in cacert, or in SSL_CERT_FILE for the whole worker",
		"verify: 'No', ":     "has verify: No, and the worker",
		"verify: /ca.pem, ":  "has verify: /ca.pem, and the worker",
		"verify: [a], ":      "has verify: ..., and the worker",
		"insecure: true, ":   "has insecure: true, and the worker verifies every certificate: take it out, and name the file of the cloud's CA in cacert",
		"insecure: 'yes', ":  "has insecure: yes, and",
		"verify: true, ":     "",
		"verify: yes, ":      "",
		"verify: null, ":     "",
		"insecure: false, ":  "",
		"insecure: 'False',": "",
	} {
		env := cloudsYAML(t, entryOf(otc, key), "", "it")
		_, err := loadConfig(lookup(env))
		if says == "" {
			assert.NoError(t, err, key)
			continue
		}
		assert.ErrorContains(t, err, `OS_CLOUD: cloud "it" in `+env["OS_CLIENT_CONFIG_FILE"]+" "+says, key)
	}
	for name, env := range map[string]map[string]string{
		"HW_INSECURE": complete(), "OS_INSECURE": {"OS_TOKEN": "t", "OS_PROJECT_ID": "p", "OS_REGION_NAME": "eu-de"},
	} {
		_, err := loadConfig(lookup(with(env, map[string]string{name: "true"})))
		require.ErrorContains(t, err, name+" is set, and the worker verifies every certificate: unset it, and name the file of the cloud's CA in OS_CACERT, or in SSL_CERT_FILE")
		_, err = loadConfig(lookup(with(env, map[string]string{name: "false"})))
		assert.NoError(t, err)
	}
	_, err := loadConfig(lookup(with(complete(), map[string]string{"HW_INSECURE": "false", "OS_INSECURE": "true"})))
	require.ErrorContains(t, err, "OS_INSECURE is set, and the worker verifies every certificate", "the other one does not hide it")
	assert.NotContains(t, err.Error(), "HW_INSECURE")
}

// TestUnsupportedKeysOfCloudsYAML are named in one message, with everything else that is wrong, and without their values.
func TestUnsupportedKeysOfCloudsYAML(t *testing.T) {
	const entry = `clouds: {it: {region_name: eu-de, auth_type: v3applicationcredential, verify: false, cacert: /none.pem, cert: /planted.pem, auth: {
		user_id: planted, application_credential_id: planted, application_credential_secret: planted, project_id: p}}}`
	env := cloudsYAML(t, entry, "clouds: {it: {auth: {passcode: planted}}}", "it")
	_, err := loadConfig(lookup(env))
	for _, says := range []string{
		`OS_CLOUD: cloud "it" in ` + env["OS_CLIENT_CONFIG_FILE"] + ` has what the worker does not support: application_credential_id of auth, application_credential_secret of auth, ` +
			`user_id of auth, auth_type v3applicationcredential, cert: take that out, and sign in by username, password and user_domain_name, by a token, or by ak and sk, all of auth`,
		"secure.yaml has what the worker does not support: passcode of auth: take",
		"has verify: false, and the worker verifies every certificate",
		"cacert of OS_CLOUD=it: open /none.pem: no such file or directory",
		"there are no cloud credentials in OS_CLOUD=it",
	} {
		assert.ErrorContains(t, err, says)
	}
	assert.NotContains(t, err.Error(), "planted")

	public := cloudsYAML(t, "clouds: {it: {profile: ours, auth: {token: t, project_id: p}}}", "", "it")
	path := filepath.Join(filepath.Dir(public["OS_CLIENT_CONFIG_FILE"]), "clouds-public.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`public-clouds: {ours: {verify: false, auth: {auth_url: "https://iam.eu-de.cloud.example"}}}`), 0o600))
	_, err = loadConfig(lookup(public))
	assert.ErrorContains(t, err, `OS_CLOUD: profile "ours" in `+path+`, of cloud "it", has verify: false`)

	domain := strings.ReplaceAll(entryOf("https://iam.eu-de.otc.t-systems.com", ""), "user_domain_name", "default_domain_name")
	cfg, err := loadConfig(lookup(cloudsYAML(t, domain, "", "it")))
	require.NoError(t, err, "the domain of user and project")
	assert.Equal(t, emulator.DefaultDomainName, cfg.Clouds[0].Login.Domain)
}

// TestSettingsThatAnEnvFileMisread: with what it left around them they are other settings. They are named, and not shown.
func TestSettingsThatAnEnvFileMisread(t *testing.T) {
	otc := map[string]string{"OS_USERNAME": "u", "OS_PASSWORD": "planted", "OS_USER_DOMAIN_NAME": "d", "OS_PROJECT_NAME": "n", "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3"}
	for _, complete := range []map[string]string{
		with(complete(), map[string]string{
			"HUAWEICLOUD_SDK_SECURITY_TOKEN": "planted", "HW_CLOUD": "otc.t-systems.com", "REIMAGE_CALLS_PER_SECOND": "9", "REIMAGE_EDITION": "otc",
			"HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://iam.eu-de.otc.t-systems.com", "REIMAGE_POLL_INTERVAL": "5s",
		}),
		{"HW_ACCESS_KEY": "planted", "HW_SECRET_KEY": "planted", "HW_PROJECT_NAME": "n", "REIMAGE_ECS_ENDPOINT": "https://e.example", "REIMAGE_IMS_ENDPOINT": "https://i.example", "REIMAGE_IAM_ENDPOINT": "https://m.example"},
		otc,
		{"OS_TOKEN": "planted", "OS_PROJECT_ID": "p", "OS_REGION_NAME": "eu-de"},
		{"REIMAGE_METADATA_ENDPOINT": "http://169.254.169.254", "HW_PROJECT_ID": "p", "HW_REGION_NAME": "eu-de"},
		cloudsYAML(t, otcSample, "", "otc"),
	} {
		_, err := loadConfig(lookup(complete))
		require.NoError(t, err)
		for name, value := range complete {
			for _, misread := range []string{`"` + value + `"`, "'" + value + "'"} {
				_, err := loadConfig(lookup(with(complete, map[string]string{name: misread})))
				assert.EqualError(t, err, name+" has quotes around it, as an env file that keeps them does: take them off")
			}
			for _, misread := range []string{value + "\n", value + "\r", value + " ", " " + value} {
				_, err := loadConfig(lookup(with(complete, map[string]string{name: misread})))
				assert.EqualError(t, err, name+" begins or ends with a space or a line break: take it off")
			}
		}
	}
	_, err := loadConfig(lookup(map[string]string{
		"REIMAGE_PROFILES": "edge", "EDGE_OS_AK": `"planted"`, "EDGE_OS_SK": `"planted" `, "EDGE_OS_PROJECT_ID": "p", "EDGE_OS_REGION_NAME": "eu-de",
	}))
	assert.ErrorContains(t, err, "profile edge, whose variables begin with EDGE_: OS_AK has quotes around it")
	assert.ErrorContains(t, err, "OS_SK has quotes around it")
	assert.ErrorContains(t, err, "OS_SK begins or ends with a space")
	assert.NotContains(t, err.Error(), "planted")
	_, err = loadConfig(lookup(cloudsYAML(t, "clouds: {it: {region_name: eu-de, auth: {ak: 'a', sk: '\"planted\"', project_id: p}}}", "", "it")))
	assert.EqualError(t, err, "sk of OS_CLOUD=it has quotes around it, as an env file that keeps them does: take them off")
}

// TestUnusableAddresses name their variables.
func TestUnusableAddresses(t *testing.T) {
	key := map[string]string{"HW_ACCESS_KEY": "a", "HW_SECRET_KEY": "s", "HW_PROJECT_ID": "p", "HW_REGION_NAME": "eu-de"}
	for address, says := range map[string]string{
		"iam.eu-de.otc.t-systems.com":             "must be like https://host/path",
		"ftp://iam.eu-de.otc.t-systems.com":       "must be like https://host/path",
		"https://u:planted@iam.eu-de.example":     "must not hold a user or password",
		"https://iam.eu-de.example/?key=planted":  "must not have a query or fragment",
		"https://iam.eu-de.example/%zz?k=planted": "cannot be read as a URL",
	} {
		for name, env := range map[string]map[string]string{
			"REIMAGE_IAM_ENDPOINT":         key,
			"HW_AUTH_URL":                  key,
			"HUAWEICLOUD_SDK_IAM_ENDPOINT": with(complete(), map[string]string{"HUAWEICLOUD_SDK_PROJECT_ID": ""}),
			"OS_AUTH_URL":                  {"OS_USERNAME": "u", "OS_PASSWORD": "planted", "OS_USER_DOMAIN_NAME": "d", "OS_REGION_NAME": "eu-de"},
			"REIMAGE_ECS_ENDPOINT":         key,
			"REIMAGE_IMS_ENDPOINT":         key,
			"REIMAGE_METADATA_ENDPOINT":    {"HW_PROJECT_ID": "p", "HW_REGION_NAME": "eu-de"},
		} {
			_, err := loadConfig(lookup(with(env, map[string]string{name: address})))
			require.ErrorContains(t, err, name+" "+says)
			assert.NotContains(t, err.Error(), "planted")
		}
	}
	_, err := loadConfig(lookup(cloudsYAML(t, entryOf("iam.eu-de.otc.t-systems.com", "region_name: eu-de, "), "", "it")))
	assert.ErrorContains(t, err, "auth_url of OS_CLOUD=it must be like https://host/path")
}
