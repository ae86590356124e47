package main

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/testcert"
)

// withTLS puts TLS in front of the Temporal server of the tests, as an ingress does: the development server has none.
func withTLS(t *testing.T) (address, authority string) {
	t.Helper()
	certificate, _ := testcert.New(t, "temporal.example", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(near)
		}
	}()
	authority = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600))
	return listener.Addr().String(), authority
}

func forward(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", temporalServer.Address)
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	_, _ = io.Copy(near, far)
}

// TestConnectionSettings against a real Temporal server, with and without TLS: what fits connects, and what does not is named
// with what to set.
func TestConnectionSettings(t *testing.T) {
	f := newFleet(t, "connection", 2)
	f.start()
	secure, authority := withTLS(t)
	plain := temporalServer.Address
	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(file, []byte("[profile.fleet]\naddress = \""+secure+"\"\n[profile.fleet.tls]\nserver_name = \"temporal.example\"\nserver_ca_cert_path = \""+authority+"\"\n"), 0o600))

	type env = map[string]string
	for name, test := range map[string]struct {
		env  env
		says []string // none connects
	}{
		"plain":                         {env{"TEMPORAL_ADDRESS": plain}, nil},
		"a resolver":                    {env{"TEMPORAL_ADDRESS": "dns:///" + plain}, nil},
		"plain with a key, TLS off":     {env{"TEMPORAL_ADDRESS": plain, "TEMPORAL_API_KEY": "key-1", "TEMPORAL_TLS": "false"}, nil},
		"TLS":                           {env{"TEMPORAL_ADDRESS": secure, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority, "TEMPORAL_TLS_SERVER_NAME": "temporal.example"}, nil},
		"TLS by a file":                 {env{"TEMPORAL_CONFIG_FILE": file, "TEMPORAL_PROFILE": "fleet"}, nil},
		"key against a plain server":    {env{"TEMPORAL_ADDRESS": plain, "TEMPORAL_API_KEY": "key-1"}, []string{"the server takes no TLS, and TEMPORAL_API_KEY (an API key turns TLS on) asks for it", "TEMPORAL_TLS=false"}},
		"TLS against a plain server":    {env{"TEMPORAL_ADDRESS": plain, "TEMPORAL_TLS": "1"}, []string{"the server takes no TLS, and TEMPORAL_TLS asks for it", "TEMPORAL_TLS=false"}},
		"plain against a TLS server":    {env{"TEMPORAL_ADDRESS": secure}, []string{"the server takes only TLS, and no setting asks for it", "set TEMPORAL_TLS=true"}},
		"unknown authority":             {env{"TEMPORAL_ADDRESS": secure, "TEMPORAL_TLS": "true", "TEMPORAL_TLS_SERVER_NAME": "temporal.example"}, []string{"unknown authority", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"}},
		"a URL":                         {env{"TEMPORAL_ADDRESS": "http://" + plain}, []string{"TEMPORAL_ADDRESS: \"http://" + plain + "\" is a URL", "write " + plain}},
		"TLS off beside a file with it": {env{"TEMPORAL_CONFIG_FILE": file, "TEMPORAL_PROFILE": "fleet", "TEMPORAL_TLS": "false"}, []string{"the server takes only TLS, and TEMPORAL_TLS turns it off"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TEMPORAL_ADDRESS", "")
			if _, given := test.env["TEMPORAL_ADDRESS"]; !given {
				require.NoError(t, os.Unsetenv("TEMPORAL_ADDRESS")) // a variable without a value would count before the file
			}
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			ran := f.cli("status", "connection", "--output", "json")
			for _, says := range test.says {
				assert.Contains(t, ran.err, says)
				assert.Contains(t, ran.out, `"error": "`)
			}
			assert.NotContains(t, ran.err, "key-1")
			if len(test.says) == 0 {
				assert.Contains(t, ran.out, `"name": "connection"`, ran.err)
			} else {
				assert.Equal(t, exitUsage, ran.code)
			}
		})
	}
}
