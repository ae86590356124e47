package e2e

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMakeSaysWhenNothingIsRaced: without a C compiler the tests still run, and it is said what they lack.
func TestMakeSaysWhenNothingIsRaced(t *testing.T) {
	t.Parallel()
	const says = "the tests run without the race detector"
	plan := func(compiler string) string {
		list := exec.Command("make", "--no-print-directory", "--dry-run", "test")
		list.Dir = "../.."
		list.Env = append(os.Environ(), "CC="+compiler)
		out, err := list.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	without, with := plan("no-such-compiler"), plan("go") // any program that there is
	assert.Contains(t, without, says)
	assert.NotContains(t, without, " -race ")
	assert.Contains(t, with, " -race ")
	assert.NotContains(t, with, says)
}
