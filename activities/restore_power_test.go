package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// restore makes one attempt.
func (l *lab) restore(a attempt, on bool) ended[contract.RestorePowerResult] {
	l.Helper()
	return run(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: on}, a)
}

func TestRestorePower(t *testing.T) {
	tests := []struct {
		name          string
		from          emulator.Options
		on            bool
		starts, stops int
		status        string
	}{
		{"running already", running(), true, 0, 0, rollout.StatusActive},
		{"stopped already", stopped(), false, 0, 0, rollout.StatusShutoff},
		{"start", stopped(), true, 1, 0, rollout.StatusActive},
		{"stop", running(), false, 0, 1, rollout.StatusShutoff},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, test.from, func(l *lab) {
				end := l.restore(attempt{}, test.on)
				require.NoError(l, end.err)
				assert.Equal(l, test.status, end.result.Status)
				assert.Len(l, l.writes(emulator.OpStart), test.starts)
				assert.Len(l, l.writes(emulator.OpStop), test.stops)
				now, _ := l.cloud.Server(l.server.ID)
				assert.Equal(l, test.status, now.Status)
				assert.Empty(l, now.TaskState)
			})
		})
	}
}

// TestRestorePowerUnderFaults: one start is accepted whatever happens to its answer, and the server runs.
func TestRestorePowerUnderFaults(t *testing.T) {
	for _, fault := range []emulator.Fault{
		{Kind: emulator.DropBefore}, {Kind: emulator.DropAfter}, {Kind: emulator.HangBefore}, {Kind: emulator.HangAfter},
		{Kind: emulator.CutBody}, {Kind: emulator.NoJobID}, {Kind: emulator.ServerError}, {Kind: emulator.BadGatewayHTML},
		{Kind: emulator.BadGatewayAfter}, {Kind: emulator.Flow202}, {Kind: emulator.Throttle}, {Kind: emulator.Throttle1503},
		{Kind: emulator.JobForgotten}, {Kind: emulator.JobStuckDone}, {Kind: emulator.Lag, Delay: 80 * time.Second},
		{Kind: emulator.Refuse, Code: "Ecs.0603"}, {Kind: emulator.RefuseAfter, Code: "Ecs.9999"},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			fault.Op = emulator.OpStart
			inLab(t, withFaults(stopped(), fault), func(l *lab) {
				c := persist(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: true}, attempt{})
				require.NoError(l, c.err)
				assert.Equal(l, rollout.StatusActive, c.result.Status)
				assert.Len(l, l.writes(emulator.OpStart), 1)
			})
		})
	}
}

// TestRestorePowerAdoptsTheJobOfTheLastAttempt: a worker is killed while the server boots.
func TestRestorePowerAdoptsTheJobOfTheLastAttempt(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		defer cancel()
		l.after(5*time.Second, cancel)
		killed := l.restore(attempt{ctx: ctx}, true)
		require.Error(l, killed.err)
		require.NoError(l, l.restore(attempt{number: 2, details: killed.last()}, true).err)
		assert.Len(l, l.writes(emulator.OpStart), 1)
	})
}

// TestRestorePowerWaitsForThePermission: nobody leaves a server without its power for want of it.
func TestRestorePowerWaitsForThePermission(t *testing.T) {
	withdrawn := emulator.Fault{Op: emulator.OpStart, Kind: emulator.Refuse, Code: "Pdp.0001", Status: 403, Times: 2}
	inLab(t, withFaults(stopped(), withdrawn), func(l *lab) {
		c := persist(l, l.acts.RestorePower, contract.RestorePowerInput{ServerID: l.server.ID, On: true}, attempt{})
		require.NoError(l, c.err)
		assert.Equal(l, []string{api.ErrCredentials, api.ErrCredentials, ""}, c.kinds())
	})
}

func TestRestorePowerFails(t *testing.T) {
	t.Run("job fails", func(t *testing.T) {
		fail := emulator.Fault{Op: emulator.OpStart, Kind: emulator.JobFail, Message: "no capacity on the host"}
		inLab(t, withFaults(stopped(), fail), func(l *lab) {
			failed := failsWith(l, l.restore(attempt{}, true).err, api.ErrRefused, true)
			assert.Contains(l, failed.Message(), "no capacity on the host")
		})
	})
	t.Run("refused for a reason in no table", func(t *testing.T) {
		refuse := emulator.Fault{Op: emulator.OpStart, Kind: emulator.Refuse, Code: "Ecs.9999"}
		inLab(t, withFaults(stopped(), refuse), func(l *lab) {
			end := l.restore(attempt{}, true)
			assert.Contains(l, failsWith(l, end.err, api.ErrRefused, true).Message(), "Ecs.9999")
			assert.GreaterOrEqual(l, end.took, testTiming().Settle)
			assert.Empty(l, l.writes(emulator.OpStart))
		})
	})
	t.Run("vanished", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			require.NoError(l, l.cloud.Delete(l.server.ID))
			failsWith(l, l.restore(attempt{}, true).err, api.ErrVanished, true)
		})
	})
	t.Run("no system disk", func(t *testing.T) {
		inLab(t, stopped(), func(l *lab) {
			l.update(func(s *emulator.Server) { s.SystemVolumeID = "" })
			failed := failsWith(l, l.restore(attempt{}, true).err, api.ErrRefused, true)
			assert.Contains(l, failed.Message(), "Ecs.0105")
		})
	})
}
