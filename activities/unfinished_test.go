package activities_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// past is a Temporal that keeps runs of one workflow, the newest first.
type past struct {
	forgetful
	lock    string // the id of the workflow
	runs    []pastruns.Run
	listErr error
	listed  *int // how often the list was asked for
}

func (p past) info(i int) *workflow.WorkflowExecutionInfo {
	run := p.runs[i]
	run.Began = time.Date(2026, 3, 1, 12, -i, 0, 0, time.UTC)
	return run.Info(p.lock)
}

func (p past) DescribeWorkflowExecution(_ context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if len(p.runs) == 0 || id != p.lock || runID != "" {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: p.info(0)}, nil
}

// ListWorkflow lists the runs two a page, and in a wrong order: Temporal promises none.
func (p past) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if request.GetQuery() != "WorkflowId = '"+p.lock+"'" {
		return p.forgetful.ListWorkflow(context.Background(), request)
	}
	if p.listed != nil {
		*p.listed++
	}
	answer := &workflowservice.ListWorkflowExecutionsResponse{}
	from := 2 * len(request.GetNextPageToken())
	for i := from; i < min(from+2, len(p.runs)); i++ {
		answer.Executions = append(answer.Executions, p.info(len(p.runs)-1-i))
	}
	if from+2 < len(p.runs) {
		answer.NextPageToken = make([]byte, from/2+1)
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

func endedAs(end rollout.ServerEnd) *rollout.ServerResult {
	return &rollout.ServerResult{End: end}
}

const lock = "changeos/p/s"

// TestSentTo: what was sent last, and what may still come, by everything that the histories can hold of it.
func TestSentTo(t *testing.T) {
	unfinished := pastruns.Run{ID: "unfinished", Accepted: taken("job-1"), Result: endedAs(rollout.FailedChanged)}
	lost := pastruns.Run{ID: "lost", Accepted: taken(""), Result: endedAs(rollout.FailedChanged)}
	done := pastruns.Run{ID: "done", Accepted: taken("job-2"), Result: endedAs(rollout.Done)}
	forget := func(runs ...string) pastruns.Run {
		return pastruns.Run{ID: "forget", Forgets: runs, Result: endedAs(rollout.FailedChanged)}
	}
	for name, test := range map[string]struct {
		runs   []pastruns.Run
		latest string   // the run
		open   []string // run and job of what may come
		lists  int
	}{
		"none":                               {},
		"not seen to its end":                {[]pastruns.Run{unfinished}, "unfinished", []string{"unfinished job-1"}, 0},
		"done":                               {[]pastruns.Run{done, unfinished}, "done", nil, 0},
		"somebody else's, under way":         {[]pastruns.Run{{ID: "a", Running: true, Accepted: taken("job-2")}, unfinished}, "", nil, 0},
		"our own, under way":                 {[]pastruns.Run{{ID: "own", Running: true}, unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
		"our own after one that was done":    {[]pastruns.Run{{ID: "own", Running: true}, done, unfinished}, "done", nil, 1},
		"terminated after it was accepted":   {[]pastruns.Run{{ID: "a", Accepted: taken("job-2")}}, "a", []string{"a job-2"}, 0},
		"terminated while it was sent":       {[]pastruns.Run{{ID: "a", Submits: true}, unfinished}, "a", []string{"a ", "unfinished job-1"}, 1},
		"terminated before it was sent":      {[]pastruns.Run{{ID: "a"}, unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
		"the answer was lost":                {[]pastruns.Run{lost}, "lost", []string{"lost "}, 1},
		"the answer was lost, after another": {[]pastruns.Run{lost, unfinished}, "lost", []string{"lost ", "unfinished job-1"}, 1},
		"the answer was lost, after a done":  {[]pastruns.Run{lost, done, unfinished}, "lost", []string{"lost "}, 1},
		"the answer was lost, and it came":   {[]pastruns.Run{{ID: "a", Accepted: taken(""), Result: endedAs(rollout.Done)}}, "", nil, 1},
		"refused by the cloud":               {[]pastruns.Run{{ID: "a", Submits: true, Result: endedAs(rollout.FailedIntact)}, unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
		"refused by the look, often":         {append(slices.Repeat([]pastruns.Run{{ID: "a", Result: endedAs(rollout.NotStarted)}}, 7), unfinished), "unfinished", []string{"unfinished job-1"}, 1},
		"somebody else's disk, nothing sent": {[]pastruns.Run{{ID: "a", Result: endedAs(rollout.FailedChanged)}}, "", nil, 1},
		"forgotten":                          {[]pastruns.Run{forget("unfinished"), unfinished}, "unfinished", nil, 1},
		"a word that was not taken":          {[]pastruns.Run{{ID: "forget", Forgets: []string{"unfinished"}}, unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
		"forgotten, but another one":         {[]pastruns.Run{forget("another"), unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
		"forgotten, but not the one before":  {[]pastruns.Run{forget("lost"), lost, unfinished}, "lost", []string{"unfinished job-1"}, 1},
		"forgotten, and sent again":          {[]pastruns.Run{{ID: "a", Accepted: taken("job-2"), Result: endedAs(rollout.FailedChanged)}, forget("unfinished"), unfinished}, "a", []string{"a job-2"}, 0},
		"Temporal has just forgotten it":     {[]pastruns.Run{{ID: "a", Err: serviceerror.NewNotFound("gone")}, unfinished}, "unfinished", []string{"unfinished job-1"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			lists := 0
			sent, err := activities.SentTo(t.Context(), past{lock: lock, runs: test.runs, listed: &lists}, lock, "own")
			require.NoError(t, err)
			assert.Equal(t, test.lists > 0, lists > 0, "Temporal's list is asked only when the newest run does not tell")
			latest := ""
			if sent.Latest != nil {
				latest = sent.Latest.RunID
			}
			assert.Equal(t, test.latest, latest)
			var open []string
			for _, change := range sent.Open {
				open = append(open, change.RunID+" "+change.JobID)
			}
			assert.Equal(t, test.open, open)
		})
	}
}

// TestSentToIsNotTold: that nobody tells is not that there is none.
func TestSentToIsNotTold(t *testing.T) {
	for says, of := range map[string]past{
		"Temporal does not tell of earlier changes (workflow changeos/p/s): down":      {runs: []pastruns.Run{{ID: "a", Err: serviceerror.NewUnavailable("down")}}},
		"Temporal does not tell of earlier changes (workflow changeos/p/s): too often": {runs: []pastruns.Run{{ID: "a"}}, listErr: serviceerror.NewResourceExhausted(enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "too often")},
		"event 40 of workflow changeos/p/s (run a) cannot be read":                     {runs: []pastruns.Run{{ID: "a", Broken: true}}},
	} {
		of.lock = lock
		_, err := activities.SentTo(t.Context(), of, lock, "")
		assert.ErrorContains(t, err, says)
	}
}

// unpaid is a cloud with one server and an order for it that nobody pays for some time.
func unpaid(server emulator.Server) emulator.Options {
	return withFaults(fleetOf(server), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck, Variant: "pending_payment", Delay: time.Hour})
}

// remembers has Temporal keep these runs of the lab's server.
func (l *lab) remembers(runs ...pastruns.Run) {
	l.acts.Temporal = past{lock: activities.LockIDPrefix + emulator.DefaultProjectID + "/" + l.server.ID, runs: runs}
}

// was is the lab's server before it was changed, with that status.
func (l *lab) was(status string) rollout.Observation {
	return rollout.Observation{Fingerprint: l.before(), Exists: true, Status: status}
}

// sentBefore has the lab's server changed, and Temporal keep that it was not seen to its end.
func (l *lab) sentBefore(status string) (jobID string) {
	jobID = l.changing()
	time.Sleep(time.Minute) // the order is made
	l.remembers(pastruns.Run{ID: "a", Accepted: taken(jobID), Before: l.was(status), Result: endedAs(rollout.FailedChanged)})
	return jobID
}

func (l *lab) lookAgain(change rollout.Change) activities.PreflightResult {
	l.Helper()
	change.ImageID = l.target.ID
	end := run(l, l.acts.Preflight, activities.PreflightInput{ServerID: l.server.ID, Change: change}, attempt{})
	require.NoError(l, end.err)
	return end.result
}

// remedy is what to do about the lab's server.
func (l *lab) remedy() string {
	return "; wait for its end, or pay its order in the cloud's console or cancel it there; when nothing comes of it any more, say so with: reimage server forget " + l.server.ID
}

// TestPreflightFindsAnOpenOrder until it is paid.
func TestPreflightFindsAnOpenOrder(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		found := l.lookAgain(rollout.Change{})
		assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: its job %s is PENDING_PAYMENT", l.server.ID, job) + l.remedy()}, found.Refusals)
		assert.Empty(l, found.AsBefore)

		time.Sleep(2 * time.Hour)
		found = l.lookAgain(rollout.Change{})
		assert.Empty(l, found.Refusals, "it was paid, and is over")
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
		"under way":  {200, `{"status":"RUNNING"}`, " is RUNNING; wait"},
		"a page":     {404, "<html>not here</html>", "of its job %s the cloud does not tell: "},
		"nothing":    {404, "", "of its job %s the cloud does not tell: "},
		"not told":   {400, `{"error":{"code":"Ecs.0005","message":"invalid job"}}`, "of its job %s the cloud does not tell: "},
		"odd status": {200, `{"status":"FROZEN_FOR_REVIEW"}`, " is FROZEN_FOR_REVIEW; wait"},
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
					return
				}
				require.Len(l, found.Refusals, 1)
				assert.Contains(l, found.Refusals[0], strings.ReplaceAll(test.says, "%s", job))
			})
		})
	}
}

// TestPreflightOfAServerThatAnEarlierChangeLeftStopped: "as before" is as before that change, or as that was told.
func TestPreflightOfAServerThatAnEarlierChangeLeftStopped(t *testing.T) {
	for name, test := range map[string]struct {
		now, before, told, left string
		disk                    string // another one
		power                   rollout.Power
		asBefore                string
	}{
		"it ran":                       {now: "SHUTOFF", before: "ACTIVE", asBefore: "ACTIVE"},
		"it ran before an earlier one": {now: "SHUTOFF", before: "SHUTOFF", told: "ACTIVE", asBefore: "ACTIVE"},
		"it ran, as before in words":   {now: "SHUTOFF", before: "ACTIVE", power: rollout.PowerAsBefore, asBefore: "ACTIVE"},
		"it ran, and shall be off":     {now: "SHUTOFF", before: "ACTIVE", power: rollout.PowerOff},
		"it ran with another disk":     {now: "SHUTOFF", before: "ACTIVE", disk: "another"},
		"it was stopped":               {now: "SHUTOFF", before: "SHUTOFF"},
		"it runs":                      {now: "ACTIVE", before: "ACTIVE"},
		"it was given its power back":  {now: "SHUTOFF", before: "ACTIVE", left: "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: test.now}), func(l *lab) {
				before := l.was(test.before)
				before.VolumeID = cmp.Or(test.disk, before.VolumeID)
				sent := pastruns.Run{ID: "a", Accepted: taken("job-1"), AsBefore: test.told, Before: before, Result: endedAs(rollout.FailedIntact)}
				sent.Result.Left = test.left
				l.remembers(sent)
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
		lost := pastruns.Run{ID: "a", Submits: true, Before: l.was("SHUTOFF")}
		ended := lost
		ended.Accepted, ended.Result = taken(""), endedAs(rollout.FailedChanged)
		for _, sent := range []pastruns.Run{lost, ended} {
			l.remembers(sent)
			assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: it was sent, its job is not known, and it was not seen to come", l.server.ID) + l.remedy()},
				l.lookAgain(rollout.Change{}).Refusals)
		}
		l.remembers(pastruns.Run{ID: "b", Forgets: []string{"a"}, Result: endedAs(rollout.FailedChanged)}, lost)
		assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals)
		ended.Before.VolumeID = "another"
		l.remembers(ended)
		assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals, "it has come")
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
				assert.Equal(l, "one has an earlier change that may still come: its job "+job+" is PENDING_PAYMENT"+l.remedy(), checked.result.Drift[0].What)

				l.remembers(pastruns.Run{ID: "a", Err: serviceerror.NewUnavailable("down")})
				untold := run(l, l.acts.MakePlan, asked, attempt{})
				assert.ErrorContains(l, untold.err, "Temporal does not tell of earlier changes")
			})
		})
	}
	inLab(t, running(), func(l *lab) {
		l.remembers(pastruns.Run{ID: "a", Err: errors.New("nobody asks")})
		l.plan(l.planOf("", func(s *spec.Spec) { s.Select = spec.Selection{IDs: []string{l.server.ID}} }))
	})
}
