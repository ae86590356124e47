package faults_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

var mutantSchedules = flag.Int("mutant-schedules", 0, "how many schedules each mutant may survive; 0 leaves the mutants alone")

// mutant is a deliberate defect: in the file, the old text is replaced by the new one. The compiler is handed the
// changed file in place of the real one (go test -overlay), so the program itself knows nothing of mutants.
type mutant struct {
	name, file, old, new string
}

func mutants() []mutant {
	const submit = "activities/submit_change_os.go"
	return []mutant{
		{
			"sends again after an unknown outcome", submit,
			"\tcase ecs.Unknown:\n", "\tcase ecs.Unknown:\n\t\t_ = s.clean(ctx, nil)\n",
		},
		{"no settle time", submit, `settled := steady.see(server, at) >= s.Timing.Settle`, `settled := steady.see(server, at) >= 0`},
		{"no look on the second attempt", submit, `inDoubt := !isFirst(ctx) && !clean || in.Doubt && s.attempt == 1`, `inDoubt := false && clean`},
		{
			"a transport that tries again", "ecs/outcome.go",
			"reply := c.exchange(ctx, r)\n\tswitch {\n\tcase reply.err != nil && reply.begun:",
			"reply := c.exchange(ctx, r)\n\tif reply.err != nil && reply.begun {\n\t\treply = c.exchange(ctx, r)\n\t}\n\tswitch {\n\tcase reply.err != nil && reply.begun:",
		},
		{"a change that came to nothing is sent again", submit, `return s.in.Updated != "" && server.Updated != "" && server.Updated != s.in.Updated`, `return false`},
		{"an order that waits for its payment is sent again", submit, `case settled && server.Idle() && s.in.MayAwaitPayment:`, `case false:`},
		{
			"what Temporal answers before a write is ignored", "activities/confirm.go",
			`err := s.Temporal.RecordActivityHeartbeat(`, "var err error\n\t_ = s.Temporal.RecordActivityHeartbeat(",
		},
		{"a failed server gives its slot back", "rollout/engine/state.go", `return !s.Accepted && s.End.Failed() && (s.End.OutOfService() || s.Down)`, `return false`},
		{"the cap is off by one", "rollout/engine/admit.go", `return slots >= e.state.Cap ||`, `return slots > e.state.Cap ||`},
		{"the budget is off by one", "rollout/engine/admit.go", `t.failed > tolerated {`, `t.failed > tolerated+1 {`},
		{"an abort leaves what is pending", "rollout/engine/commands.go", `e.stop(rollout.PhaseAborting)
		}`, `s.Phase, s.Pause = rollout.PhaseAborting, nil
		}`},
		{
			"an untouched server is called intact though its change may come", "rollout/evidence.go",
			`case o.Fingerprint == before && !ended:`, `case false:`,
		},
		{"a job's success is taken for proof", "activities/verify_server.go", `case settled && (in.atRest(server)`, `case in.Ended || settled && (in.atRest(server)`},
	}
}

// TestMutants lets the campaign loose on each mutant. One that survives means that the campaign proves nothing
// about what it breaks.
func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(root, m.file))
			require.NoError(t, err)
			require.Equal(t, 1, bytes.Count(source, []byte(m.old)), "the text to replace has to be in %s once: the code has moved on, move the mutant too", m.file)
			if *mutantSchedules == 0 {
				return
			}
			seed := m.hunt(t, root, source)
			t.Logf("caught by seed %d, the %d. of the campaign", seed, seed)
		})
	}
}

// chunk is how many schedules are played before somebody looks whether one has failed.
const chunk = 250

var failedSeed = regexp.MustCompile(`seed (\d+):`)

// hunt plays schedules until one catches the mutant. The campaign begins with seed 1, so its seed
// is also how many it took.
func (m mutant) hunt(t *testing.T, root string, source []byte) (seed int) {
	t.Helper()
	dir := t.TempDir()
	changed, overlay, binary := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "campaign")
	require.NoError(t, os.WriteFile(changed, bytes.Replace(source, []byte(m.old), []byte(m.new), 1), 0o600))
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, m.file): changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, "./tests/faults")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for first := 1; first <= *mutantSchedules; first += chunk {
		campaign := exec.Command(binary, "-test.run", "^TestCampaign$", "-schedules", strconv.Itoa(chunk), "-seed", strconv.Itoa(first))
		out, err := campaign.CombinedOutput()
		if err == nil {
			continue
		}
		for _, found := range failedSeed.FindAllSubmatch(out, -1) {
			n, err := strconv.Atoi(string(found[1]))
			require.NoError(t, err)
			seed = min(cmp.Or(seed, n), n)
		}
		require.NotZero(t, seed, "the campaign broke down: %s", out)
		return seed
	}
	t.Fatalf("%q survives %d schedules", m.name, *mutantSchedules)
	return 0
}
