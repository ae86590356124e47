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
	"testing/synctest"
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
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/pastruns"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// past is a Temporal that keeps runs of one workflow, the newest first.
type past struct {
	forgetful
	lock      string // the id of the workflow
	runs      []pastruns.Run
	listErr   error
	untold    map[string]error // by run
	unlisted  string           // a run that the list lacks
	listed    *int             // how often the list was asked for
	listsFrom time.Time        // until then it has no run
}

func (p past) info(i int) *workflow.WorkflowExecutionInfo {
	run := p.runs[i]
	run.Began = time.Date(2026, 3, 1, 12, -i, 0, 0, time.UTC)
	return run.Info(p.lock)
}

func (p past) DescribeWorkflowExecution(_ context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	i := slices.IndexFunc(p.runs, func(run pastruns.Run) bool { return runID == "" || run.ID == runID })
	if i < 0 || id != p.lock {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: p.info(i)}, p.untold[runID]
}

// ListWorkflow lists the runs two a page, and in a wrong order: Temporal promises none.
func (p past) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	project := p.lock[:strings.LastIndexByte(p.lock, '/')+1]
	if query := request.GetQuery(); query != "WorkflowId = '"+p.lock+"'" && query != "WorkflowId STARTS_WITH '"+project+"'" {
		return p.forgetful.ListWorkflow(context.Background(), request)
	}
	if p.listed != nil {
		*p.listed++
	}
	answer := &workflowservice.ListWorkflowExecutionsResponse{}
	if time.Now().Before(p.listsFrom) {
		return answer, nil
	}
	from := 2 * len(request.GetNextPageToken())
	for i := from; i < min(from+2, len(p.runs)); i++ {
		if run := p.info(len(p.runs) - 1 - i); run.GetExecution().GetRunId() != p.unlisted {
			answer.Executions = append(answer.Executions, run)
		}
	}
	if from+2 < len(p.runs) {
		answer.NextPageToken = make([]byte, from/2+1)
	}
	return answer, p.listErr
}

func (p past) GetWorkflowHistory(_ context.Context, _, runID string, _ bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	if err := p.untold[runID]; err != nil {
		return pastruns.Untold(err)
	}
	for _, run := range p.runs {
		if run.ID == runID {
			return run.History()
		}
	}
	if runID == ownRun {
		return pastruns.Run{ID: ownRun}.History()
	}
	panic("no such run: " + runID)
}

// taken is with what a SubmitChangeOS completed, without a job when the answer was lost.
func taken(jobID string) *contract.SubmitChangeOSResult {
	return &contract.SubmitChangeOSResult{JobID: jobID}
}

// heard is with what a PollJob completed.
func heard(end contract.JobEnd, status string) contract.PollJobResult {
	return contract.PollJobResult{End: end, Status: status}
}

func endedAs(end rollout.ServerEnd) *rollout.ServerResult {
	return &rollout.ServerResult{End: end}
}

// endedWith is with what an activity fails.
func endedWith(kind string, final bool) error {
	return temporal.NewApplicationErrorWithOptions("", kind, temporal.ApplicationErrorOptions{NonRetryable: final})
}

const lock = "changeos/p/s"

// TestWhenAJobWasUnderWay: the cloud may have begun with it after the change was judged, and then only words know.
func TestWhenAJobWasUnderWay(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	change := func(job contract.PollJobResult) pastruns.Run {
		return pastruns.Run{ID: "a", Accepted: taken("job-1"), Job: job, Heard: at(1), Result: endedAs(rollout.FailedChanged)}
	}
	word := func(hour int, about, status string) pastruns.Run {
		return pastruns.Run{ID: fmt.Sprint("word ", hour), Forgets: []string{"a"}, About: about, Job: heard(contract.JobOverdue, status), Heard: at(hour)}
	}
	checked := func(of pastruns.Run) pastruns.Run { of.IsCheck = true; return of }
	unpaid, terminated := heard(contract.JobOverdue, "PENDING_PAYMENT"), contract.PollJobResult{}
	for name, test := range map[string]struct {
		runs  []pastruns.Run
		since time.Time
	}{
		"seen by its own workflow":        {[]pastruns.Run{word(3, "job-1", "RUNNING"), change(heard(contract.JobOverdue, "RUNNING"))}, at(1)},
		"never":                           {[]pastruns.Run{change(unpaid)}, time.Time{}},
		"by words, of which the first":    {[]pastruns.Run{word(5, "job-1", "RUNNING"), word(3, "job-1", "INIT"), word(2, "job-1", "PENDING_PAYMENT"), change(unpaid)}, at(3)},
		"by a word after a termination":   {[]pastruns.Run{word(3, "job-1", "RUNNING"), change(terminated)}, at(3)},
		"by a word about something else":  {[]pastruns.Run{word(3, "job-0", "RUNNING"), change(unpaid)}, time.Time{}},
		"by a check of a word":            {[]pastruns.Run{checked(word(3, "job-1", "RUNNING")), change(unpaid)}, at(3)},
		"by a word that could not ask it": {[]pastruns.Run{{ID: "b", Forgets: []string{"a"}, About: "job-1"}, change(unpaid)}, time.Time{}},
	} {
		sent, err := activities.SentTo(t.Context(), past{lock: lock, runs: test.runs}, lock, "")
		require.NoError(t, err)
		require.Len(t, sent.Open, 1)
		assert.Equal(t, test.since, sent.Forget("p", "s").UnderWaySince, name)
	}
}

// TestSentTo: what may still come, by everything that the histories can hold of it.
func TestSentTo(t *testing.T) {
	ran := rollout.Observation{Exists: true, Status: rollout.StatusActive}
	unfinished := pastruns.Run{ID: "unfinished", Before: ran, Accepted: taken("job-1"), Job: heard(contract.JobOverdue, ""), Result: endedAs(rollout.FailedChanged)}
	lost := pastruns.Run{ID: "lost", Accepted: taken(""), Result: endedAs(rollout.FailedChanged)}
	done := pastruns.Run{ID: "done", Before: ran, Accepted: taken("job-2"), Job: heard(contract.JobSucceeded, ""), Result: endedAs(rollout.Done)}
	forget := func(runs ...string) pastruns.Run {
		return pastruns.Run{ID: "forget", Forgets: runs, Result: endedAs(rollout.FailedChanged)}
	}
	with := func(of pastruns.Run, change func(*pastruns.Run)) []pastruns.Run {
		change(&of)
		return []pastruns.Run{of, unfinished}
	}
	for name, test := range map[string]struct {
		runs  []pastruns.Run
		open  []string // run and job of what may come
		lists bool
	}{
		"none":                                 {},
		"not seen to its end":                  {[]pastruns.Run{unfinished}, []string{"unfinished job-1"}, false},
		"done":                                 {[]pastruns.Run{done, unfinished}, nil, false},
		"done, and its own job is open":        {with(done, func(r *pastruns.Run) { r.Job = heard(contract.JobOverdue, "") }), []string{"done job-2"}, false},
		"done, and the cloud has forgotten":    {with(done, func(r *pastruns.Run) { r.Job = heard(contract.JobForgotten, "") }), []string{"done job-2"}, false},
		"its job failed, and the disk is lost": {with(done, func(r *pastruns.Run) { r.Job, r.Result = heard(contract.JobFailed, ""), endedAs(rollout.FailedLost) }), nil, false},
		"the disk is lost, its job is open":    {with(done, func(r *pastruns.Run) { r.Job, r.Result = heard("", ""), endedAs(rollout.FailedLost) }), []string{"done job-2"}, false},
		"done, and its own order is unpaid":    {with(done, func(r *pastruns.Run) { r.Job = heard(contract.JobOverdue, "PENDING_PAYMENT") }), []string{"done job-2"}, false},
		"done, and its own job is stuck":       {with(done, func(r *pastruns.Run) { r.Job = heard(contract.JobOverdue, "RUNNING") }), nil, false},
		"not done, and its own job is stuck":   {with(unfinished, func(r *pastruns.Run) { r.Job = heard(contract.JobOverdue, "RUNNING") }), []string{"unfinished job-1"}, false},
		"the answer was lost, and it was gone": {with(lost, func(r *pastruns.Run) { r.Result = endedAs(rollout.Vanished) }), []string{"lost ", "unfinished job-1"}, true},
		"gone in the middle of the reading":    {[]pastruns.Run{{ID: "a", Submits: true, Err: serviceerror.NewNotFound("gone")}, unfinished}, []string{"a ", "unfinished job-1"}, true},
		"terminated after its job":             {with(done, func(r *pastruns.Run) { r.Result = nil }), nil, false},
		"somebody else's, under way":           {[]pastruns.Run{{ID: "a", Running: true, Accepted: taken("job-2")}, unfinished}, nil, false},
		"our own, under way":                   {[]pastruns.Run{{ID: "own", Running: true}, unfinished}, []string{"unfinished job-1"}, true},
		"our own after one that was done":      {[]pastruns.Run{{ID: "own", Running: true}, done, unfinished}, nil, true},
		"terminated after it was accepted":     {[]pastruns.Run{{ID: "a", Before: ran, Accepted: taken("job-2")}}, []string{"a job-2"}, false},
		"terminated while it was sent":         {[]pastruns.Run{{ID: "a", Submits: true}, unfinished}, []string{"a ", "unfinished job-1"}, true},
		"terminated before it was sent":        {[]pastruns.Run{{ID: "a", Stops: true}, unfinished}, []string{"unfinished job-1"}, true},
		"the answer was lost":                  {[]pastruns.Run{lost}, []string{"lost "}, true},
		"the answer was lost, after another":   {[]pastruns.Run{lost, unfinished}, []string{"lost ", "unfinished job-1"}, true},
		"the answer was lost, after a done":    {[]pastruns.Run{lost, done, unfinished}, []string{"lost "}, true},
		"the answer was lost, and the disk":    {with(lost, func(r *pastruns.Run) { r.Result = endedAs(rollout.FailedLost) }), []string{"lost ", "unfinished job-1"}, true},
		"the answer was lost, and it came":     {[]pastruns.Run{{ID: "a", Accepted: taken(""), Result: endedAs(rollout.Done)}}, nil, true},
		"a disk in the way of the submission":  {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrForeignDisk, true), Result: endedAs(rollout.FailedChanged)}, unfinished}, []string{"unfinished job-1"}, true},
		"the same, and terminated":             {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrForeignDisk, true)}, unfinished}, []string{"unfinished job-1"}, true},
		"its credentials were refused":         {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrCredentials, true)}, unfinished}, []string{"unfinished job-1"}, true},
		"the same, but the time ran out":       {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrCredentials, false)}, unfinished}, []string{"a ", "unfinished job-1"}, true},
		"its submission ended in doubt":        {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrInDoubt, true)}, unfinished}, []string{"a ", "unfinished job-1"}, true},
		"the server was gone when it was sent": {[]pastruns.Run{{ID: "a", Failed: endedWith(api.ErrVanished, true)}, unfinished}, []string{"a ", "unfinished job-1"}, true},
		"refused by the cloud":                 {[]pastruns.Run{{ID: "a", Submits: true, Result: endedAs(rollout.FailedIntact)}, unfinished}, []string{"unfinished job-1"}, true},
		"refused by the look, often":           {append(slices.Repeat([]pastruns.Run{{ID: "a", Result: endedAs(rollout.NotStarted)}}, 7), unfinished), []string{"unfinished job-1"}, true},
		"somebody else's disk, nothing sent":   {[]pastruns.Run{{ID: "a", Stops: true, Result: endedAs(rollout.FailedChanged)}}, nil, true},
		"forgotten":                            {[]pastruns.Run{forget("unfinished"), unfinished}, nil, true},
		"a word that was only checked":         {[]pastruns.Run{{ID: "check", Forgets: []string{"unfinished"}, IsCheck: true, Result: endedAs(rollout.FailedChanged)}, unfinished}, []string{"unfinished job-1"}, true},
		"a word that was not taken":            {[]pastruns.Run{{ID: "forget", Forgets: []string{"unfinished"}}, unfinished}, []string{"unfinished job-1"}, true},
		"forgotten, but another one":           {[]pastruns.Run{forget("another"), unfinished}, []string{"unfinished job-1"}, true},
		"forgotten, but not the one before":    {[]pastruns.Run{forget("lost"), lost, unfinished}, []string{"unfinished job-1"}, true},
		"forgotten, and sent again":            {[]pastruns.Run{{ID: "a", Before: ran, Accepted: taken("job-2"), Result: endedAs(rollout.FailedChanged)}, forget("unfinished"), unfinished}, []string{"a job-2"}, false},
		"Temporal has just forgotten it":       {[]pastruns.Run{{ID: "a", Err: serviceerror.NewNotFound("gone")}, unfinished}, []string{"unfinished job-1"}, true},
		"its result cannot be read":            {[]pastruns.Run{{ID: "a", Submits: true, Broken: true}, unfinished}, []string{"a unreadable", "unfinished job-1"}, true},
		"the same, forgotten":                  {[]pastruns.Run{forget("a"), {ID: "a", Submits: true, Broken: true}, unfinished}, []string{"unfinished job-1"}, true},
		"it cannot be read and sent nothing":   {[]pastruns.Run{{ID: "a", Stops: true, Broken: true}, unfinished}, []string{"unfinished job-1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			lists := 0
			sent, err := activities.SentTo(t.Context(), past{lock: lock, runs: test.runs, listed: &lists}, lock, "own")
			require.NoError(t, err)
			assert.Equal(t, test.lists, lists > 0, "Temporal's list is asked only when the newest run does not tell")
			var open []string
			for _, change := range sent.Open {
				if change.Unreadable != "" {
					assert.Contains(t, change.Unreadable, "event 40 cannot be decoded: ")
					change.JobID += "unreadable"
				}
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
	} {
		of.lock = lock
		_, err := activities.SentTo(t.Context(), of, lock, "")
		assert.ErrorContains(t, err, says)
	}
}

// TestSentToWaitsForTheList: one that lacks the newest run may lack the others too.
func TestSentToWaitsForTheList(t *testing.T) {
	runs := []pastruns.Run{{ID: "own", Running: true}, {ID: "lost", Submits: true}}
	synctest.Test(t, func(t *testing.T) {
		soon := past{lock: lock, runs: runs, listsFrom: time.Now().Add(5 * time.Second)}
		sent, err := activities.SentTo(t.Context(), soon, lock, "own")
		require.NoError(t, err)
		require.Len(t, sent.Open, 1)
		assert.Equal(t, "lost", sent.Open[0].RunID)
	})
	synctest.Test(t, func(t *testing.T) {
		never := past{lock: lock, runs: runs, listsFrom: time.Now().Add(time.Hour)}
		_, err := activities.SentTo(t.Context(), never, lock, "own")
		assert.EqualError(t, err, "Temporal does not tell of earlier changes (workflow changeos/p/s): its list trails behind and does not have run own")
	})
}

// unpaid is a cloud with one server and an order for it that nobody pays for some time.
func unpaid(server emulator.Server) emulator.Options {
	return withFaults(fleetOf(server), emulator.Fault{Op: emulator.OpChangeOS, Kind: emulator.JobStuck, Variant: "pending_payment", Delay: time.Hour})
}

// remembers has Temporal keep these runs of the lab's server.
func (l *lab) remembers(runs ...pastruns.Run) {
	l.acts.Temporal = past{lock: api.ChangeOSIDPrefix + emulator.DefaultProjectID + "/" + l.server.ID, runs: runs}
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

// sentWith has Temporal keep that the job of a change of the lab's server was not seen to its end.
func (l *lab) sentWith(jobID string) {
	l.remembers(pastruns.Run{ID: "a", Accepted: taken(jobID), Before: l.was(rollout.StatusShutoff), Result: endedAs(rollout.FailedChanged)})
}

func (l *lab) lookAgain(change rollout.Change) contract.PreflightResult {
	l.Helper()
	change.ImageID = l.target.ID
	end := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: change}, attempt{})
	require.NoError(l, end.err)
	return end.result
}

// remedy is what to do about the lab's server.
func (l *lab) remedy() string {
	return "; wait for its end (unpaid: pay or cancel its order in the cloud's console); when nothing more comes of it: reimage server forget " + l.server.ID
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
		"deleted":    {404, `{"error":{"code":"Ecs.0114","message":"job not found"}}`, "the cloud no longer knows its job %s, and it was not seen to come; "},
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
				if name == "deleted" {
					l.server.SystemVolumeID = "another"
					l.sentWith(job)
					assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals, "it has come")
				}
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

// TestPreflightKeepsNoTextAboutAnEarlierChangeWithSecrets, which the cloud may repeat when it tells of its job: the change that is
// asked for now has others, or none.
func TestPreflightKeepsNoTextAboutAnEarlierChangeWithSecrets(t *testing.T) {
	for status, says := range map[int]string{400: "of its job ", 503: "503"} { // a refusal, and trouble
		inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
			l.acts.Secrets.LookupEnv = func(string) (string, bool) { return "Horse-7-battery", true }
			job := l.sentBefore(rollout.StatusShutoff)
			l.remembers(pastruns.Run{
				ID: "a", Change: rollout.Change{Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_OLD"}},
				Accepted: taken(job), Before: l.was("SHUTOFF"), Result: endedAs(rollout.FailedChanged),
			})
			l.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/jobs/") {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"error":{"code":"Ecs.0005","message":"adminPass Horse-7-battery"}}`))
				return true
			}
			end := run(l, l.acts.Preflight, contract.PreflightInput{ServerID: l.server.ID, Change: rollout.Change{ImageID: l.target.ID}}, attempt{})
			text := strings.Join(end.result.Refusals, "\n")
			if end.err != nil {
				text = end.err.Error()
			}
			assert.Contains(l, text, says)
			assert.Contains(l, text, "Ecs.0005: a parameter of the request is invalid; the cloud's text is not kept")
			assert.NotContains(l, text, "adminPass")
		})
	}
}

// TestPreflightOfAServerThatAnEarlierChangeLeftStopped: "as before" is as before that change, or as that was told. It goes
// by the newest run that took the power or saw the server run, whether or not it sent a change.
func TestPreflightOfAServerThatAnEarlierChangeLeftStopped(t *testing.T) {
	ran := func(change func(*pastruns.Run)) pastruns.Run {
		run := pastruns.Run{
			ID: "ran", Stops: true, Accepted: taken("job-1"), Job: heard(contract.JobFailed, ""),
			Before: rollout.Observation{Exists: true, Status: "ACTIVE"}, Result: endedAs(rollout.FailedIntact),
		}
		change(&run)
		return run
	}
	asIs := func(*pastruns.Run) {}
	refused := endedAs(rollout.NotStarted)
	for name, test := range map[string]struct {
		now   string // ACTIVE
		disk  string // another one
		power rollout.Power
		runs  []pastruns.Run
		left  bool
	}{
		"it ran":                       {runs: []pastruns.Run{ran(asIs)}, left: true},
		"it ran before an earlier one": {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Before.Status, r.AsBefore = "SHUTOFF", "ACTIVE" })}, left: true},
		"it ran, as the look found":    {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Before.Status, r.FoundAsBefore = "SHUTOFF", "ACTIVE" })}, left: true},
		"it ran, as before in words":   {power: rollout.PowerAsBefore, runs: []pastruns.Run{ran(asIs)}, left: true},
		"it ran, and shall be off":     {power: rollout.PowerOff, runs: []pastruns.Run{ran(asIs)}},
		"it ran with another disk":     {disk: "another", runs: []pastruns.Run{ran(asIs)}},
		"it was stopped":               {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Before.Status = "SHUTOFF" })}},
		"it runs":                      {now: "ACTIVE", runs: []pastruns.Run{ran(asIs)}},
		"it was given its power back":  {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Result.Left = "ACTIVE" })}},
		"refused, and not given back":  {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Accepted, r.Submits = nil, true })}, left: true},
		"terminated once it stopped":   {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Accepted, r.Result = nil, nil })}, left: true},
		"cancelled, and given back": {runs: []pastruns.Run{ran(func(r *pastruns.Run) {
			r.Accepted, r.Cancelled, r.Result = nil, true, &rollout.ServerResult{End: rollout.NotStarted, Left: "ACTIVE"}
		})}},
		"given back by a later one": {runs: []pastruns.Run{
			ran(func(r *pastruns.Run) {
				r.ID, r.Accepted, r.Before.Status, r.AsBefore, r.Result = "b", nil, "SHUTOFF", "ACTIVE", &rollout.ServerResult{End: rollout.FailedIntact, Left: "ACTIVE"}
			}),
			ran(asIs),
		}},
		"it ran at its end": {runs: []pastruns.Run{ran(func(r *pastruns.Run) { r.Result.After.Status = "ACTIVE" })}},
		"found off, and refused": {runs: []pastruns.Run{
			ran(func(r *pastruns.Run) { r.ID, r.Accepted, r.Submits, r.Before.Status = "b", nil, true, "SHUTOFF" }), ran(asIs),
		}, left: true},
		"given to it by a leave alone": {runs: []pastruns.Run{
			{ID: "b", Stops: true, Before: rollout.Observation{Exists: true, Status: "SHUTOFF"}, Result: &rollout.ServerResult{End: rollout.NotStarted, Left: "ACTIVE"}}, ran(asIs),
		}},
		"seen to run since":  {runs: []pastruns.Run{{ID: "b", Before: rollout.Observation{Exists: true, Status: "ACTIVE"}, Result: refused}, ran(asIs)}},
		"seen stopped since": {runs: []pastruns.Run{{ID: "b", Before: rollout.Observation{Exists: true, Status: "SHUTOFF"}, Result: refused}, ran(asIs)}, left: true},
		"done since":         {runs: []pastruns.Run{{ID: "b", Submits: true, Before: rollout.Observation{Exists: true, Status: "SHUTOFF"}, Result: endedAs(rollout.Done)}, ran(asIs)}},
		"found off, and its job failed": {runs: []pastruns.Run{
			ran(func(r *pastruns.Run) { r.ID, r.Before.Status = "b", "SHUTOFF" }), ran(asIs),
		}, left: true},
		"not seen since at all": {runs: []pastruns.Run{{ID: "b", Result: refused}, ran(asIs)}, left: true},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, fleetOf(emulator.Server{Name: "one", Status: cmp.Or(test.now, "SHUTOFF")}), func(l *lab) {
				for i := range test.runs {
					test.runs[i].Before.VolumeID = cmp.Or(test.disk, l.before().VolumeID)
				}
				l.remembers(test.runs...)
				found := l.lookAgain(rollout.Change{Power: test.power})
				assert.Equal(l, test.left, found.AsBefore == "ACTIVE")
				assert.Equal(l, test.left, len(found.Notes) == 1, found.Notes)
			})
		})
	}
}

// TestPreflightOfAServerThatIsThereAndStopped: it is not touched, and that is told.
func TestPreflightOfAServerThatIsThereAndStopped(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		before := l.was(rollout.StatusActive)
		l.remembers(pastruns.Run{ID: "a", Stops: true, Before: before, Result: endedAs(rollout.FailedIntact)})
		l.target.ID = before.ImageID
		found := l.lookAgain(rollout.Change{})
		assert.True(l, found.AlreadyThere)
		assert.Empty(l, found.AsBefore)
		assert.Equal(l, []string{fmt.Sprintf("one (%s) is stopped since an earlier change, before which it ran, and is left so: start it in the cloud's console", l.server.ID)}, found.Notes)
		assert.Equal(l, rollout.StatusActive, l.lookAgain(rollout.Change{EvenIfSameImage: true}).AsBefore)
	})
}

// TestPreflightOfALostAnswer: there is no job to ask, and nobody has seen the change come.
func TestPreflightOfALostAnswer(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		lost := pastruns.Run{ID: "a", Submits: true, Before: l.was("SHUTOFF")}
		ended := lost
		ended.Accepted, ended.Result = taken(""), endedAs(rollout.FailedChanged)
		for _, sent := range []pastruns.Run{lost, ended} {
			l.remembers(sent)
			assert.Equal(l, []string{fmt.Sprintf("one (%s) has an earlier change that may still come: it may have been sent, its job is not known, and it was not seen to come", l.server.ID) + l.remedy()},
				l.lookAgain(rollout.Change{}).Refusals)
		}
		l.remembers(pastruns.Run{ID: "b", Forgets: []string{"a"}, Result: endedAs(rollout.FailedChanged)}, lost)
		assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals)
		unreadable := lost
		unreadable.Broken = true
		l.remembers(unreadable)
		refusals := l.lookAgain(rollout.Change{}).Refusals
		require.Len(l, refusals, 1)
		assert.Contains(l, refusals[0], "it may have been sent, and what became of it cannot be read (run a, event 40 cannot be decoded: ")
		ended.Before.VolumeID = "another"
		l.remembers(ended)
		assert.Empty(l, l.lookAgain(rollout.Change{}).Refusals, "it has come")
		ended.Before.ImageID, ended.Change.ImageID = "the old one", "the new one"
		l.remembers(ended)
		assert.Len(l, l.lookAgain(rollout.Change{}).Refusals, 1, "somebody else gave it that disk")
	})
}

// TestDoctorFindsAnOpenOrder, as the first step of a change does, and without an image too.
func TestDoctorFindsAnOpenOrder(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		look := func() api.Finding {
			end := run(l, l.acts.Diagnose, contract.DiagnoseInput{ServerID: l.server.ID}, attempt{})
			require.NoError(l, end.err)
			for _, found := range end.result.Findings {
				if found.Check == api.CheckServer {
					return found
				}
			}
			return api.Finding{}
		}
		found := look()
		assert.Equal(l, api.CheckFailed, found.Verdict)
		assert.Equal(l, fmt.Sprintf("one (%s) has an earlier change that may still come: its job %s is PENDING_PAYMENT", l.server.ID, job)+l.remedy(), found.Seen)
		l.remembers(pastruns.Run{ID: "a", Running: true, Accepted: taken(job), Before: l.was(rollout.StatusShutoff)})
		held := look()
		assert.Equal(l, api.CheckFailed, held.Verdict)
		assert.Equal(l, fmt.Sprintf("one (%s) is held by a workflow that is under way: reimage server status %[1]s", l.server.ID), held.Seen)
		l.remembers(pastruns.Run{ID: "a", Err: serviceerror.NewUnavailable("down")})
		untold := look()
		assert.Contains(l, untold.Seen, "Temporal does not tell of earlier changes")
		assert.Equal(l, "try again; if it stays so, look what keeps Temporal", untold.Fix, "the cloud's support cannot help")
	})
}

// TestPreflightAsksForEveryJobThatMayBeOpen, and one that is over does not speak for another one.
func TestPreflightAsksForEveryJobThatMayBeOpen(t *testing.T) {
	inLab(t, unpaid(emulator.Server{Name: "one", Status: "SHUTOFF"}), func(l *lab) {
		job := l.sentBefore(rollout.StatusShutoff)
		lost := pastruns.Run{ID: "b", Submits: true, Before: l.was("SHUTOFF")}
		first := pastruns.Run{ID: "a", Accepted: taken(job), Before: l.was("SHUTOFF"), Result: endedAs(rollout.FailedChanged)}
		refusal := func(runs ...pastruns.Run) string {
			l.remembers(runs...)
			return strings.Join(l.lookAgain(rollout.Change{}).Refusals, "\n")
		}
		assert.Contains(l, refusal(lost, first), "its job "+job+" is PENDING_PAYMENT", "the job tells more")
		unreadable := first
		unreadable.Broken = true
		assert.Contains(l, refusal(unreadable), "its job "+job+" is PENDING_PAYMENT", "it can be asked for")
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/jobs/") {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"status":"FAIL"}`))
			return true
		}
		assert.Contains(l, refusal(lost, first), "its job is not known", "the other job is over")
		assert.Empty(l, refusal(first))
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
				asked := l.planOf("", func(s *document.Spec) {
					s.Select, s.Servers.Stopped = document.Selection{IDs: []string{l.server.ID}}, document.RuleChange
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
				assert.Contains(l, end.result.Problems[0], "reimage server forget "+l.server.ID+", or say servers.unfit: skip")

				checked := run(l, l.acts.CheckPlan, contract.CheckPlanInput{Plan: plan}, attempt{})
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
		l.plan(l.planOf("", func(s *document.Spec) { s.Select = document.Selection{IDs: []string{l.server.ID}} }))
	})
}

// TestPlanTellsOfServersThatAreThereAndStopped: nobody looks at what a plan skips again.
func TestPlanTellsOfServersThatAreThereAndStopped(t *testing.T) {
	inLab(t, stopped(), func(l *lab) {
		l.update(func(s *emulator.Server) { s.ImageID = l.target.ID })
		before := l.was(rollout.StatusActive)
		l.remembers(pastruns.Run{ID: "a", Stops: true, Before: before, Result: endedAs(rollout.FailedIntact)})
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) { s.Select = document.Selection{IDs: []string{l.server.ID}} }), attempt{})
		require.NoError(l, end.err)
		require.NotNil(l, end.result.Plan, end.result.Problems)
		require.Len(l, end.result.Plan.Skipped, 1)
		assert.Contains(l, end.result.Plan.Warnings, "1 server on the image already, left stopped by an earlier change: start in the cloud's console: one")
	})
}

// fleetPast is a Temporal that keeps a run for each server of a fleet.
type fleetPast struct {
	forgetful
	project string
	run     map[string]pastruns.Run // by the id of the workflow
	lists   *int
}

func (p fleetPast) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: p.run[id].Info(id)}, nil
}

func (p fleetPast) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	if strings.Contains(request.GetQuery(), "Running") { // who holds them
		return &workflowservice.ListWorkflowExecutionsResponse{}, nil
	}
	*p.lists++
	answer := &workflowservice.ListWorkflowExecutionsResponse{}
	for id, run := range p.run {
		if request.GetQuery() == "WorkflowId STARTS_WITH '"+p.project+"'" || request.GetQuery() == "WorkflowId = '"+id+"'" {
			answer.Executions = append(answer.Executions, run.Info(id))
		}
	}
	return answer, nil
}

func (p fleetPast) GetWorkflowHistory(_ context.Context, id, _ string, _ bool, _ enums.HistoryEventFilterType) client.HistoryEventIterator {
	return p.run[id].History()
}

// TestPlansAskTheListOnce for all servers together: Temporal may serve ten such questions a second. A server that is being
// changed is waited for.
func TestPlansAskTheListOnce(t *testing.T) {
	servers := make([]emulator.Server, 50)
	for i := range servers {
		servers[i] = emulator.Server{Name: fmt.Sprintf("web-%02d", i), Status: "SHUTOFF"}
	}
	inLab(t, emulator.Options{Fleet: servers}, func(l *lab) {
		lists := 0
		told := fleetPast{project: api.ChangeOSIDPrefix + emulator.DefaultProjectID + "/", run: map[string]pastruns.Run{}, lists: &lists}
		for i, server := range l.cloud.Servers() {
			lost := pastruns.Run{ID: fmt.Sprintf("run-%02d", i), Submits: true, Before: rollout.Observation{Fingerprint: rollout.Fingerprint{VolumeID: server.SystemVolumeID}}}
			lost.Running = server.Name == "web-07"
			told.run[told.project+server.ID] = lost
		}
		l.acts.Temporal = told
		end := run(l, l.acts.MakePlan, l.planOf("", func(s *document.Spec) {
			s.Select, s.Servers.Stopped = document.Selection{Names: []string{"web-*"}}, document.RuleChange
		}), attempt{})
		require.NoError(l, end.err)
		require.Len(l, end.result.Whole, 1)
		assert.Contains(l, end.result.Whole[0], "49 servers with an earlier change that may still come (it may have been sent, ")
		assert.NotContains(l, end.result.Whole[0], "web-07")
		assert.Equal(l, 1, lists)
	})
}
