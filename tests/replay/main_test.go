package replay

import (
	"os"
	"testing"

	"github.com/reimage/reimage/tests/harness"
)

// machine is started for recording only: replaying needs no server.
var machine *harness.Machine

func TestMain(m *testing.M) {
	if os.Getenv("REIMAGE_RECORD") == "" {
		os.Exit(m.Run())
	}
	os.Exit(harness.Main(m, &machine))
}
