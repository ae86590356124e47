package rollout

import (
	"fmt"
	"strings"
)

// SecretRef names a secret that only the worker can read: "env:NAME" is a variable of the worker's
// environment whose name begins with REIMAGE_SECRET_, "file:PATH" a file in the worker's secrets folder.
// The empty reference names nothing.
// See docs/configuration.md#secrets.
type SecretRef string

// Split gives the kind ("env" or "file") and the name behind it.
func (r SecretRef) Split() (kind, name string) {
	kind, name, _ = strings.Cut(string(r), ":")
	return kind, name
}

// Validate checks the form. Its error never repeats the reference: a secret typed in its place would
// otherwise be shown.
func (r SecretRef) Validate() error {
	if r == "" {
		return nil
	}
	kind, name := r.Split()
	if (kind != "env" && kind != "file") || name == "" {
		return fmt.Errorf("the reference must be env:REIMAGE_SECRET_NAME or file:PATH, as the worker sees them (a secret itself is never accepted here)")
	}
	return nil
}
