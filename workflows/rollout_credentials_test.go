package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// noKey is a server that credentials have kept from being changed.
func noKey() rollout.ServerResult {
	return rollout.ServerResult{
		End: rollout.NotStarted, Reason: "the server could not be looked at, nothing was touched: no such key",
		CredentialsRefused: "the cloud refuses the credentials of profile web: no such key",
	}
}

// TestRefusedCredentialsPauseTheRollout, whoever was in flight: no server has failed, and with the credentials
// mended resume carries on.
func TestRefusedCredentialsPauseTheRollout(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	f.ends["web-00"], f.ends["web-01"] = noKey(), noKey()
	var paused rollout.Progress
	f.at(time.Hour, func() {
		paused = f.progress()
		f.tell(rollout.Command{Kind: rollout.Resume})
	})

	result := f.result()

	assert.Equal(t, rollout.PhasePaused, paused.Phase)
	assert.True(t, paused.NeedsHuman)
	assert.Equal(t, "paused: the cloud refuses the credentials of profile web: no such key: mend that, then resume; 0 servers in flight", paused.Why)
	assert.Equal(t, rollout.Counts{Servers: 4, Pending: 4}, paused.Counts)
	assert.Zero(t, paused.Failed)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 4}, result.Counts)
	require.Len(t, f.orders, 6)
	assert.ElementsMatch(t, f.orders[:2], f.orders[2:4], "asked for again as if they had not been; which of two tells first is left open")
	assert.Equal(t, 1, f.server(0).Attempts)
}

// TestSecretThatNoWorkerReadsPausesTheRollout, before a server is stopped and at its change alike: no server has failed, and one that
// was stopped has its power back.
func TestSecretThatNoWorkerReadsPausesTheRollout(t *testing.T) {
	const lacks = "password from file:root: the worker's secrets folder /s does not hold it (worker 4711@build-07)"
	for name, fail := range map[string]func(*stage){
		"look":   func(s *stage) { s.look.fails(final(api.ErrSecret, lacks)) },
		"submit": func(s *stage) { s.submit.fails(final(api.ErrSecret, lacks)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			fail(s)
			result := s.ended()
			assert.Equal(t, rollout.NotStarted, result.End)
			assert.Equal(t, lacks, result.CredentialsRefused, "which pauses the rollout")
			assert.Contains(t, result.Reason, lacks)
			assert.Empty(t, result.PowerTrouble)
		})
	}
}

// TestServersInFlightThatWaitForCredentialsPauseTheRollout: each tells of it, once is enough, and each goes on by itself.
func TestServersInFlightThatWaitForCredentialsPauseTheRollout(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	var paused rollout.Progress
	for range 2 {
		f.at(5*time.Minute, func() { f.env.SignalWorkflow(api.CredentialsSignal, "no such key") })
	}
	f.at(6*time.Minute, func() { paused = f.progress() })
	f.at(time.Hour, func() {
		assert.Equal(t, rollout.Counts{Servers: 4, Done: 2, Pending: 2}, f.progress().Counts, "nothing is started in a pause")
		f.env.SignalWorkflow(api.CredentialsSignal, "of before")
		f.tell(rollout.Command{Kind: rollout.Resume})
	})

	result := f.result()

	assert.Equal(t, "paused: no such key: mend that, then resume; 2 servers in flight", paused.Why)
	assert.Len(t, paused.Log, 2)
	assert.Equal(t, rollout.Completed, result.End)
	assert.Equal(t, rollout.Counts{Servers: 4, Done: 4}, result.Counts)
}

// TestAbortSaysThatServersWaitForCredentials: nothing is paused any more, but whoever aborts has to know why it takes long.
func TestAbortSaysThatServersWaitForCredentials(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	var aborting []rollout.Progress
	look := func() { aborting = append(aborting, f.progress()) }
	f.at(2*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
	f.at(3*time.Minute, look)
	for range 2 {
		f.at(5*time.Minute, func() { f.env.SignalWorkflow(api.CredentialsSignal, "no such key") })
	}
	f.at(6*time.Minute, look)

	f.run()

	require.Len(t, aborting, 2)
	assert.Equal(t, "aborting: finishes 2 servers in flight", aborting[0].Why)
	assert.False(t, aborting[0].NeedsHuman)
	assert.Equal(t, "aborting: finishes 2 servers in flight, which may wait: no such key: mend that", aborting[1].Why)
	assert.True(t, aborting[1].NeedsHuman)
	assert.Len(t, aborting[1].Log, len(aborting[0].Log)+1, "told once")
}

// TestAbortOfAPauseForCredentials says what was known in the pause.
func TestAbortOfAPauseForCredentials(t *testing.T) {
	f := newFleet(t, 4, 2, 4)
	f.at(5*time.Minute, func() { f.env.SignalWorkflow(api.CredentialsSignal, "no such key") })
	var aborting rollout.Progress
	f.at(6*time.Minute, func() { f.tell(rollout.Command{Kind: rollout.Abort}) })
	f.at(7*time.Minute, func() { aborting = f.progress() })

	f.run()

	assert.Equal(t, "aborting: finishes 2 servers in flight, which may wait: no such key: mend that", aborting.Why)
}

// TestServerLeftOffByRefusedCredentialsHasFailed: it ran before and does not run now, which somebody has to see.
func TestServerLeftOffByRefusedCredentialsHasFailed(t *testing.T) {
	f := newFleet(t, 1, 1, 1)
	left := noKey()
	left.Before, left.PowerTrouble = seen(rollout.StatusActive, oldImage, oldDisk), "no such key for a day"
	f.ends["web-00"] = left
	f.abortLate()

	f.run()

	p := f.progress()
	require.Len(t, p.Failures, 1)
	assert.True(t, p.Failures[0].Down)
}
