package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

const rootPassword = "env:REIMAGE_SECRET_ROOT_PASSWORD"

// withPassword is a plan for all servers of the lab that sets the password.
func withPassword(lab *harness.Lab, name string, inFlight int) rollout.Plan {
	plan := lab.Plan(name, inFlight, len(lab.Cloud.Servers()))
	plan.Change.Login.PasswordFrom = rootPassword
	require.NoError(lab.T, plan.Seal())
	return plan
}

// TestAWorkerWithoutTheSecretCostsNoServer: beside it, another worker does the work, or the rollout pauses and names it. No server
// fails, and with the bad worker gone resume carries on to the end.
func TestAWorkerWithoutTheSecretCostsNoServer(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 6})
	bad := lab.StartWorker(nil)
	lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "Pl4nted-Passw0rd"})
	plan := withPassword(lab, "one-bad-worker", 3)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	last := lab.Await(run, "its end, or a pause with nothing in flight", func(p rollout.Progress) bool {
		return p.Phase == rollout.PhaseEnded || p.Phase == rollout.PhasePaused && p.Counts.InFlight == 0
	})
	assert.Zero(t, last.Failed)
	if last.Phase == rollout.PhasePaused {
		assert.Contains(t, last.Why, rootPassword+": the worker's environment does not hold it (worker ")
		require.NoError(t, bad.Stop())
		_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
		require.NoError(t, err)
	}
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 6, Done: 6}, result.Counts)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}

// TestASecretThatNoWorkerHasPausesTheRollout before a server is touched. The first command is to find out why, and the next one is
// resume.
func TestASecretThatNoWorkerHasPausesTheRollout(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 4})
	bad := lab.StartWorker(nil)
	plan := withPassword(lab, "no-secret", 2)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	paused := lab.Await(run, "a pause with nothing in flight", func(p rollout.Progress) bool {
		return p.Phase == rollout.PhasePaused && p.Counts.InFlight == 0
	})
	assert.Regexp(t, `password from `+rootPassword+`: the worker's environment does not hold it \(worker \d+@\S+\): mend that, then resume`, paused.Why)
	assert.Equal(t, rollout.Counts{Servers: 4, Pending: 4}, paused.Counts)
	assert.Zero(t, paused.Failed)
	status := machine.CLI(t, "status", "no-secret").Out
	assert.Regexp(t, `(?s)reimage doctor --secret `+rootPassword+`\s.*reimage resume no-secret.*reimage abort`, status)
	assert.NotContains(t, status, "accept")
	for _, planned := range plan.Servers {
		now, _ := lab.Cloud.Server(planned.ID)
		assert.Equal(t, planned.Status, now.Status, planned.Name)
	}

	require.NoError(t, bad.Stop())
	lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": "Pl4nted-Passw0rd"})
	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
	require.NoError(t, err)
	assert.Equal(t, rollout.Completed, lab.Rolled(run).End)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}

// TestASecretsFolderThatDoesNotExistEndsTheStart of a worker, which would only be in the way of the others.
func TestASecretsFolderThatDoesNotExistEndsTheStart(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 1})
	_, err := lab.TryWorker(map[string]string{"REIMAGE_SECRETS_DIR": lab.Dir + "/gone"})
	require.Error(t, err)
	assert.Contains(t, err.Error()+lab.Logs(), "REIMAGE_SECRETS_DIR: there is no folder "+lab.Dir+"/gone: create or mount it, or unset the variable")
}
