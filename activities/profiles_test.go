package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout/document"
)

// TestProfilesOfOneWorker: a name chooses where something is planned, and the project where it is done.
func TestProfilesOfOneWorker(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		there := l.config
		there.ProjectID = otherProject
		l.acts.Profiles = []activities.Profile{{Name: "edge", Cloud: l.acts.Profiles[0].Cloud}, {Name: "core", Cloud: l.client(there)}}

		for profile, says := range map[string]string{
			"":      "no profile is named, and the workers have several: name one of core, edge",
			"abyss": `profile "abyss" is not one of the workers' (docs/configuration.md): name one of core, edge`,
		} {
			plan := l.makePlan(l.planOf("", func(s *document.Spec) { s.Select, s.Profile = document.Selection{IDs: []string{l.server.ID}}, profile }))
			require.NoError(l, plan.err)
			assert.Equal(l, []string{says}, plan.result.Problems)
			in := l.question()
			in.Project, in.Profile = "", profile
			assert.Equal(l, []string{says}, l.preflight(in).result.Refusals)
		}
		assert.Empty(l, l.cloud.Ledger().Requests)

		plan := l.makePlan(l.planOf("", func(s *document.Spec) { s.Select, s.Profile = document.Selection{IDs: []string{l.server.ID}}, "edge" }))
		require.NoError(l, plan.err)
		require.NotNil(l, plan.result.Plan, plan.result.Problems)
		assert.Equal(l, l.config.ProjectID, plan.result.Plan.Project)
		assert.Empty(l, l.checkPlan(*plan.result.Plan).result.Drift)

		in := l.submission()
		in.Project = l.config.ProjectID
		require.NoError(l, run(l, l.acts.SubmitChangeOS, in, attempt{}).err)
		assert.Equal(l, 1, l.changes())

		l.acts.Profiles[1].Name = activities.DefaultProfile
		look := l.question()
		look.Project = ""
		asked := run(l, l.acts.Preflight, look, attempt{})
		assert.ErrorContains(l, asked.err, "Ecs.0023", "the one called default was asked, whose project is not the key's")
	})
}
