package doctorview_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/doctorview"
)

func ok(check, seen string) api.Finding {
	return api.Finding{Check: check, Verdict: api.CheckOK, Seen: seen}
}

func skipped(check, seen string) api.Finding {
	return api.Finding{Check: check, Verdict: api.CheckSkipped, Seen: seen}
}

func of(worker string, f api.Finding) api.Finding {
	f.Worker = worker
	return f
}

func printed(t *testing.T, findings []api.Finding) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, doctorview.Print(&out, findings))
	return out.String()
}

// TestFindingsAsTheyAreShown compares with testdata. REIMAGE_UPDATE=1 writes it anew.
func TestFindingsAsTheyAreShown(t *testing.T) {
	refused := "list servers: HTTP 403 Pdp.0001: User: iam::0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80:user:svc-rollout is not authorized to perform: " +
		"ecs:cloudServers:list on resource: * because no identity-based policy allows it (request 8d2e4f6a800e5f8a4c3b2d4e6f9a1b7c)"
	for name, findings := range map[string][]api.Finding{
		"well": {
			ok("Temporal", "127.0.0.1:7233, server 1.29.1"), ok("worker", "1 worker serves task queue reimage: 4711@build-07"),
			ok(api.CheckListServers, "permitted (ecs:cloudServers:list); the project has 24"),
			skipped(api.CheckImage, "not checked: name one with --image"),
		},
		"ill": {
			ok("Temporal", "127.0.0.1:7233, server 1.29.1"), ok(api.CheckCredentials, "the cloud accepts them"),
			{Check: api.CheckListServers, Verdict: api.CheckFailed, Seen: refused, Fix: "the credentials need the action ecs:cloudServers:list in this project, and this is a remedy that does not fit into one line"},
			{Check: api.CheckServer, Verdict: api.CheckFailed, Seen: "web-01\x1b[2J is locked\nby ORDER", Fix: "unlock it"},
			skipped(api.CheckChanges, "not checked: would change a server"),
		},
		"two workers": {
			ok("Temporal", "127.0.0.1:7233, server 1.29.1"), ok(api.CheckWorker, "4711@build-07 has made these checks for task queue reimage"),
			of("4711@build-07", ok(api.CheckSecrets, "this worker can read: file:init.yaml")),
			of("4711@build-07", ok(api.CheckProfile, "default: project 0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80, edition otc")),
			of("4712@build-08", api.Finding{Check: api.CheckSecrets, Verdict: api.CheckFailed, Seen: "file:init.yaml: the worker has no secrets folder (REIMAGE_SECRETS_DIR) (worker 4712@build-08)", Fix: "mend it on this worker and restart that"}),
			of("4712@build-08", skipped(api.CheckProfile, "not checked")),
			api.UnverifiedWorker("4713@build-09"),
		},
		"one worker": {
			ok(api.CheckWorker, "4711@build-07 has made these checks for task queue reimage"),
			of("4711@build-07", ok(api.CheckSecrets, "this worker can read: file:init.yaml")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
			got := printed(t, findings)
			for line := range strings.Lines(got) {
				assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 120)
			}
			if os.Getenv("REIMAGE_UPDATE") == "1" {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "REIMAGE_UPDATE=1 writes it")
			assert.Equal(t, string(want), got, "REIMAGE_UPDATE=1 writes it anew")
		})
	}
}

// TestPrintTellsOfAFullDisk instead of showing half of the findings as all of them.
func TestPrintTellsOfAFullDisk(t *testing.T) {
	assert.ErrorIs(t, doctorview.Print(full{}, []api.Finding{ok("Temporal", "there")}), errFull)
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
