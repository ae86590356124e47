package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/spec"
)

// rolling changes one server after the other, a new one each time, until the function it returns is called.
func (l *lab) rolling(every time.Duration) func() {
	hand := l.client(l.config) // somebody else's
	servers, stop, stopped := l.cloud.Servers(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i += 37 {
			id := servers[i%len(servers)].ID
			assert.NoError(l, l.cloud.Update(id, func(s *emulator.Server) { s.Status = "SHUTOFF" }))
			assert.Equal(l, ecs.Accepted, hand.ChangeOS(l.Context(), id, ecs.ChangeOSRequest{ImageID: l.target.ID}).Kind)
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// TestMakePlanWhileARolloutRuns: some twenty servers are changed at a time, so that every few seconds a temporary server
// comes and another one goes, and each page takes a second. Every plan comes to something: each server of the project
// is in it once, and none of the cloud's own.
func TestMakePlanWhileARolloutRuns(t *testing.T) {
	inLab(t, fleetSized(5000), func(l *lab) {
		l.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("offset") {
				time.Sleep(time.Second)
			}
			return false
		}
		stop := l.rolling(4500 * time.Millisecond)
		defer stop()
		time.Sleep(3 * time.Minute)
		for range 3 {
			time.Sleep(11 * time.Second)
			before := l.cloud.Ledger().Requests[serverLists]
			end := run(l, l.acts.MakePlan, l.planOf("", func(s *spec.Spec) {
				s.Select = spec.Selection{Names: []string{"*"}}
				s.Servers.Unfit = spec.RuleSkip
			}), attempt{})
			require.NoError(l, end.err)
			require.NotNil(l, end.result.Plan, end.result.Problems)
			assert.LessOrEqual(l, l.cloud.Ledger().Requests[serverLists]-before, 6+6+1)
			seen := map[string]bool{}
			see := func(id, name string) {
				_, ours := l.cloud.Server(id)
				assert.True(l, ours && !seen[id], name)
				seen[id] = true
			}
			for _, s := range end.result.Plan.Servers {
				see(s.ID, s.Name)
			}
			for _, s := range end.result.Plan.Skipped {
				see(s.ID, s.Name)
			}
			assert.Len(l, seen, 5000)
		}
	})
}
