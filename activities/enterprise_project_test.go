package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

const enterpriseID = "1f3d5b7a-9c2e-4f60-8a1b-3c5d7e9f1a2b"

// TestRightsInAnEnterpriseProjectOnly: lists that do not name it are refused, and plans and the doctor say what to set.
func TestRightsInAnEnterpriseProjectOnly(t *testing.T) {
	options := fleetOf(emulator.Server{Name: "one", Status: "SHUTOFF", Tags: []string{selectsEvery}})
	options.EnterpriseProject = enterpriseID
	for setting, says := range map[string]string{
		"":                        "if they have it in an enterprise project, set HW_ENTERPRISE_PROJECT_ID of the worker to its id, or to all_granted_eps",
		"0":                       "or in enterprise project 0, which HW_ENTERPRISE_PROJECT_ID of the worker names",
		enterpriseID:              "",
		ecs.AllEnterpriseProjects: "",
	} {
		t.Run(setting, func(t *testing.T) {
			inLab(t, options, func(l *lab) {
				l.config.EnterpriseProject = setting
				l.acts.Profiles[0].Cloud = l.client(l.config)
				plan := l.makePlan(l.planOf(selectsEvery)).result
				checks := l.diagnose(contract.DiagnoseInput{ServerID: l.server.ID, ImageID: l.target.ID})
				preflight := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID}}, attempt{})
				if says == "" {
					assert.Empty(l, plan.Problems)
					require.NotNil(l, plan.Plan)
					assert.Len(l, plan.Plan.Servers, 1)
					checks.says(api.CheckListImages, api.CheckOK, "permitted")
					checks.says(api.CheckListServers, api.CheckOK, "the project has 1 in enterprise project "+setting)
					require.NoError(l, preflight.err)
					assert.Empty(l, preflight.result.Refusals)
					return
				}
				require.NotEmpty(l, plan.Problems)
				assert.Contains(l, plan.Problems[0], says)
				assert.Contains(l, checks.failed(api.CheckListServers, api.CheckListImages).Fix, says)
				assert.ErrorContains(l, preflight.err, says, "the image is in a list")
			})
		})
	}
}

// TestPublicImagesAreInNoEnterpriseProject, but may be the target of a user with wider rights.
func TestPublicImagesAreInNoEnterpriseProject(t *testing.T) {
	options := fleetOf(emulator.Server{Name: "one", Status: "SHUTOFF", Tags: []string{selectsEvery}})
	options.Images = []emulator.Image{{Name: emulator.CurrentImageName}, {Name: emulator.TargetImageName, Type: "gold"}}
	inLab(t, options, func(l *lab) {
		l.config.EnterpriseProject = "0"
		l.acts.Profiles[0].Cloud = l.client(l.config)
		assert.Len(l, l.plan(l.planOf(selectsEvery)).Servers, 1)
	})
}
