package activities_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

func (l *lab) readStates(ids ...string) ended[contract.ReadStatesResult] {
	l.Helper()
	end := run(l, l.acts.ReadStates, contract.ReadStatesInput{Project: emulator.DefaultProjectID, ServerIDs: ids}, attempt{})
	l.onlyRead()
	return end
}

// TestReadStates names what is down: of the servers that are asked for, or of the whole project.
func TestReadStates(t *testing.T) {
	inLab(t, fleetSized(250), func(l *lab) {
		servers := l.cloud.Servers()
		for i, status := range []string{rollout.StatusShutoff, rollout.StatusError, rollout.StatusBuild} {
			require.NoError(l, l.cloud.Update(servers[i].ID, func(s *emulator.Server) { s.Status = status }))
		}
		require.NoError(l, l.cloud.Delete(servers[3].ID))
		down := []contract.DownServer{{ID: servers[0].ID, Status: "SHUTOFF"}, {ID: servers[1].ID, Status: "ERROR"}}

		end := l.readStates()
		require.NoError(l, end.err)
		assert.ElementsMatch(l, down, end.result.Down, "one that is being created has never served, and one that is gone never will")
		assert.Equal(l, 1, l.cloud.Ledger().Requests[serverLists], "one page")

		end = l.readStates(servers[0].ID, servers[3].ID, servers[4].ID)
		require.NoError(l, end.err)
		assert.Equal(l, down[:1], end.result.Down)
	})
}

// TestReadStatesWithRefusedCredentials is an error that pauses the rollout, and is not tried in vain.
func TestReadStatesWithRefusedCredentials(t *testing.T) {
	inLab(t, withFaults(fleetSized(2), emulator.Fault{Op: emulator.OpServers, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0301", Times: 9}), func(l *lab) {
		end := l.readStates()
		failsWith(l, end.err, api.ErrCredentials, true)
	})
}

// TestMakePlanFindsTheOtherMembers of a group, also when ids alone choose the servers; without countOthers only those are read.
func TestMakePlanFindsTheOtherMembers(t *testing.T) {
	fleet := emulator.Options{Fleet: []emulator.Server{
		{Name: "etcd-1", Tags: []string{"cluster=etcd"}}, {Name: "etcd-2", Tags: []string{"cluster=etcd"}},
		{Name: "etcd-3", Tags: []string{"cluster=etcd"}, Status: rollout.StatusShutoff}, {Name: "db-1", Tags: []string{"cluster=db"}},
	}}
	inLab(t, fleet, func(l *lab) {
		named := map[string]emulator.Server{}
		for _, s := range l.cloud.Servers() {
			named[s.Name] = s
		}
		ids := []string{named["etcd-1"].ID, named["etcd-2"].ID}
		in := l.planOf("", func(s *document.Spec) {
			s.Select, s.PerGroup = document.Selection{IDs: ids}, document.Group{Tag: "cluster", Count: new(1)}
			s.InFlight.Count = new(2)
		})
		plan := l.plan(in)
		third := named["etcd-3"]
		assert.Equal(l, []rollout.OtherServer{{ID: third.ID, Name: "etcd-3", Zone: third.Zone, Group: "etcd", Status: "SHUTOFF"}}, plan.Others)
		assert.Contains(l, plan.Warnings[0], "no room in group etcd (at most 1) for etcd-1, etcd-2, because of servers that are down: etcd-3 (SHUTOFF, not in the plan)")

		in.Document.Spec.CountOthers = new(false)
		assert.Empty(l, l.plan(in).Others)
	})
}
