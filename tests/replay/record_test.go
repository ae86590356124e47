//go:build record

package replay

import (
	"compress/gzip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// machine is for recording only: replaying needs no server.
var machine *harness.Machine

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &machine)) }

// TestRecord writes the recordings. It is built for make record only and never part of the tests: a
// recording made by the code under test proves nothing about it. See README.md.
func TestRecord(t *testing.T) {
	for _, path := range paths() {
		t.Run(path.name, func(t *testing.T) {
			lab := machine.NewLab(t, path.cloud)
			worker := lab.StartWorker(nil)
			server := lab.Server(path.status)
			change := path.change
			change.ImageID = lab.OtherImage(server).ID
			in := api.ChangeOSInput{Project: emulator.DefaultProjectID, ServerID: server.ID, Change: change}
			if path.soak > 0 {
				in.Health, in.Soak = health(), path.soak
			}
			run := lab.StartInput(in)
			if path.during != nil {
				path.during(lab, worker, run)
			}
			var result rollout.ServerResult
			err := run.Get(t.Context(), &result)
			if path.end == "" {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, path.end, result.End, result.Reason)
			}
			if path.dismiss {
				require.Equal(t, 0, machine.CLI(t, "server", "forget", server.ID, "--yes", "--by", "ina", "--task-queue", lab.Queue).Code)
				run = machine.Temporal.Client.GetWorkflow(t.Context(), run.GetID(), "")
			}
			save(t, lab.History(t.Context(), t, run), path.name)
		})
	}
}

// roll drives one path and returns its rollout.
func (p rolloutPath) roll(t *testing.T) (*harness.Lab, client.WorkflowRun) {
	lab := machine.NewLab(t, emulator.Options{Servers: 6, Faults: p.faults, Applications: p.applications})
	lab.StartWorker(nil)
	in := p.in
	in.Plan = lab.Plan(p.name, 2, 1, 6)
	if p.plan != nil {
		p.plan(&in.Plan)
		require.NoError(t, in.Plan.Seal())
	}
	run := lab.Roll(in)
	if p.during != nil {
		p.during(lab, run)
	}
	require.Equal(t, p.end, lab.Rolled(run).End)
	return lab, run
}

// TestRecordRollouts is TestRecord for rollouts.
func TestRecordRollouts(t *testing.T) {
	for _, path := range rolloutPaths() {
		t.Run(path.name, func(t *testing.T) {
			lab, run := path.roll(t)
			runs := lab.Runs(run)
			require.GreaterOrEqual(t, len(runs), path.runs)
			for i, history := range runs[:path.runs] {
				save(t, history, path.recording(i))
			}
		})
	}
}

func save(t *testing.T, recorded *history.History, name string) {
	t.Helper()
	content, err := protojson.Marshal(recorded)
	require.NoError(t, err)
	out, err := os.Create(file(name))
	require.NoError(t, err)
	packed := gzip.NewWriter(out)
	_, err = packed.Write(content)
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	require.NoError(t, out.Close())
}
