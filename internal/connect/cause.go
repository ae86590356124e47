package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
)

// probeTimeout bounds the connection that finds out why there was none.
const probeTimeout = 3 * time.Second

// diagnose says why Temporal was not reached and what to set. gRPC has only texts for it, so another connection is made.
func (s *settings) diagnose(ctx context.Context, failed error) (cause error, remedy string) {
	if code := serviceerror.ToStatus(failed).Code().String(); code == "PermissionDenied" || code == "Unauthenticated" {
		return failed, s.source("TEMPORAL_API_KEY", "api_key") + " or the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH) has to be one that this server accepts"
	}
	conn, err := s.probe(ctx)
	if err != nil {
		return failed, "start it, or set TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE"
	}
	defer conn.Close()
	if s.options.ConnectionOptions.TLS == nil {
		return s.diagnosePlain(conn, failed)
	}
	return s.diagnoseTLS(ctx, conn, failed)
}

// probe opens a connection that lasts for probeTimeout.
func (s *settings) probe(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", withoutResolver(s.options.HostPort))
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(probeTimeout))
	}
	return conn, err
}

// takesPlain is true for a server that begins HTTP/2 without TLS, as gRPC does.
func (s *settings) takesPlain(ctx context.Context) bool {
	conn, err := s.probe(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	const emptySettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+emptySettings)
	first := make([]byte, len(emptySettings))
	if err == nil {
		_, err = io.ReadFull(conn, first)
	}
	return err == nil && first[3] == emptySettings[3] // the type of the frame
}

const checkAddress = "see whether TEMPORAL_ADDRESS is the address of Temporal's frontend (port " + temporalPort + "; the Web UI has another)"

// diagnosePlain tries TLS, which the settings do not ask for.
func (s *settings) diagnosePlain(conn net.Conn, failed error) (cause error, remedy string) {
	// Nothing is sent over this connection: whose certificate it is does not matter.
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake()
	noTLS, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case err == nil || isAlert(err):
		remedy = "set TEMPORAL_TLS=true, and TEMPORAL_TLS_SERVER_CA_CERT_PATH if its certificate is of an authority of your own"
		if s.options.ConnectionOptions.TLSDisabled {
			return errors.New("the server takes only TLS, and " + s.tlsSource() + " turns it off"), remedy
		}
		return errors.New("the server takes only TLS, and no setting asks for it"), remedy
	case isRecord && strings.HasPrefix(string(noTLS.RecordHeader[:]), "HTTP/"):
		return errors.New("what answers there speaks HTTP/1.1 and is not Temporal's frontend"), checkAddress
	}
	return failed, checkAddress
}

// diagnoseTLS repeats the handshake, of which the errors have types.
func (s *settings) diagnoseTLS(ctx context.Context, conn net.Conn, failed error) (cause error, remedy string) {
	config := s.options.ConnectionOptions.TLS.Clone()
	config.NextProtos = []string{"h2"}
	if host, _, err := net.SplitHostPort(withoutResolver(s.options.HostPort)); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	err := secured.Handshake()
	if err == nil { // with TLS 1.3 the server looks at the client's certificate after that
		_, err = secured.Read(make([]byte, 1))
	}
	if cause, remedy := certificateCause(err); cause != nil {
		return cause, remedy
	}
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case err == nil:
	case isAlert(err):
		return fmt.Errorf("the server refuses the TLS connection: %w", err),
			"set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a certificate that it accepts"
	case isRecord || s.takesPlain(ctx): // some servers only close the connection
		return errors.New("the server takes no TLS, and " + s.whyTLS() + " asks for it"), s.withoutTLS()
	}
	return failed, checkAddress
}

// certificateCause is what is wrong with the certificate of the server. Nil when nothing is.
func certificateCause(err error) (cause error, remedy string) {
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return unknown, "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the certificate of the authority that has signed the server's"
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return host, "set TEMPORAL_TLS_SERVER_NAME to a name in the server's certificate, or TEMPORAL_ADDRESS to one"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalid, "see whether this machine's clock is right; otherwise the server needs another certificate"
	}
	return nil, ""
}

// isAlert is true for a TLS alert of the other side.
func isAlert(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "remote error"
}

// whyTLS names the setting that turns TLS on.
func (s *settings) whyTLS() string {
	if s.profile.TLS == nil {
		return s.source("TEMPORAL_API_KEY", "api_key") + " (an API key turns TLS on)"
	}
	return s.tlsSource()
}

// withoutTLS is what to do for a server that takes no TLS.
func (s *settings) withoutTLS() string {
	remedy := "set TEMPORAL_ADDRESS to a server with TLS, or TEMPORAL_TLS=false"
	if s.profile.APIKey != "" {
		remedy += ", which sends the API key unencrypted; a server that needs no key is reached without one"
	}
	return remedy
}
