package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

func readBeat(l *lab, raw *converter.RawValue) api.ReadingProgress {
	return read[api.ReadingProgress](l, raw)
}

func (l *lab) checkPlan(plan rollout.Plan) ended[contract.CheckPlanResult] {
	l.Helper()
	end := run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{number: 6}) // as makePlan
	l.onlyRead()
	return end
}

// drift is what has changed, one sentence for each server.
func (l *lab) drift(plan rollout.Plan) map[string]string {
	l.Helper()
	end := l.checkPlan(plan)
	require.NoError(l, end.err)
	found := map[string]string{}
	for _, d := range end.result.Drift {
		found[d.ServerID] = d.What
	}
	return found
}

func TestCheckPlan(t *testing.T) {
	inLab(t, fleetSized(250), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		assert.Empty(l, l.drift(plan))
		assert.Equal(l, 1+3, l.cloud.Ledger().Requests[serverLists], "planned from one page, checked with a hundred ids a request")

		servers := l.cloud.Servers()
		require.NoError(l, l.cloud.Update(servers[0].ID, func(s *emulator.Server) { s.SystemVolumeID = unknownID }))
		require.NoError(l, l.cloud.Update(servers[1].ID, func(s *emulator.Server) { s.Locked, s.LockSource = true, "ORDER" }))
		require.NoError(l, l.cloud.Update(servers[2].ID, func(s *emulator.Server) { s.SystemVolumeID = "" }))
		require.NoError(l, l.cloud.Update(servers[3].ID, func(s *emulator.Server) { s.Status = "SHUTOFF" }))
		require.NoError(l, l.cloud.Delete(servers[4].ID))
		drift := l.drift(plan)
		assert.Len(l, drift, 4, "that a server was stopped is no drift: the rollout stops it anyway")
		assert.Contains(l, drift[servers[0].ID], "has another system disk")
		assert.Contains(l, drift[servers[1].ID], "is locked now by ORDER")
		assert.Contains(l, drift[servers[2].ID], "has no system disk")
		assert.Contains(l, drift[servers[4].ID], "is gone")
	})
}

func TestCheckPlanWithoutItsImage(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		plan.Change.ImageID = unknownID
		require.NoError(l, plan.Seal())
		assert.Contains(l, l.drift(plan)[""], "is gone")
	})
}

// TestCheckPlanOfAnotherProject asks nobody for servers that are not this worker's.
func TestCheckPlanOfAnotherProject(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		plan.Project = "another"
		require.NoError(l, plan.Seal())
		before := l.cloud.Ledger().Requests
		assert.Contains(l, l.drift(plan)[""], "the plan is for project another")
		assert.Equal(l, before, l.cloud.Ledger().Requests)
	})
}

// TestCheckPlanRefusesEditedPlans before anything is asked.
func TestCheckPlanRefusesEditedPlans(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		before := l.cloud.Ledger().Requests
		for name, edit := range map[string]func(*rollout.Plan){
			"a server less": func(p *rollout.Plan) { p.Servers = p.Servers[1:] },
			"another image": func(p *rollout.Plan) { p.Change.ImageID = unknownID },
			"no digest":     func(p *rollout.Plan) { p.Digest = "" },
			"a new version": func(p *rollout.Plan) { p.Version = 99 },
		} {
			edited := plan
			edit(&edited)
			failsWith(l, l.checkPlan(edited).err, api.ErrInvalid, true)
			assert.Equal(l, before, l.cloud.Ledger().Requests, name)
		}
	})
}

// TestCheckPlanWithIDsThatAreNone: a digest is no signature, so whoever can compute it can write anything.
func TestCheckPlanWithIDsThatAreNone(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		before := l.cloud.Ledger().Requests
		plan.Servers[0].ID = "x/../../jobs"
		require.NoError(l, plan.Seal())
		failsWith(l, l.checkPlan(plan).err, api.ErrInvalid, true)
		assert.Equal(l, before, l.cloud.Ledger().Requests)
	})
}

func TestCheckPlanWithOtherCredentials(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		plan := l.plan(l.planOf(selectsEvery))
		l.config.Credentials = ecs.Token{Value: ecs.NewSecret("expired")}
		l.acts.Profiles[0].Cloud = l.client(l.config)
		failsWith(l, l.checkPlan(plan).err, api.ErrCredentials, true)
	})
}
