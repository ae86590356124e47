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

// secretPrefix begins the name of every variable that a worker hands out. Naming those that it does not would
// forget some: a proxy's password, or the credentials of another cloud.
const secretPrefix = "REIMAGE_SECRET_"

// Validate checks the form, and that a worker may hand out what is named. Its error never repeats the reference: a
// secret typed in its place would otherwise be shown.
func (r SecretRef) Validate() error {
	if err := r.validateForm(); err != nil {
		return err
	}
	if kind, name := r.Split(); kind == "env" && !strings.HasPrefix(name, secretPrefix) {
		return fmt.Errorf("only variables of the worker that begin with %[1]s are handed out: use env:%[1]sNAME, and give the worker that variable", secretPrefix)
	}
	return nil
}

func (r SecretRef) validateForm() error {
	if r == "" {
		return nil
	}
	kind, name := r.Split()
	if (kind != "env" && kind != "file") || name == "" {
		return fmt.Errorf("the reference must be env:REIMAGE_SECRET_NAME or file:PATH, as the worker sees them (a secret itself is never accepted here)")
	}
	return nil
}
