// Package mutant lets tests be tried on deliberate defects. The compiler gets a changed file in place of the real one
// (go test -overlay), so the program itself knows nothing of it.
package mutant

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Edit is a deliberate defect: in a file of the module, the old text is replaced by the new one.
type Edit struct {
	Root     string // folder of the module
	File     string // below Root
	Old, New string
}

// Check fails the test unless the old text is in the file once.
func (e Edit) Check(t *testing.T) { e.read(t) }

func (e Edit) read(t *testing.T) []byte {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(e.Root, e.File))
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(source, []byte(e.Old)), "the text to replace has to be in %s once: the code has moved on, move the mutant too", e.File)
	return source
}

// Overlay writes the overlay for the go command, and returns its path.
func (e Edit) Overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(changed, bytes.Replace(e.read(t), []byte(e.Old), []byte(e.New), 1), 0o600))
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(e.Root, e.File): changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	return overlay
}

// Build compiles the tests of a package with the defect in it, and returns the path of the program.
func (e Edit) Build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mutant.test")
	build := exec.Command("go", "test", "-c", "-overlay", e.Overlay(t), "-o", program, pkg)
	build.Dir = e.Root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
