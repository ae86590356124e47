package replay

import (
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// rolloutPath is one way through a rollout of six servers in two waves, driven on real parts.
type rolloutPath struct {
	name   string
	faults []emulator.Fault
	// applications run on the servers.
	applications bool
	plan         func(*rollout.Plan)
	in           api.RolloutInput
	// during acts while the rollout runs.
	during func(*harness.Lab, client.WorkflowRun)
	end    rollout.RolloutEnd
	// runs is how many recordings there are at most: one for every run of the workflow.
	runs int
}

func rolloutPaths() []rolloutPath {
	tell := func(lab *harness.Lab, run client.WorkflowRun, kind rollout.CommandKind) {
		_, err := lab.Tell(run, rollout.Command{Kind: kind})
		require.NoError(lab.T, err)
	}
	fails := []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: emulator.VariantIntact, Times: 1}}
	inFlight := func(p rollout.Progress) bool { return len(p.InFlight) == 2 && p.Counts.Done >= 1 }
	paused := func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused && len(p.InFlight) == 0 }
	return []rolloutPath{
		{name: "rollout-completed", end: rollout.Completed, runs: 1},
		{name: "rollout-paused-and-resumed", end: rollout.Completed, runs: 1, during: func(lab *harness.Lab, run client.WorkflowRun) {
			lab.Await(run, "servers in flight", inFlight)
			tell(lab, run, rollout.Pause)
			lab.Await(run, "the pause", paused)
			tell(lab, run, rollout.Resume)
		}},
		{name: "rollout-approved", end: rollout.Completed, runs: 1, plan: func(p *rollout.Plan) { p.Waves[0].Approval = true },
			during: func(lab *harness.Lab, run client.WorkflowRun) {
				lab.Await(run, "the wait for an approval", func(p rollout.Progress) bool { return p.NeedsHuman })
				tell(lab, run, rollout.Approve)
			}},
		{name: "rollout-bake-ended", end: rollout.Completed, runs: 1, plan: func(p *rollout.Plan) { p.Waves[0].Bake = time.Hour },
			during: func(lab *harness.Lab, run client.WorkflowRun) {
				lab.Await(run, "the bake", func(p rollout.Progress) bool { return !p.Waves[0].BakeUntil.IsZero() })
				_, err := lab.Tell(run, rollout.Command{Kind: rollout.EndBake, Comment: "it has shown enough"})
				require.NoError(lab.T, err)
			}},
		{name: "rollout-aborted", end: rollout.Aborted, runs: 1, during: func(lab *harness.Lab, run client.WorkflowRun) {
			lab.Await(run, "servers in flight", inFlight)
			tell(lab, run, rollout.Abort)
		}},
		{name: "rollout-cancelled", end: rollout.Aborted, runs: 1, during: func(lab *harness.Lab, run client.WorkflowRun) {
			lab.Await(run, "servers in flight", inFlight)
			require.NoError(lab.T, lab.Temporal.Client.CancelWorkflow(lab.T.Context(), run.GetID(), ""))
		}},
		{name: "rollout-breached", faults: fails, end: rollout.Completed, runs: 1, during: func(lab *harness.Lab, run client.WorkflowRun) {
			lab.Await(run, "the pause", paused)
			tell(lab, run, rollout.Retry)
			tell(lab, run, rollout.Resume)
		}},
		{name: "rollout-rechecked", applications: true, faults: []emulator.Fault{{Op: emulator.OpApplication, Kind: emulator.AppError, Times: -1}},
			plan: func(p *rollout.Plan) { p.Health, p.Soak = health(), 2*time.Second }, end: rollout.Completed, runs: 1,
			during: func(lab *harness.Lab, run client.WorkflowRun) {
				lab.Await(run, "the pause", paused)
				lab.Cloud.ClearFaults()
				tell(lab, run, rollout.Recheck)
				tell(lab, run, rollout.Resume)
			}},
		{name: "rollout-credentials-refused", faults: []emulator.Fault{{Op: emulator.OpServer, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0301"}},
			end: rollout.Completed, runs: 1, during: func(lab *harness.Lab, run client.WorkflowRun) {
				lab.Await(run, "the pause", paused)
				tell(lab, run, rollout.Resume)
			}},
		{name: "rollout-rolled-back", faults: []emulator.Fault{{Op: emulator.OpChangeOS, Kind: emulator.JobFail, Variant: emulator.VariantIntact, After: 2, Times: 1}},
			plan: func(p *rollout.Plan) { p.Budget.OnBreach = rollout.BreachRollback }, end: rollout.RolledBack, runs: 1},
		{name: "rollout-continued-as-new", in: api.RolloutInput{HistoryLimit: 25}, end: rollout.Completed, runs: 2},
	}
}

// recording names the recording of one run of the workflow.
func (p rolloutPath) recording(run int) string {
	if p.runs == 1 {
		return p.name
	}
	return p.name + "-" + string(rune('1'+run))
}
