package activities_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

// TestRegister: workflows and histories know the activities by these names.
func TestRegister(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	names := map[string]bool{}
	(&activities.Activities{}).Register(registry{env, names})
	assert.Equal(t, map[string]bool{
		"Preflight": true, "StopIfNeeded": true, "SubmitChangeOS": true, "PollJob": true, "VerifyServer": true, "CheckHealth": true, "AwaitServer": true, "FindHolder": true, "RestorePower": true,
		"MakePlan": true, "CheckPlan": true, "Diagnose": true, "ReadStates": true, "FindStarted": true,
	}, names)
}

// registry notes the names.
type registry struct {
	*testsuite.TestActivityEnvironment
	names map[string]bool
}

func (r registry) RegisterActivityWithOptions(method any, options activity.RegisterOptions) {
	r.names[options.Name] = true
	r.TestActivityEnvironment.RegisterActivityWithOptions(method, options)
}

func (r registry) RegisterDynamicActivity(method any, options activity.DynamicRegisterOptions) {
	r.TestActivityEnvironment.RegisterDynamicActivity(method, options)
}

// detail is true for a request for the detail of the lab's server.
func (l *lab) detail(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/cloudservers/"+l.server.ID)
}

// TestADeletedServerIsGone: for a while the cloud may still show a server that was deleted.
func TestADeletedServerIsGone(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if l.detail(r) {
				_, _ = fmt.Fprintf(w, `{"server":{"id":%q,"status":"DELETED"}}`, l.server.ID)
			}
			return l.detail(r)
		}
		c := l.verify(0)
		require.NoError(l, c.err)
		assert.Equal(l, rollout.Observation{}, c.result)
		failsWith(l, l.submit(attempt{}).err, api.ErrVanished, true)
		assert.Zero(l, l.sent())
	})
}

// TestADiskThatTheDetailDoesNotName: an edition may leave the boot index out of the server's detail. Then
// the list of its disks tells which one it boots from.
func TestADiskThatTheDetailDoesNotName(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.hideDisk()
		looked := l.preflight(l.question())
		require.NoError(l, looked.err)
		assert.Empty(l, looked.result.Refusals)
		assert.Equal(l, l.before(), looked.result.Before.Fingerprint)

		require.NoError(l, l.submit(attempt{}).err)
		assert.Equal(l, 1, l.changes())
		polled := l.poll(l.writes(emulator.OpChangeOS)[0].JobID, rollout.DefaultDeadline)
		require.Equal(l, change.JobEndSucceeded, polled.result.End)
		c := l.verify(0)
		require.NoError(l, c.err)
		assert.Equal(l, rollout.Done, l.judged(c.result, true))
	})
}
