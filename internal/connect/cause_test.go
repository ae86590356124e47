package connect

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"

	"github.com/reimage/reimage/internal/testcert"
)

// serve serves HTTP/2 as a Temporal frontend does, with TLS if there is a configuration, and refuses every call.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{ErrorLog: stdlog.New(io.Discard, "", 0), TLSConfig: config, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "16")
		w.Header().Set("Grpc-Message", "Request unauthorized.")
	})}
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() {
		if config == nil {
			_ = server.Serve(listener)
		} else {
			_ = server.ServeTLS(listener, "", "")
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// TestCauses: what stands between client and server is named, with what to set.
func TestCauses(t *testing.T) {
	now := time.Now()
	certificate, _ := testcert.New(t, "temporal.example", now.Add(-time.Hour), now.Add(time.Hour))
	old, _ := testcert.New(t, "temporal.example", now.Add(-2*time.Hour), now.Add(-time.Hour))
	authority, oldAuthority := pemFile(t, certificate), pemFile(t, old)

	plain := serve(t, nil)
	secure := serve(t, &tls.Config{Certificates: []tls.Certificate{certificate}})
	expired := serve(t, &tls.Config{Certificates: []tls.Certificate{old}})
	mutual := serve(t, &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()})
	mutual12 := serve(t, &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, MaxVersion: tls.VersionTLS12})
	web, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	webServer := &http.Server{ReadHeaderTimeout: time.Minute}
	go func() { _ = webServer.Serve(web) }()
	t.Cleanup(func() { _ = webServer.Close() })

	type env = map[string]string
	trusted := func(more env) env {
		all := env{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority, "TEMPORAL_TLS_SERVER_NAME": "temporal.example"}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	for name, test := range map[string]struct {
		address string
		env     env
		says    string
		remedy  string
	}{
		"plain, asks for TLS":        {plain, env{"TEMPORAL_TLS": "true"}, "the server takes no TLS, and TEMPORAL_TLS asks for it", "or TEMPORAL_TLS=false"},
		"plain, asks by a CA":        {plain, trusted(nil), "and TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_SERVER_NAME asks for it", "or TEMPORAL_TLS=false"},
		"plain, an empty variable":   {plain, env{"TEMPORAL_TLS_CLIENT_CERT_PATH": ""}, "and TEMPORAL_TLS_CLIENT_CERT_PATH asks for it", "or TEMPORAL_TLS=false"},
		"plain, has a key":           {plain, env{"TEMPORAL_API_KEY": "key-1"}, "the server takes no TLS, and TEMPORAL_API_KEY (an API key turns TLS on) asks for it", "TEMPORAL_TLS=false, which sends the API key unencrypted"},
		"TLS, asks for none":         {secure, nil, "the server takes only TLS, and no setting asks for it", "set TEMPORAL_TLS=true"},
		"TLS, turned off":            {secure, env{"TEMPORAL_TLS": "false", "TEMPORAL_API_KEY": "key-1"}, "the server takes only TLS, and TEMPORAL_TLS turns it off", "set TEMPORAL_TLS=true"},
		"TLS 1.2 with certificates":  {mutual12, nil, "the server takes only TLS", "set TEMPORAL_TLS=true"},
		"TLS, unknown authority":     {secure, env{"TEMPORAL_TLS": "true", "TEMPORAL_TLS_SERVER_NAME": "temporal.example"}, "signed by unknown authority", "set TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		"TLS, another name":          {secure, env{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority}, "127.0.0.1", "set TEMPORAL_TLS_SERVER_NAME"},
		"TLS, out of date":           {expired, env{"TEMPORAL_TLS_SERVER_CA_CERT_PATH": oldAuthority, "TEMPORAL_TLS_SERVER_NAME": "temporal.example"}, "expired", "clock"},
		"TLS, no client certificate": {mutual, trusted(nil), "the server refuses the TLS connection: remote error: tls: certificate required", "TEMPORAL_TLS_CLIENT_CERT_PATH"},
		"the same with TLS 1.2":      {mutual12, trusted(nil), "the server refuses the TLS connection", "TEMPORAL_TLS_CLIENT_CERT_PATH"},
		"refused key":                {secure, trusted(env{"TEMPORAL_API_KEY": "key-1"}), "Request unauthorized", "TEMPORAL_API_KEY or the client certificate"},
		"the Web UI":                 {web.Addr().String(), nil, "speaks HTTP/1.1 and is not Temporal's frontend", "port 7233"},
		"no listener":                {"127.0.0.1:1", nil, "connection refused", "start it, or set TEMPORAL_ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			setUp(t, test.env)
			t.Setenv("TEMPORAL_ADDRESS", test.address)
			_, err := Temporal(t.Context(), log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			require.ErrorContains(t, err, "Temporal at "+test.address+" (namespace default) cannot be reached: ")
			assert.ErrorContains(t, err, test.says)
			assert.ErrorContains(t, err, test.remedy)
			assert.NotContains(t, err.Error(), "key-1")
		})
	}
}

// pemFile writes a certificate for TEMPORAL_TLS_SERVER_CA_CERT_PATH.
func pemFile(t *testing.T, certificate tls.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600))
	return path
}
