package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// Secrets reads on the worker what a rollout.SecretRef names. An operator who may start workflows
// must not be able to read anything else of the worker through a server's user data, so only variables
// that are named as secrets and files below Dir are within reach.
type Secrets struct {
	// Dir is the only folder that file: references reach. Empty switches them off.
	Dir string
	// LookupEnv reads a variable, as os.LookupEnv does.
	LookupEnv func(name string) (string, bool)
	// PinKey keys the digests of user data that plans hold. All workers have the same. Empty is a key, too.
	PinKey ecs.Secret
	// Worker is the name of the process, for errors: "4711@build-07". Empty for none.
	Worker string
}

// unreadableSecret is the error for a secret that this worker cannot read, or that is not the one that was planned. Another
// worker may have it.
type unreadableSecret struct {
	ref    rollout.SecretRef
	worker string
	err    error
}

func (e *unreadableSecret) Error() string {
	text := fmt.Sprintf("%s: %s", e.ref, e.err)
	if e.worker != "" {
		text += " (worker " + e.worker + ")"
	}
	return text
}

func (e *unreadableSecret) Unwrap() error { return e.err }

func isUnreadable(err error) bool { return isA[*unreadableSecret](err) }

// secretAttempts is how many attempts are handed back for a secret that the worker cannot read, until one fails for it. With one
// bad worker of two, one server in 64 gets that far.
const secretAttempts = 6

// handBack is the error of an attempt that needs a secret which this worker cannot read: another worker may have it. Nothing was
// sent. When it persists, it is final, and the rollout pauses as for credentials that the cloud refuses: no server fails for what
// workers lack.
func handBack(ctx context.Context, unreadable error) error {
	err := errors.New(strings.ReplaceAll(unreadable.Error(), "\n", "; "))
	if activity.GetInfo(ctx).Attempt < secretAttempts {
		return again(api.ErrSecret, err, time.Second)
	}
	return final(api.ErrSecret, err)
}

// awaitReader hands an attempt back while another worker may be able to read the secrets. After the last one, the caller gets the
// problem as data.
func (a *Activities) awaitReader(ctx context.Context, login rollout.SecretRef, userData rollout.SecretRef) error {
	_, _, err := a.resolve(login, userData)
	if isUnreadable(err) && activity.GetInfo(ctx).Attempt < secretAttempts {
		return handBack(ctx, err)
	}
	return nil
}

// CheckDir says why Dir cannot be used, as far as it is set: a worker that cannot read it would only hand work back.
func (s Secrets) CheckDir() error {
	if s.Dir == "" {
		return nil
	}
	folder, err := os.Open(s.Dir)
	if err == nil {
		defer folder.Close()
		_, err = folder.Readdirnames(1)
	}
	switch {
	case errors.Is(err, io.EOF) || err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: create or mount it, or unset the variable", s.Dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is not a folder", s.Dir)
	}
	return fmt.Errorf("the folder cannot be read: %w", err)
}

// maxSecretBytes is far above the largest thing a secret can be, 32 KB of user data: of what is too large, the request's
// rules say whether gzip makes it small enough.
const maxSecretBytes = 1 << 20

// Resolve reads the secret. The empty reference gives the empty secret, and no other does: what was asked
// for is never left out in silence. Errors name the reference and never what was read.
func (s Secrets) Resolve(ref rollout.SecretRef) (ecs.Secret, error) {
	if ref == "" {
		return ecs.Secret{}, nil
	}
	if err := ref.Validate(); err != nil { // by which no other variable is handed out
		return ecs.Secret{}, err
	}
	read := s.variable
	if kind, _ := ref.Split(); kind == "file" {
		read = s.file
	}
	_, name := ref.Split()
	value, err := read(name)
	if err != nil {
		return ecs.Secret{}, &unreadableSecret{ref, s.Worker, err}
	}
	if strings.TrimSpace(value) == "" {
		return ecs.Secret{}, &unreadableSecret{ref, s.Worker, errors.New("it is empty on the worker")}
	}
	return ecs.NewSecret(value), nil
}

func (s Secrets) variable(name string) (string, error) {
	value, ok := s.LookupEnv(name)
	if !ok {
		return "", errors.New("the worker's environment does not hold it")
	}
	return value, nil
}

func (s Secrets) file(path string) (string, error) {
	if s.Dir == "" {
		return "", errors.New("the worker has no secrets folder (REIMAGE_SECRETS_DIR)")
	}
	if filepath.IsAbs(path) {
		inside, err := filepath.Rel(s.Dir, path)
		if err != nil {
			return "", fmt.Errorf("the worker's secrets folder %s is not an absolute path: %w", s.Dir, err)
		}
		path = inside
	}
	if !filepath.IsLocal(path) {
		return "", fmt.Errorf("it lies outside the worker's secrets folder %s", s.Dir)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return "", fmt.Errorf("the worker cannot open its secrets folder: %w", err)
	}
	defer root.Close()
	file, err := root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the worker's secrets folder %s does not hold it", s.Dir)
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxSecretBytes {
		return "", fmt.Errorf("it is larger than %d KB", maxSecretBytes>>10)
	}
	return string(content), nil
}
