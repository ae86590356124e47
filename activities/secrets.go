package activities

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
		return ecs.Secret{}, fmt.Errorf("%s: %w", ref, err)
	}
	if strings.TrimSpace(value) == "" {
		return ecs.Secret{}, fmt.Errorf("%s: it is empty on the worker", ref)
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
