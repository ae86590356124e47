package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reimage/reimage/ecs"
)

// address is a setting that holds the address of a service.
func (s *settings) address(name string) string {
	given := s.value(name)
	if err := ecs.CheckURL(given); err != nil {
		s.wrong("%s %w", s.say(name), err)
	}
	return given
}

// nameTheCA is the remedy for a worker on which the verification of certificates is off.
const nameTheCA = "name the file of the cloud's CA in %s, or in SSL_CERT_FILE for the whole worker"

// trusted are the authorities of a profile. Nil means those of the system.
func (s *settings) trusted() *x509.CertPool {
	for _, name := range all(insecurePart) {
		if isOff(s.value(name)) {
			continue
		}
		s.wrong("%s is set, and the worker verifies every certificate: unset it, and "+nameTheCA, s.say(name), "OS_CACERT")
	}
	name := s.name(caPart)
	path := s.value(name)
	if path == "" {
		return nil
	}
	if below, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(s.text("HOME", "/"), below)
	}
	roots, err := trustedWith(path)
	if err != nil {
		s.wrong("%s: %w", s.say(name), err)
	}
	return roots
}

// trustedWith are the authorities of the system, and those in a file.
func trustedWith(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: mount the file, let the worker read it, or remove the setting", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the machine has none of its own
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", path)
	}
	return roots, nil
}

// isOn and isOff read a switch as the tools do. What is neither was set for a reason.
func isOn(value string) bool {
	return slices.Contains([]string{"true", "1", "t", "y", "yes", "on"}, strings.ToLower(value))
}

func isOff(value string) bool {
	return slices.Contains([]string{"", "false", "0", "f", "n", "no", "off"}, strings.ToLower(value))
}
