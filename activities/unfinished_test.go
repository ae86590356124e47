package activities_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// past is a Temporal that keeps runs of one workflow, the newest first.
type past struct {
	forgetful
	runs    []pastruns.Run
	listErr error
	listed  *int // how often the list was asked for
}

func (p past) info(i int) *workflow.WorkflowExecutionInfo {
	run := p.runs[i]
	run.Began = time.Date(2026, 3, 1, 12, -i, 0, 0, time.UTC)
	return run.Info("changeos/p/s")
}

func (p past) DescribeWorkflowExecution(_ context.Context, _, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if len(p.runs) == 0 || runID != "" {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: p.info(0)}, nil
}

// ListWorkflow lists the runs in a wrong order: Temporal promises none.
func (p past) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if !strings.HasPrefix(request.GetQuery(), "WorkflowId = 'changeos/") {
		return p.forgetful.ListWorkflow(context.Background(), request)
	}
	if p.listed != nil {
		*p.listed++
	}
	answer := &workflowservice.ListWorkflowExecutionsResponse{}
	for i := range p.runs {
		answer.Executions = append(answer.Executions, p.info(len(p.runs)-1-i))
	}
	return answer, p.listErr
}

func (p past) GetWorkflowHistory(_ context.Context, _, runID string, _ bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	for _, run := range p.runs {
		if run.ID == runID {
			return run.History()
		}
	}
	panic("no such run: " + runID)
}

// taken is with what a SubmitChangeOS completed, without a job when the answer was lost.
func taken(jobID string) *activities.SubmitChangeOSResult {
	return &activities.SubmitChangeOSResult{JobID: jobID}
}

func endedAs(end rollout.ServerEnd, jobID string) *rollout.ServerResult {
	return &rollout.ServerResult{End: end, JobID: jobID}
}

// TestLatestSent: what was sent last, by everything that a history can hold of it.
func TestLatestSent(t *testing.T) {
	unfinished := pastruns.Run{ID: "unfinished", Accepted: taken("job-1"), Result: endedAs(rollout.FailedChanged, "job-1")}
	for name, test := range map[string]struct {
		runs  []pastruns.Run
		job   string // "?" when none is known, "" when nothing was sent
		end   rollout.ServerEnd
		lists int
	}{
		"none":                               {},
		"not seen to its end":                {runs: []pastruns.Run{unfinished}, job: "job-1", end: rollout.FailedChanged},
		"done":                               {runs: []pastruns.Run{{ID: "a", Accepted: taken("job-2"), Result: endedAs(rollout.Done, "job-2")}, unfinished}, job: "job-2", end: rollout.Done},
		"somebody else's, under way":         {runs: []pastruns.Run{{ID: "a", Running: true, Accepted: taken("job-2")}, unfinished}},
		"our own, under way":                 {runs: []pastruns.Run{{ID: "own", Running: true}, unfinished}, job: "job-1", end: rollout.FailedChanged, lists: 1},
		"terminated after it was accepted":   {runs: []pastruns.Run{{ID: "a", Accepted: taken("job-2")}}, job: "job-2"},
		"terminated while it was sent":       {runs: []pastruns.Run{{ID: "a", Submits: true}}, job: "?"},
		"terminated before it was sent":      {runs: []pastruns.Run{{ID: "a"}, unfinished}, job: "job-1", end: rollout.FailedChanged, lists: 1},
		"the answer was lost":                {runs: []pastruns.Run{{ID: "a", Accepted: taken(""), Result: endedAs(rollout.FailedChanged, "")}}, job: "?", end: rollout.FailedChanged},
		"the answer was lost, and it came":   {runs: []pastruns.Run{{ID: "a", Accepted: taken(""), Result: endedAs(rollout.Done, "")}}, lists: 1},
		"refused by the cloud":               {runs: []pastruns.Run{{ID: "a", Submits: true, Result: endedAs(rollout.FailedIntact, "")}, unfinished}, job: "job-1", end: rollout.FailedChanged, lists: 1},
		"refused for the earlier one, twice": {runs: []pastruns.Run{{ID: "a", Result: endedAs(rollout.FailedChanged, "job-1")}, {ID: "b", Result: endedAs(rollout.FailedChanged, "job-1")}, unfinished}, job: "job-1", end: rollout.FailedChanged, lists: 1},
		"forgotten":                          {runs: []pastruns.Run{{ID: "a", Forgets: true, Result: endedAs(rollout.FailedIntact, "job-1")}, unfinished}, job: "?", end: rollout.FailedIntact},
		"somebody else's disk, nothing sent": {runs: []pastruns.Run{{ID: "a", Result: endedAs(rollout.FailedChanged, "")}}, lists: 1},
		"Temporal has just forgotten it":     {runs: []pastruns.Run{{ID: "a", Err: serviceerror.NewNotFound("gone")}, unfinished}, job: "job-1", end: rollout.FailedChanged, lists: 1},
	} {
		t.Run(name, func(t *testing.T) {
			lists := 0
			sent, err := activities.LatestSent(t.Context(), past{runs: test.runs, listed: &lists}, "changeos/p/s", "own")
			require.NoError(t, err)
			assert.Equal(t, test.lists, lists, "Temporal's list is asked only when the newest run does not tell")
			if test.job == "" {
				assert.Nil(t, sent)
				return
			}
			require.NotNil(t, sent)
			assert.Equal(t, strings.Trim(test.job, "?"), sent.JobID)
			if test.end == "" {
				assert.Nil(t, sent.Result)
			} else {
				assert.Equal(t, test.end, sent.Result.End)
			}
		})
	}
}

// TestLatestSentIsNotTold: that nobody tells is not that there is none.
func TestLatestSentIsNotTold(t *testing.T) {
	for says, of := range map[string]past{
		"Temporal does not tell of earlier changes (workflow changeos/p/s): down":      {runs: []pastruns.Run{{ID: "a", Err: serviceerror.NewUnavailable("down")}}},
		"Temporal does not tell of earlier changes (workflow changeos/p/s): too often": {runs: []pastruns.Run{{ID: "a"}}, listErr: serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "too often")},
	} {
		_, err := activities.LatestSent(t.Context(), of, "changeos/p/s", "")
		app, ok := errors.AsType[*temporal.ApplicationError](err)
		require.True(t, ok)
		assert.Equal(t, says, app.Message())
		assert.Equal(t, activities.ErrCloud, app.Type())
		assert.False(t, app.NonRetryable())
	}
	_, err := activities.LatestSent(t.Context(), past{runs: []pastruns.Run{{ID: "a", Broken: true}}}, "changeos/p/s", "")
	assert.ErrorContains(t, err, "event 40 of workflow changeos/p/s (run a) cannot be read")
}

// unpaid is a cloud with one server and an order for it that nobody pays for some time.
func unpaid(server emulator.Server) emulator.Options {
	return withFaults(fleetOf(server), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck, Variant: "pending_payment", Delay: time.Hour})
}

// sentBefore has the lab's server changed, and Temporal keep that it was not seen to its end.
func (l *lab) sentBefore(status string) (jobID string) {
	jobID = l.changing()
	time.Sleep(time.Minute) // the order is made
	result := &rollout.ServerResult{End: rollout.FailedChanged, ServerID: l.server.ID, JobID: jobID, Before: rollout.Observation{Fingerprint: l.before(), Exists: true, Status: status}}
	l.acts.Temporal = past{runs: []pastruns.Run{{ID: "a", Accepted: taken(jobID), Result: result}}}
	return jobID
}

func (l *lab) lookAgain(change rollout.Change) activities.PreflightResult {
	l.Helper()
	change.ImageID = l.target.ID
	end := run(l, l.acts.Preflight, activities.PreflightInput{ServerID: l.server.ID, Change: change, AskEarlier: true}, attempt{})
	require.NoError(l, end.err)
	return end.result
}

// TestPreflightFindsAnOpenOrder until it is paid, and does not look for one unless it was asked to.
func TestPreflightFindsAnOpenOrder(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		found := l.lookAgain(rollout.Change{})
		assert.Equal(l, job, found.EarlierJobID)
		assert.Equal(l, "its job "+job+" is PENDING_PAYMENT", found.Unfinished)
		assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: its job %s is PENDING_PAYMENT; wait for its end, "+
			"an unpaid order is paid or cancelled in the cloud's console; when nothing comes of it any more, say so with: reimage server forget %s", l.server.ID, job, l.server.ID)}, found.Refusals)
		assert.Empty(l, found.AsBefore)

		end := run(l, l.acts.Preflight, l.question(), attempt{})
		require.NoError(l, end.err)
		assert.Empty(l, end.result.Unfinished)

		time.Sleep(2 * time.Hour)
		found = l.lookAgain(rollout.Change{})
		assert.Empty(l, found.Unfinished, "it was paid, and is over")
		assert.True(l, found.AlreadyThere)
	})
}

// TestPreflightOfAJobThatIsNotTold: one that the cloud has deleted is over, one that it does not tell of may come.
func TestPreflightOfAJobThatIsNotTold(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"deleted":    {404, `{"error":{"code":"Ecs.0114","message":"job not found"}}`, ""},
		"failed":     {200, `{"status":"FAIL","fail_reason":"no"}`, ""},
		"under way":  {200, `{"status":"RUNNING"}`, " is RUNNING; wait for its end"},
		"not told":   {400, `{"error":{"code":"Ecs.0005","message":"invalid job"}}`, "of its job %s the cloud does not tell: "},
		"odd status": {200, `{"status":"FROZEN_FOR_REVIEW"}`, " is FROZEN_FOR_REVIEW; wait for its end"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
				job := l.sentBefore(rollout.StatusShutoff)
				l.answer = func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.Path, "/jobs/") {
						return false
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
					return true
				}
				found := l.lookAgain(rollout.Change{})
				if test.says == "" {
					assert.Empty(l, found.Refusals)
					assert.Empty(l, found.Unfinished)
					return
				}
				assert.Equal(l, job, found.EarlierJobID)
				require.Len(l, found.Refusals, 1)
				assert.Contains(l, found.Refusals[0], strings.ReplaceAll(test.says, "%s", job))
			})
		})
	}
}

// TestPreflightOfAServerThatAnEarlierChangeLeftStopped: "as before" is as before that change.
func TestPreflightOfAServerThatAnEarlierChangeLeftStopped(t *testing.T) {
	for name, test := range map[string]struct {
		now, before, left string
		power             rollout.Power
		asBefore          string
	}{
		"it ran":                      {now: "SHUTOFF", before: "ACTIVE", asBefore: "ACTIVE"},
		"it ran, as before in words":  {now: "SHUTOFF", before: "ACTIVE", power: rollout.PowerAsBefore, asBefore: "ACTIVE"},
		"it ran, and shall be off":    {now: "SHUTOFF", before: "ACTIVE", power: rollout.PowerOff},
		"it was stopped":              {now: "SHUTOFF", before: "SHUTOFF"},
		"it runs":                     {now: "ACTIVE", before: "ACTIVE"},
		"it was given its power back": {now: "SHUTOFF", before: "ACTIVE", left: "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: test.now}), func(l *lab) {
				result := endedAs(rollout.FailedIntact, "job-1")
				result.Before, result.Left = rollout.Observation{Fingerprint: l.before(), Exists: true, Status: test.before}, test.left
				l.acts.Temporal = past{runs: []pastruns.Run{{ID: "a", Accepted: taken("job-1"), Result: result}}}
				found := l.lookAgain(rollout.Change{Power: test.power})
				assert.Equal(l, test.asBefore, found.AsBefore)
				assert.Equal(l, test.asBefore != "", len(found.Notes) == 1, found.Notes)
			})
		})
	}
}

// TestPreflightOfALostAnswer: there is no job to ask, and nobody has seen the change come.
func TestPreflightOfALostAnswer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		lost := pastruns.Run{ID: "a", Submits: true, Before: l.before()}
		ended := lost
		ended.Accepted, ended.Result = taken(""), endedAs(rollout.FailedChanged, "")
		for _, run := range []pastruns.Run{lost, ended} {
			l.acts.Temporal = past{runs: []pastruns.Run{run}}
			found := l.lookAgain(rollout.Change{})
			require.Len(l, found.Refusals, 1)
			assert.Contains(l, found.Refusals[0], "has an earlier change that may still come: the cloud's answer was lost, and it was not seen to come; ")
			assert.NotEmpty(l, found.Unfinished)
			assert.Empty(l, found.EarlierJobID)
		}
		ended.Before.VolumeID = "another" // it has come
		forgotten := pastruns.Run{ID: "b", Forgets: true, Result: endedAs(rollout.FailedIntact, "")}
		for _, runs := range [][]pastruns.Run{{ended}, {forgotten, lost}} {
			l.acts.Temporal = past{runs: runs}
			assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals)
		}
	})
}

// TestPlansFindAnOpenOrder: before anything is touched, and again before the rollout begins. A server that runs and is
// paid by the hour hides none, and Temporal is not asked about it.
func TestPlansFindAnOpenOrder(t *testing.T) {
	for name, server := range map[string]emulator.Server{
		"stopped":                       {Name: "one", Status: "SHUTOFF"},
		"paid by the year, and started": {Name: "one", Status: "SHUTOFF", ChargingMode: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, unpaid(server), func(l *lab) {
				asked := l.planOf("", func(s *spec.Spec) {
					s.Select, s.Servers.Stopped = spec.Selection{IDs: []string{l.server.ID}}, spec.RuleChange
				})
				plan := l.plan(asked)
				job := l.sentBefore(rollout.StatusActive)
				if server.ChargingMode != "" {
					l.update(func(s *emulator.Server) { s.Status = "ACTIVE" })
				}
				says := "(its job " + job + " is PENDING_PAYMENT)"
				end := run(l, l.acts.MakePlan, asked, attempt{})
				require.NoError(l, end.err)
				require.Len(l, end.result.Problems, 1)
				assert.Contains(l, end.result.Problems[0], "1 server with an earlier change that may still come: one "+says)

				checked := run(l, l.acts.CheckPlan, activities.CheckPlanInput{Plan: plan}, attempt{})
				require.NoError(l, checked.err)
				require.Len(l, checked.result.Drift, 1)
				assert.Equal(l, "one has an earlier change that may still come: its job "+job+" is PENDING_PAYMENT", checked.result.Drift[0].What)

				l.acts.Temporal = past{runs: []pastruns.Run{{ID: "a", Err: serviceerror.NewUnavailable("down")}}}
				untold := run(l, l.acts.MakePlan, asked, attempt{})
				assert.ErrorContains(l, untold.err, "Temporal does not tell of earlier changes")
			})
		})
	}
	inLab(t, running(), func(l *lab) {
		l.acts.Temporal = past{runs: []pastruns.Run{{ID: "a", Err: errors.New("nobody asks")}}}
		l.plan(l.planOf("", func(s *spec.Spec) { s.Select = spec.Selection{IDs: []string{l.server.ID}} }))
	})
}
