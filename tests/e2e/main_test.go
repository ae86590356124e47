// Package e2e proves the whole on real parts: a real Temporal server, real HTTP, the programs as users
// run them, and processes that are really killed. Every workflow that a test runs is replayed from its
// own history.
package e2e

import (
	"os"
	"testing"

	"github.com/reimage/reimage/tests/harness"
)

var machine *harness.Machine

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &machine)) }
