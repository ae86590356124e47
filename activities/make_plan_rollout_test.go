package activities_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
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
		for range 2 {
			time.Sleep(11 * time.Second)
			before := l.cloud.Ledger().Requests[serverLists]
			end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
				s.Select = document.Selection{Names: []string{"*"}}
				s.Servers.Unfit = document.RuleSkip
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

// holding is a Temporal in which a rollout changes servers.
type holding struct {
	forgetful
	*lab
	servers []string
	err     error
}

func (h holding) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	const prefix = "changeos/" + emulator.DefaultProjectID + "/"
	assert.Equal(h, "WorkflowId STARTS_WITH '"+prefix+"' AND ExecutionStatus = 'Running'", request.GetQuery())
	answer := &workflowservice.ListWorkflowExecutionsResponse{}
	if n := len(request.GetNextPageToken()); n < len(h.servers) { // one a page
		answer.Executions = []*workflow.WorkflowExecutionInfo{{
			Execution:       &common.WorkflowExecution{WorkflowId: prefix + h.servers[n]},
			ParentExecution: &common.WorkflowExecution{WorkflowId: "rollout/march"},
			StartTime:       timestamppb.New(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		}}
		answer.NextPageToken = make([]byte, n+1)
	}
	return answer, h.err
}

// TestMakePlanBesideAChange: what the cloud shows of a server that is changed, and of the one that it makes for that time,
// is published nowhere.
func TestMakePlanBesideAChange(t *testing.T) {
	const held = "held by rollout march since 2026-03-01T12:00:00Z"
	for name, test := range map[string]struct {
		view, name string
		held       bool
		busy       string // what the plan says of the server, "" when it is planned
		temporary  string // what it leaves out
	}{
		"shown":               {busy: "status REBUILD, task rebuild_block_device_mapping", temporary: "one_os_change_tmp"},
		"shown, and ours":     {held: true, busy: "status REBUILD, task rebuild_block_device_mapping, " + held, temporary: "one_os_change_tmp"},
		"not shown, but ours": {view: "shutoff", held: true, busy: "status SHUTOFF, " + held, temporary: "one_os_change_tmp"},
		"another name":        {name: "moves-a1b2c3", view: "shutoff", held: true, busy: "status SHUTOFF, " + held, temporary: "moves-a1b2c3"},
		"the same name":       {name: "*", view: "shutoff", held: true, busy: "status SHUTOFF, " + held, temporary: "one"},
		// Nobody can tell it from a server that was stopped.
		"neither shown nor ours": {view: "shutoff", temporary: "one_os_change_tmp"},
	} {
		t.Run(name, func(t *testing.T) {
			options := stopped()
			options.Fleet = append(options.Fleet, emulator.Server{Name: "two"})
			options.Edition.RebuildView, options.Edition.TemporaryName = test.view, test.name
			inLab(t, options, func(l *lab) {
				require.NoError(t, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err)
				if test.held {
					l.acts.Temporal = holding{lab: l, servers: []string{unknownID, l.server.ID}}
				}
				time.Sleep(30 * time.Second)
				make := func(unfit document.StateRule) contract.MakePlanResult {
					end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
						s.Select, s.Servers.Unfit = document.Selection{Names: []string{"*"}}, unfit
					}), attempt{})
					require.NoError(l, end.err)
					return end.result
				}
				refused, made := make(""), make(document.RuleSkip)
				require.NotNil(l, made.Plan, made.Problems)
				assert.Contains(l, strings.Join(made.Plan.Warnings, "\n"), "left out, as new or still being created: "+test.temporary+".")
				if test.busy == "" {
					assert.Empty(l, refused.Problems)
					assert.Len(l, made.Plan.Servers, 2)
					time.Sleep(5 * time.Minute)
					assert.Contains(l, l.driftNow(*made.Plan)[l.server.ID], "has another system disk", "no such plan is carried out")
					return
				}
				assert.Equal(l, []string{"1 busy server: one (" + test.busy + "); wait until that is over, or say servers.unfit: skip"}, refused.Problems)
				require.Len(l, made.Plan.Servers, 1)
				assert.Equal(l, "two", made.Plan.Servers[0].Name)
				require.Len(l, made.Plan.Skipped, 1)
				assert.Equal(l, "one", made.Plan.Skipped[0].Name)
				assert.Equal(l, "is busy ("+test.busy+")", made.Plan.Skipped[0].Reason)
			})
		})
	}
}

// TestMakePlanBesideATemporaryServerThatRuns: only its age tells it from a server of ours, by the cloud's clock. That of a
// worker which signs in as a user may be off by any time.
func TestMakePlanBesideATemporaryServerThatRuns(t *testing.T) {
	for _, skew := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) { besideATemporaryServerThatRuns(t, skew) })
	}
}

func besideATemporaryServerThatRuns(t *testing.T, skew time.Duration) {
	t.Helper()
	options := stopped()
	options.Fleet = append(options.Fleet, emulator.Server{Name: "two"})
	options.Skew = skew
	options.Edition.TemporaryName, options.Edition.TemporaryStatus = "moves-a1b2c3", "ACTIVE"
	inLab(t, options, func(l *lab) {
		l.signIn(goodLogin())
		require.NoError(l, run(l, l.acts.SubmitChangeOS, l.submission(), attempt{}).err)
		time.Sleep(30 * time.Second)
		temporary := l.temporary("moves-a1b2c3")
		make := func(selection document.Selection) contract.MakePlanResult {
			end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) { s.Select, s.Servers.Unfit = selection, document.RuleSkip }), attempt{})
			require.NoError(l, end.err)
			return end.result
		}
		all := make(document.Selection{Names: []string{"*"}})
		require.NotNil(l, all.Plan, all.Problems)
		require.Len(l, all.Plan.Servers, 1)
		assert.Equal(l, "two", all.Plan.Servers[0].Name)
		assert.Contains(l, strings.Join(all.Plan.Warnings, "\n"), "left out, as new or still being created: moves-a1b2c3.")

		named := make(document.Selection{IDs: []string{temporary}})
		require.NotNil(l, named.Plan, named.Problems)
		require.Len(l, named.Plan.Servers, 1, "who asks for its id gets it")
		time.Sleep(5 * time.Minute)
		assert.Equal(l, map[string]string{temporary: "moves-a1b2c3 is gone"}, l.driftNow(*named.Plan))
	})
}

// temporary is the id of the server of that name which the cloud has made.
func (l *lab) temporary(name string) string {
	l.Helper()
	servers, err := l.acts.Profiles[0].Cloud.Servers(l.Context(), ecs.ServerQuery{})
	require.NoError(l, err)
	for _, s := range servers {
		if s.Name == name {
			return s.ID
		}
	}
	require.Fail(l, "there is none")
	return ""
}

// driftNow is drift, after writes.
func (l *lab) driftNow(plan rollout.Plan) map[string]string {
	l.Helper()
	end := run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{})
	require.NoError(l, end.err)
	found := map[string]string{}
	for _, d := range end.result.Drift {
		found[d.ServerID] = d.What
	}
	return found
}

// TestMakePlanWithoutTemporalsList: who holds which server is no reason against a plan.
func TestMakePlanWithoutTemporalsList(t *testing.T) {
	inLab(t, fleetSized(3), func(l *lab) {
		l.acts.Temporal = holding{lab: l, err: serviceerror.NewUnavailable("no visibility")}
		assert.Contains(l, l.plan(l.planOf(selectsEvery)).Warnings, "which servers others change at this moment is not known (no visibility): when the turn of one comes, the lock on it decides")
	})
}
