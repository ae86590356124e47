package e2e

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/harness"
)

// TestRevokedCredentialsPauseARollout: the cloud refuses the key while every slot is taken by a server that is half
// way and waits for it. Nothing fails, the rollout pauses all the same, and once the key is accepted again resume carries on to the end.
func TestRevokedCredentialsPauseARollout(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 8})
	lab.StartWorker(nil)
	plan := lab.Plan("revoked", 2, 8)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	lab.Eventually("two changes under way", func() bool {
		return lab.Accepted(plan.Servers[0].ID)+lab.Accepted(plan.Servers[1].ID) == 2
	})

	require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: emulator.OpAny, Kind: emulator.Refuse, Code: "APIGW.0301", Status: 401, Times: -1}))
	paused := lab.Await(run, "a pause", func(p rollout.Progress) bool { return p.Phase == rollout.PhasePaused })
	assert.Contains(t, paused.Why, "the cloud refuses the credentials of profile default: ")
	assert.Contains(t, paused.Why, "HTTP 401 APIGW.0301")
	assert.Contains(t, paused.Why, "mend that, then resume")
	assert.True(t, paused.NeedsHuman)
	assert.Positive(t, paused.Counts.InFlight, "it waits for the credentials")
	assert.Equal(t, 8, paused.Counts.Done+paused.Counts.InFlight+paused.Counts.Pending, "nothing fails")
	ran := machine.CLI(t, "status", "revoked")
	assert.Contains(t, ran.Out, "mend that, then resume")
	assert.Regexp(t, `\(request [0-9a-f]{32}\)`, ran.Out)
	lab.Eventually("the status of a server in flight tells of it", func() bool {
		ran = machine.CLI(t, "server", "status", paused.InFlight[0].ID, "--task-queue", lab.Queue)
		return strings.Contains(ran.Out, "; tried again after: the cloud refuses the credentials of profile default: ")
	})

	lab.Cloud.ClearFaults()
	ran = machine.CLI(t, "resume", "revoked", "--by", "the test")
	assert.Equal(t, 0, ran.Code)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 8, Done: 8}, result.Counts)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}

// TestWithdrawnPermissionPausesARollout: the credentials are good and may no longer change servers. No server fails for it,
// those that were stopped get their power back, and resume carries on once it is granted again.
func TestWithdrawnPermissionPausesARollout(t *testing.T) {
	t.Parallel()
	lab := machine.NewLab(t, emulator.Options{Servers: 8})
	lab.StartWorker(nil)
	plan := lab.Plan("withdrawn", 2, 8)
	run := lab.Roll(api.RolloutInput{Plan: plan})
	lab.Eventually("two changes under way", func() bool {
		return lab.Accepted(plan.Servers[0].ID)+lab.Accepted(plan.Servers[1].ID) == 2
	})

	require.NoError(t, lab.Cloud.AddFault(emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403, Times: -1}))
	paused := lab.Await(run, "a pause with nothing in flight", func(p rollout.Progress) bool {
		return p.Phase == rollout.PhasePaused && p.Counts.InFlight == 0
	})
	assert.Contains(t, paused.Why, "the credentials of profile default lack a permission: change the OS of server ")
	assert.Contains(t, paused.Why, "the credentials need the action ecs:cloudServers:changeOS in this project")
	assert.True(t, paused.NeedsHuman)
	assert.Positive(t, paused.Counts.Pending)
	assert.Equal(t, 8, paused.Counts.Done+paused.Counts.Pending, "nothing fails")
	for _, planned := range plan.Servers {
		now, _ := lab.Cloud.Server(planned.ID)
		assert.Equal(t, planned.Status, now.Status, planned.Name)
	}

	lab.Cloud.ClearFaults()
	_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
	require.NoError(t, err)
	result := lab.Rolled(run)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 8, Done: 8}, result.Counts)
	requireFleetChangedOnce(t, lab, plan)
	lab.ReplayRuns(run)
}

// TestWrongSettingsAreMendedOnTheWorker: a worker that was started with the wrong key, or that cannot even find out
// whether the rollout's project is its own, changes nothing and fails no server; one with the right settings takes over.
func TestWrongSettingsAreMendedOnTheWorker(t *testing.T) {
	t.Parallel()
	for name, wrongly := range map[string]map[string]string{
		"key":      {"HUAWEICLOUD_SDK_SK": "not-the-secret-key-of-anybody-at-all"},
		"password": asUser("not-the-password-of-anybody", emulator.DefaultProjectName),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Servers: 4})
			env := map[string]string{"REIMAGE_IAM_ENDPOINT": lab.URL}
			maps.Copy(env, wrongly)
			wrong := lab.StartWorker(env)
			plan := lab.Plan("mended-"+name, 4, 4)
			run := lab.Roll(api.RolloutInput{Plan: plan})
			paused := lab.Await(run, "a pause with nothing in flight", func(p rollout.Progress) bool {
				return p.Phase == rollout.PhasePaused && p.Counts.InFlight == 0
			})
			assert.Equal(t, rollout.Counts{Servers: 4, Pending: 4}, paused.Counts)
			assert.Contains(t, paused.Why, "the cloud refuses the credentials of profile default: ")
			assert.NotContains(t, paused.Why, "not-the-")
			require.NoError(t, wrong.Stop())

			lab.StartWorker(nil)
			_, err := lab.Tell(run, rollout.Command{Kind: rollout.Resume})
			require.NoError(t, err)
			assert.Equal(t, rollout.Completed, lab.Rolled(run).End)
			requireFleetChangedOnce(t, lab, plan)
			lab.ReplayRuns(run)
		})
	}
}

// TestRolloutOutlivesItsCredentials: the worker is a user with a password, or has no keys but those of its server's agency.
// What either is granted lives for 40 seconds, and the four changes alone take as long as that, one after the other.
func TestRolloutOutlivesItsCredentials(t *testing.T) {
	t.Parallel()
	const life = 40 * time.Second
	for name, as := range map[string]struct {
		env     func(lab *harness.Lab) map[string]string
		granted string
	}{
		"user": {func(lab *harness.Lab) map[string]string {
			return map[string]string{
				"HW_USER_NAME": emulator.DefaultUserName, "HW_USER_PASSWORD": emulator.DefaultPassword, "HW_DOMAIN_NAME": emulator.DefaultDomainName,
				"REIMAGE_IAM_ENDPOINT": lab.URL,
			}
		}, "POST /v3/auth/tokens"},
		"agency": {func(lab *harness.Lab) map[string]string {
			return map[string]string{"REIMAGE_METADATA_ENDPOINT": lab.URL}
		}, "GET /openstack/latest/securitykey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{
				Servers: 4, TokenLifetime: life, Timing: emulator.Timing{ChangeOS: emulator.Span{Median: harness.Speed * life / 4}},
			})
			env := as.env(lab)
			env["HUAWEICLOUD_SDK_AK"], env["HUAWEICLOUD_SDK_SK"] = "", ""
			lab.StartWorker(env)
			plan := lab.Plan("by-"+name, 1, 4)
			run := lab.Roll(api.RolloutInput{Plan: plan})
			result := lab.Rolled(run)
			assert.Equal(t, rollout.Completed, result.End)
			assert.Equal(t, rollout.Counts{Servers: 4, Done: 4}, result.Counts)
			assert.GreaterOrEqual(t, lab.Cloud.Ledger().Requests[as.granted], 2)
			requireFleetChangedOnce(t, lab, plan)
			lab.ReplayRuns(run)
		})
	}
}
