package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// TestAsBeforeIsThePlannedStatusFromTheSecondAttemptOn: by then the rollout itself may have stopped the server.
func TestAsBeforeIsThePlannedStatusFromTheSecondAttemptOn(t *testing.T) {
	f := newFleet(t, 3, 3, 3)
	f.plan.Servers[1].Status = rollout.StatusShutoff
	f.plan.Servers[2].Status, f.plan.Servers[2].LeftStopped = rollout.StatusShutoff, true
	f.plan.Change.Power = rollout.PowerAsBefore
	for _, server := range f.plan.Servers {
		f.ends[server.Name] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "no quota", After: untouched()}
	}
	f.at(15*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Retry}); f.tell(rollout.Command{Kind: rollout.Resume}) })

	result := f.result()

	require.Equal(t, rollout.Completed, result.End)
	require.Len(t, f.orders, 6)
	orders := map[string][]string{} // by server: which of two that start at once tells first is left open
	for _, order := range f.orders {
		orders[order.ServerID] = append(orders[order.ServerID], order.AsBefore)
	}
	assert.Equal(t, map[string][]string{
		f.plan.Servers[0].ID: {"", rollout.StatusActive}, f.plan.Servers[1].ID: {"", rollout.StatusShutoff},
		f.plan.Servers[2].ID: {"", rollout.StatusActive},
	}, orders)
}

// TestRollbackLeavesServersAsThePlanFoundThem, whatever the change or a look has made of their power.
func TestRollbackLeavesServersAsThePlanFoundThem(t *testing.T) {
	f := newFleet(t, 2, 1, 2)
	f.plan.Servers[0].Status = rollout.StatusShutoff
	f.plan.Budget.OnBreach = rollout.BreachRollback
	f.ends["web-01"] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "no quota", After: untouched()}

	result := f.result()

	assert.Equal(t, rollout.RolledBack, result.End)
	require.Len(t, f.orders, 3)
	assert.Equal(t, f.plan.Servers[0].ID, f.orders[2].ServerID)
	assert.Equal(t, rollout.PowerOff, f.orders[2].Change.Power)
	assert.Nil(t, f.orders[2].Earlier, "a rollback is no second attempt at the same change")
}

// TestRollbackOfAServerThatWasLeftStopped leaves it running, as the plan has said.
func TestRollbackOfAServerThatWasLeftStopped(t *testing.T) {
	for power, want := range map[rollout.Power]rollout.Power{rollout.PowerAsBefore: rollout.PowerOn, rollout.PowerOff: rollout.PowerOff} {
		f := newFleet(t, 2, 1, 2)
		f.plan.Servers[0].Status, f.plan.Servers[0].LeftStopped, f.plan.Change.Power = rollout.StatusShutoff, true, power
		f.plan.Budget.OnBreach = rollout.BreachRollback
		f.ends["web-01"] = rollout.ServerResult{End: rollout.FailedIntact, Reason: "no quota", After: untouched()}
		require.Equal(t, rollout.RolledBack, f.result().End)
		require.Len(t, f.orders, 3)
		assert.Equal(t, want, f.orders[2].Change.Power)
	}
}

// TestSecondAttemptIsGivenTheDiskFromBeforeTheFirst: its change may have come late.
func TestSecondAttemptIsGivenTheDiskFromBeforeTheFirst(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.ends["web-00"] = rollout.ServerResult{End: rollout.FailedChanged, Reason: "it does not run", After: seen(rollout.StatusShutoff, newImage, newDisk)}
	f.at(15*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Retry}); f.tell(rollout.Command{Kind: rollout.Resume}) })

	result := f.result()

	assert.Equal(t, rollout.Completed, result.End)
	require.Len(t, f.orders, 2)
	assert.Nil(t, f.orders[0].Earlier)
	assert.False(t, f.orders[0].Change.EvenIfSameImage)
	again := f.orders[1]
	assert.Equal(t, &f.plan.Servers[0].Before, again.Earlier)
	assert.Equal(t, &rollout.Fingerprint{ImageID: newImage, VolumeID: newDisk}, again.Expect, "only the disk it was seen with may be lost")
	assert.True(t, again.Change.EvenIfSameImage, "being on the image is no reason to leave a broken server alone")
}

// TestServersOutliveTheirRollout: a server is never cut off between its two disks, whatever becomes of the parent.
func TestServersOutliveTheirRollout(t *testing.T) {
	f := newFleet(t, 2, 2, 2)
	f.run()
	require.Len(t, f.children, 2)
	for i, child := range f.children {
		assert.Equal(t, enumspb.PARENT_CLOSE_POLICY_ABANDON, child.options.ParentClosePolicy)
		assert.Equal(t, api.ChangeOSID(project, f.plan.Servers[i].ID), child.options.WorkflowID, "the id is the lock")
		assert.Zero(t, child.options.WorkflowRunTimeout, "no clock cuts it off either")
		assert.Zero(t, child.options.WorkflowExecutionTimeout)
		assert.Nil(t, child.options.RetryPolicy, "a second run would destroy a second disk")
		assert.Equal(t, f.plan.Servers[i].Name+" to base-2", child.options.StaticSummary)
	}
}
