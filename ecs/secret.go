package ecs

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every secret looks like from outside.
const redacted = "[redacted]"

// Secret holds a password, key, token or user data. Printing, logging or marshalling it shows
// "[redacted]". The value sits behind a function because package fmt reads the unexported fields of a
// struct by reflection, without asking their methods: there it finds only a code pointer.
//
// The zero value is an empty secret.
type Secret struct {
	reveal func() string
}

// NewSecret hides the value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return value }}
}

// Reveal returns the value, "" for the zero value.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Empty is true when there is no value.
func (s Secret) Empty() bool { return s.reveal == nil }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter: no verb shows more than the others.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON, XML and YAML encoders use too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
