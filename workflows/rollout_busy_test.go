package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

const holder = "held by rollout db since 2026-03-01T07:00:00Z"

// heldUntil lets another rollout hold a server until a time after the start. It returns what FindHolder was asked.
func (f *fleet) heldUntil(server int, until time.Duration) *[]contract.FindHolderInput {
	id, asked := api.ChangeOSID(project, f.plan.Servers[server].ID), &[]contract.FindHolderInput{}
	f.held = func(other string) bool { return other == id && f.env.Now().Before(curtain.Add(until)) }
	f.env.OnActivity(contract.FindHolder, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in contract.FindHolderInput) (contract.FindHolderResult, error) {
			*asked = append(*asked, in)
			return contract.FindHolderResult{Holder: holder}, nil
		})
	return asked
}

// triedAt are the times after the start at which the rollout asked for the workflow of a server.
func (f *fleet) triedAt(server int) []time.Duration {
	var times []time.Duration
	for _, child := range f.children {
		if child.options.WorkflowID == api.ChangeOSID(project, f.plan.Servers[server].ID) {
			times = append(times, child.at.Sub(curtain))
		}
	}
	return times
}

// TestBusyServerIsTriedEachMinute, and what waits takes no slot, counts as no attempt and lets others pass.
func TestBusyServerIsTriedEachMinute(t *testing.T) {
	f := newFleet(t, 2, 2, 2)
	f.plan.BusyWait = time.Hour
	asked := f.heldUntil(0, 3*time.Minute+30*time.Second)
	var waits rollout.Progress
	var server rollout.ServerProgress
	f.at(90*time.Second, func() { waits, server = f.progress(), f.server(0) })

	result := f.result()

	assert.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute}, f.triedAt(0))
	assert.Equal(t, []string{"web-01"}, names(waits.InFlight))
	assert.Equal(t, 1, waits.Slots)
	assert.Equal(t, rollout.Busy, server.State)
	assert.Equal(t, "busy: "+holder, server.Reason)
	assert.Zero(t, server.Attempts)
	require.Len(t, *asked, 4)
	assert.Equal(t, api.ChangeOSID(project, f.plan.Servers[0].ID), (*asked)[0].WorkflowID)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, curtain.Add(14*time.Minute), result.EndedAt)
	assert.Equal(t, 1, f.server(0).Attempts)
	require.Len(t, f.orders, 2)
	assert.Empty(t, f.orders[1].AsBefore, "its first attempt: nobody has touched its power")
}

func (f *fleet) server(i int) rollout.ServerProgress {
	f.t.Helper()
	answer, err := f.env.QueryWorkflow(api.ServersQuery, api.ServersPage{From: i, Limit: 1})
	require.NoError(f.t, err)
	var page api.ServersAnswer
	require.NoError(f.t, answer.Get(&page))
	return page.Servers[0]
}

// TestBusyServerIsSkippedAfterThePatienceOfThePlan, at once without any.
func TestBusyServerIsSkippedAfterThePatienceOfThePlan(t *testing.T) {
	for patience, tried := range map[time.Duration][]time.Duration{
		0:               {0},
		2 * time.Minute: {0, time.Minute, 2 * time.Minute},
	} {
		t.Run(patience.String(), func(t *testing.T) {
			f := newFleet(t, 2, 2, 2)
			f.plan.BusyWait = patience
			f.heldUntil(0, time.Hour)

			result := f.result()

			assert.Equal(t, tried, f.triedAt(0))
			assert.Equal(t, rollout.Completed, result.End, "it is no failure")
			assert.Equal(t, rollout.Counts{Servers: 2, Done: 1, Skipped: 1}, result.Counts)
			assert.Equal(t, "busy: "+holder, f.server(0).Reason)
		})
	}
}

// TestBusyServerOfAnUnknownHolder: the id is held, whoever holds it, and the name is not worth a failure.
func TestBusyServerOfAnUnknownHolder(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	f.held = func(string) bool { return true }
	f.env.OnActivity(contract.FindHolder, mock.Anything, mock.Anything).Return(contract.FindHolderResult{}, final("Surprise", "out of paper"))

	result := f.result()

	assert.Equal(t, rollout.Counts{Servers: 1, Skipped: 1}, result.Counts)
	assert.Equal(t, "busy: held by another workflow", f.server(0).Reason)
}
