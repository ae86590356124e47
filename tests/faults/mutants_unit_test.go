package faults_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/reimage/reimage/internal/mutant"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMutantsOfResets: the simulation resets no workflow, so these defects are for tests of a package to find.
func TestMutantsOfResets(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, m := range []struct{ name, file, old, new, pkg, test string }{
		{
			"a run that was reset goes on as if it were the first", "activities/reset.go", `return originalRunID != "" && originalRunID !=`,
			`return originalRunID == "never" && originalRunID !=`, "./activities", "TestResetTouchesNothing",
		},
		{
			"a run that was reset starts a server that nothing proves it stopped", "activities/reset.go", `if in.On && earlier.LeftOff != "" &&`,
			`if in.On || earlier.LeftOff != "" &&`, "./activities", "TestResetGivesBackPowerItCanProve",
		},
		{
			"a run that was reset hides what another one has pending", "internal/pending/pending.go", `		if !wasReset {`,
			`		if wasReset || change.Pending {`, "./internal/pending", "TestPending",
		},
		{
			"a rollout that was reset forgets what it had started", "rollout/engine/reset.go", `case s.Attempts > 0 && !at.After(s.EndedAt):`,
			`case !at.After(e.state.Now):`, "./rollout/engine", "TestResetPausesAndFollows",
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			overlay := mutant.Edit{Root: root, File: m.file, Old: m.old, New: m.new}.Overlay(t)
			run := exec.Command("go", "test", "-overlay", overlay, "-run", "^"+m.test+"$", m.pkg)
			run.Dir = root
			out, err := run.CombinedOutput()
			require.Error(t, err, "it survives")
			assert.Contains(t, string(out), "--- FAIL: "+m.test, "it has to compile")
		})
	}
}
