package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/tests/faults"
)

// TestTokensExpireDuringARollout: the worker is a user with a password, whose tokens live ten minutes, and the rollout
// takes some four hours. It is not paused, and each server is done at the first attempt.
func TestTokensExpireDuringARollout(t *testing.T) {
	const servers, life = 40, 10 * time.Minute
	refused := func(op string, after int) emulator.Fault {
		return emulator.Fault{Op: op, Kind: emulator.Refuse, Status: 401, Code: "APIGW.0307", After: after}
	}
	for name, test := range map[string]struct {
		faults []emulator.Fault
		struck map[emulator.FaultKind]int
	}{
		"and are renewed": {nil, map[emulator.FaultKind]int{}},
		"before their time": {[]emulator.Fault{
			refused(emulator.OpJob, 100), refused(emulator.OpServer, 200), refused(emulator.OpStop, 20), refused(emulator.OpChangeOS, 30),
		}, map[emulator.FaultKind]int{emulator.Refuse: 4}},
		// A hundred attempts come to nothing, and the last token does not serve as long as that.
		"and nobody can sign in": {[]emulator.Fault{
			{Op: emulator.OpToken, Kind: emulator.ServerError, After: 3, Times: 100},
		}, map[emulator.FaultKind]int{emulator.ServerError: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schedule := faults.Calm(servers, 1, callsPerSecond, emulator.Span{Median: 5 * time.Minute, Spread: time.Minute})
			schedule.SignIn, schedule.Cloud.TokenLifetime, schedule.Cloud.Faults = true, life, test.faults
			c := roll(t, schedule, servers)
			t.Log(c)
			assert.Equal(t, rollout.Completed, c.End)
			assert.Equal(t, servers, c.Accepted)
			assert.NotContains(t, c.Story(), "pause")
			assert.Greater(t, c.Took, 3*time.Hour)
			assert.GreaterOrEqual(t, c.Requests["POST /v3/auth/tokens"], int(c.Took/life), "nobody works with a token that is over")
			assert.Equal(t, test.struck, c.Faults)
		})
	}
}
