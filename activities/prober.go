package activities

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

const (
	// maxProbeBody is how much of an answer is read.
	maxProbeBody = 64 << 10
	// maxBanner is the longest line before which an SSH server has to say its version (RFC 4253, 4.2).
	maxBanner = 8 << 10
)

// Prober asks servers whether their application works. It connects to addresses of the server's own record only, follows no
// redirect, sends no credentials, and repeats nothing that a server has answered but a status.
type Prober struct {
	// Off is true for a worker that must not connect to servers.
	Off bool
	// Worker is the name of the process, for errors.
	Worker string
	// Dial connects to an address. Nil is that of package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// probe asks once. The error is trouble of this worker, which says nothing of the server.
func (p Prober) probe(ctx context.Context, server ecs.Server, check rollout.HealthCheck) (change.Probe, error) {
	if err := p.check(); err != nil {
		return change.Probe{}, err
	}
	ip, ok := addressOf(server, check.Address)
	if !ok {
		return change.Probe{Reason: fmt.Sprintf("the cloud shows no %s address of it", check.Address)}, nil
	}
	probeCtx, cancel := context.WithTimeout(ctx, change.MaxProbe)
	defer cancel()
	address := netip.AddrPortFrom(ip, uint16(check.Port)).String() //nolint:gosec // ports are validated
	var reason string
	var err error
	switch check.Type {
	case rollout.CheckTCP:
		err = p.tcp(probeCtx, address)
	case rollout.CheckSSH:
		reason, err = p.ssh(probeCtx, address)
	default:
		reason, err = p.http(probeCtx, address, check)
	}
	switch {
	case ctx.Err() != nil:
		return change.Probe{}, ctx.Err()
	case isLocal(err):
		return change.Probe{}, probesRefused(p.Worker, fmt.Errorf("the worker cannot connect to %s: %s", address, failure(err)))
	case err != nil:
		return change.Probe{Reason: fmt.Sprintf("%s: %s", address, failure(err))}, nil
	case reason != "":
		return change.Probe{Reason: fmt.Sprintf("%s: %s", address, reason)}, nil
	}
	return change.Probe{Healthy: true}, nil
}

// probeAll asks the chosen checks side by side.
func (p Prober) probeAll(ctx context.Context, server ecs.Server, checks []rollout.HealthCheck, chosen []int) ([]change.Probe, error) {
	probes := make([]change.Probe, len(chosen))
	all, ctx := errgroup.WithContext(ctx)
	for i, check := range chosen {
		all.Go(func() (err error) {
			probes[i], err = p.probe(ctx, server, checks[check])
			return err
		})
	}
	return probes, all.Wait()
}

// addressOf is the first address of the kind.
func addressOf(server ecs.Server, kind rollout.AddressType) (netip.Addr, bool) {
	for _, a := range server.Addresses {
		if a.Floating == (kind == rollout.AddressFloating) {
			return a.IP, true
		}
	}
	return netip.Addr{}, false
}

// isLocal is true for what keeps this machine from connecting at all.
func isLocal(err error) bool {
	for _, local := range []error{
		syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}

// failure says in words of our own why there was no answer: what a server has sent may be in the text of an error.
func failure(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Sprintf("no answer within %s", change.MaxProbe)
	}
	for _, known := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.EPIPE,
		syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	_, isUnknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, isWrongName := errors.AsType[x509.HostnameError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isNoTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case isUnknownAuthority:
		return "its certificate is signed by an unknown authority"
	case isWrongName:
		return "its certificate is for another name"
	case isInvalid && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case isInvalid:
		return "its certificate is not valid"
	case isNoTLS:
		return "it does not answer with TLS"
	}
	return "no valid answer"
}

func (p Prober) dial(ctx context.Context, address string) (net.Conn, error) {
	dial := p.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	return conn, err
}

func (p Prober) tcp(ctx context.Context, address string) error {
	conn, err := p.dial(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ssh reads the version of an SSH server, before which other lines may come.
func (p Prober) ssh(ctx context.Context, address string) (reason string, err error) {
	conn, err := p.dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var seen []byte
	buffer := make([]byte, 512)
	for len(seen) < maxBanner {
		n, err := conn.Read(buffer)
		seen = append(seen, buffer[:n]...)
		for line := range bytes.Lines(seen) {
			if bytes.HasPrefix(line, []byte("SSH-")) {
				return "", nil
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return "it does not answer as an SSH server does", nil
}

// http sends a GET request of its own connection.
func (p Prober) http(ctx context.Context, address string, check rollout.HealthCheck) (reason string, err error) {
	target, err := url.ParseRequestURI(check.Path)
	if err != nil {
		return "", err
	}
	target.Scheme, target.Host = string(check.Type), address
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	request.Host = check.Host
	request.Header.Set("User-Agent", "reimage")
	request.Close = true
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, address) },
		TLSClientConfig:   tlsConfig(check),
		DisableKeepAlives: true,
		// The headers are held in memory.
		MaxResponseHeaderBytes: maxProbeBody,
	}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if isExpected := answer.StatusCode == check.Status || check.Status == 0 && answer.StatusCode/100 == 2; !isExpected {
		return "status " + strconv.Itoa(answer.StatusCode), nil
	}
	if check.Contains == "" {
		return "", nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxProbeBody))
	if err != nil {
		return "", err
	}
	if !bytes.Contains(body, []byte(check.Contains)) {
		return fmt.Sprintf("the body does not hold %q in its first %d KB", check.Contains, maxProbeBody>>10), nil
	}
	return "", nil
}

func tlsConfig(check rollout.HealthCheck) *tls.Config {
	config := &tls.Config{ServerName: hostname(check.Host), InsecureSkipVerify: check.Insecure} //nolint:gosec // as asked
	if check.CA != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(check.CA))
	}
	return config
}

// hostname is a Host header without its port. Empty is the address that is connected to.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
