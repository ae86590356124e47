package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
)

// TestSecretsStayWithTheWorker plants a password and user data, and has a cloud repeat both in every spelling: in refusals, in pages of
// its gateway and in the reasons of its jobs. Then it looks for them in the report, in the worker's log and in Temporal's
// database.
func TestSecretsStayWithTheWorker(t *testing.T) {
	t.Parallel()
	const (
		password = "Pl4nted-Passw0rd"
		marker   = "planted-user-data-marker"
	)
	kinds := []emulator.Fault{
		{Kind: emulator.Refuse, Status: 400, Code: "Ecs.0005"}, {Kind: emulator.JobFail}, {Kind: emulator.JobFail, Variant: emulator.VariantChanged},
		{Kind: emulator.BadGatewayAfter},
	}
	var fleet []emulator.Server
	for i := range spelling.Names() {
		fleet = append(fleet, emulator.Server{Name: fmt.Sprintf("server-%02d", i), Status: "SHUTOFF"})
	}
	for what, change := range map[string]rollout.Change{
		"password":  {Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}},
		"user-data": {UserDataFrom: "file:cloud-config"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Fleet: fleet})
			lab.StartWorker(map[string]string{"REIMAGE_SECRET_ROOT_PASSWORD": password})
			lab.Secret("cloud-config", "#cloud-config\n# "+marker+"\n")
			for i, name := range spelling.Names() {
				fault := kinds[i%len(kinds)]
				fault.Op, fault.Server, fault.Echo = emulator.OpChangeOS, fleet[i].Name, name
				require.NoError(t, lab.Cloud.AddFault(fault))
			}
			plan := lab.Plan("secrets-"+what, len(fleet), len(fleet))
			plan.Budget.Count = new(len(fleet))
			change.ImageID = plan.Change.ImageID
			plan.Change = change
			require.NoError(t, plan.Seal())
			result := lab.Rolled(lab.Roll(api.RolloutInput{Plan: plan}))
			require.Equal(t, rollout.CompletedWithFailures, result.End)
			assert.Positive(t, result.Counts.Done, "those whose answer was a page")

			report := machine.CLI(t, "report", plan.Name).Out + machine.CLI(t, "report", plan.Name, "--format", "json").Out
			assert.Contains(t, report, "a parameter of the request is invalid; the cloud's text is not kept")
			assert.Contains(t, report, "the system disk could not be created; the cloud's text is not kept")
			database := string(readDatabase(t))
			assert.Contains(t, database, lab.Cloud.Servers()[0].ID, "the search finds what is there")
			assert.Contains(t, database, string(change.Login.PasswordFrom+change.UserDataFrom), "references are there")
			for where, text := range map[string]string{"report": report, "worker's log": lab.Logs(), "database": database} {
				for _, secret := range []string{password, marker, emulator.DefaultSecretKey} {
					form, found := spelling.In(text, secret)
					assert.False(t, found, "the %s holds %s (%s)", where, secret, form)
				}
			}
		})
	}
}

// readDatabase reads the SQLite file and what has not been merged into it yet.
func readDatabase(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-journal"} {
		content, err := os.ReadFile(machine.DB + suffix)
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		all = append(all, content...)
	}
	return all
}
