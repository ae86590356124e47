package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/rollout"
)

// ForgetChangeName is the name under which the workflow is registered that stands for the word of a human.
const ForgetChangeName = "ForgetChange"

// ForgetChangeInput says of changes that were not seen to their end that nothing comes of them any more.
type ForgetChangeInput struct {
	Project string `json:"project"`
	// Runs are those that sent them, of the workflow that locks the server. One that is not named may still come.
	Runs []string `json:"runs"`
	// JobID is the job of the earliest of them, if that is known, and Change what was asked for: it names the secrets that
	// the cloud may repeat in its words.
	JobID  string         `json:"job_id,omitempty"`
	Change rollout.Change `json:"change"`
	// Last is how the latest of them ended as far as it was seen.
	Last rollout.ServerResult `json:"last"`
	// By says so, and why.
	By      string `json:"by"`
	Comment string `json:"comment,omitempty"`
}

// SentChange is a change of a server that was sent, as the history of the workflow that locked the server tells it.
type SentChange struct {
	RunID string
	// JobID is the cloud's job. Empty when the answer was lost.
	JobID string
	// Change is what was asked for.
	Change rollout.Change
	// Before is the server before it, with the system disk that it was to replace, and Status as "as before" meant it.
	Before rollout.Observation
	// Result is how it ended. Nil when its workflow left no result.
	Result *rollout.ServerResult
}

// Over is true when the result itself says that nothing comes of the change any more.
func (c SentChange) Over() bool { return c.Result != nil && c.Result.End != rollout.FailedChanged }

// stopped is true when the server is off because the change took its power and ended without giving it back.
func (c SentChange) stopped(now rollout.Observation) bool {
	return c.Before.Status == rollout.StatusActive && (c.Result == nil || c.Result.Left != rollout.StatusActive) &&
		now.Status == rollout.StatusShutoff && now.VolumeID == c.Before.VolumeID
}

// SentChanges are what Temporal still knows of the changes that were sent to a server. The zero value is none.
type SentChanges struct {
	// Latest is the latest of all.
	Latest *SentChange
	// Open are those that may still come, the latest first. None was sent while the job of an earlier one was known to be
	// open, so they end with the first that has a job.
	Open []SentChange
}

// SentTo reads what was sent to a server from the runs of the workflow that locks it. A run that is under way counts for
// none: it holds the lock itself. The run except is passed over.
//
// The newest run is read by the lock itself. Only when it does not tell, and for whoever holds the lock, the others are
// looked for in Temporal's list, which may serve no more than ten questions a second. The list trails a moment behind; a run
// that left something open began a whole deadline ago.
func SentTo(ctx context.Context, t Temporal, lockID, except string) (SentChanges, error) {
	described, err := t.DescribeWorkflowExecution(ctx, lockID, "")
	switch {
	case isA[*serviceerror.NotFound](err):
		return SentChanges{}, nil
	case err != nil:
		return SentChanges{}, untoldOf(lockID, err)
	}
	newest := described.GetWorkflowExecutionInfo()
	if newest.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING && newest.GetExecution().GetRunId() != except {
		return SentChanges{}, nil
	}
	w := walk{t: t, except: except}
	if told, err := w.over(ctx, newest); err != nil || told {
		return w.found, err
	}
	older, err := olderRuns(ctx, t, newest)
	if err != nil {
		return SentChanges{}, err
	}
	for _, run := range older {
		if told, err := w.over(ctx, run); err != nil || told {
			return w.found, err
		}
	}
	return w.found, nil
}

// olderRuns are all other runs of a workflow, the newest first.
func olderRuns(ctx context.Context, t Temporal, newest *workflow.WorkflowExecutionInfo) ([]*workflow.WorkflowExecutionInfo, error) {
	lockID := newest.GetExecution().GetWorkflowId()
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowId = '" + lockID + "'", PageSize: 1000}
	var runs []*workflow.WorkflowExecutionInfo
	for {
		page, err := t.ListWorkflow(ctx, request)
		if err != nil {
			return nil, untoldOf(lockID, err)
		}
		for _, run := range page.GetExecutions() {
			if run.GetExecution().GetRunId() != newest.GetExecution().GetRunId() {
				runs = append(runs, run)
			}
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	slices.SortStableFunc(runs, func(a, b *workflow.WorkflowExecutionInfo) int {
		return b.GetStartTime().AsTime().Compare(a.GetStartTime().AsTime())
	})
	return runs, nil
}

func untoldOf(lockID string, err error) error {
	return fmt.Errorf("Temporal does not tell of earlier changes (workflow %s): %w", lockID, err)
}

// walk goes from the newest run to older ones.
type walk struct {
	t         Temporal
	except    string
	forgotten []string // runs of which somebody has said that nothing comes
	found     SentChanges
}

// over walks over one run, and is true when no older one matters.
func (w *walk) over(ctx context.Context, run *workflow.WorkflowExecutionInfo) (told bool, err error) {
	runID := run.GetExecution().GetRunId()
	if runID == w.except {
		return false, nil
	}
	read, err := readRun(ctx, w.t, run)
	if err != nil {
		return false, err
	}
	if read.result != nil { // a word that was refused, or not heard to its end, is none
		w.forgotten = append(w.forgotten, read.forgets...)
	}
	sent := read.sent()
	if sent == nil {
		return false, nil
	}
	sent.RunID = runID
	w.found.Latest = cmp.Or(w.found.Latest, sent)
	if sent.Over() {
		return true, nil
	}
	if !slices.Contains(w.forgotten, runID) {
		w.found.Open = append(w.found.Open, *sent)
	}
	return sent.JobID != "", nil
}

// readRun reads the history of a run. One that Temporal has just forgotten has none.
func readRun(ctx context.Context, t Temporal, run *workflow.WorkflowExecutionInfo) (runReader, error) {
	lockID, runID := run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId()
	read := runReader{scheduled: map[int64]string{}}
	for events := t.GetWorkflowHistory(ctx, lockID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		switch {
		case isA[*serviceerror.NotFound](err):
			return runReader{}, nil
		case err != nil:
			return runReader{}, untoldOf(lockID, err)
		}
		if err := read.event(event); err != nil {
			return runReader{}, fmt.Errorf("event %d of workflow %s (run %s) cannot be read: %w", event.GetEventId(), lockID, runID, err)
		}
	}
	return read, nil
}

// runReader reads the history of one run.
type runReader struct {
	forgets   []string // the runs that it says nothing comes of
	change    rollout.Change
	asBefore  string // the status that "as before" meant, when the change was not the first
	scheduled map[int64]string
	submits   bool // the change may have been sent
	before    rollout.Observation
	jobID     string
	result    *rollout.ServerResult
}

func (r *runReader) event(e *history.HistoryEvent) error {
	if started := e.GetWorkflowExecutionStartedEventAttributes(); started != nil {
		return r.started(started)
	}
	if scheduled := e.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
		name := scheduled.GetActivityType().GetName()
		r.scheduled[e.GetEventId()] = name
		r.submits = r.submits || name == SubmitChangeOSName
	}
	if completed := e.GetActivityTaskCompletedEventAttributes(); completed != nil {
		return r.completed(r.scheduled[completed.GetScheduledEventId()], completed.GetResult())
	}
	if completed := e.GetWorkflowExecutionCompletedEventAttributes(); completed != nil {
		r.result = &rollout.ServerResult{}
		return decode(completed.GetResult(), r.result)
	}
	return nil
}

func (r *runReader) started(e *history.WorkflowExecutionStartedEventAttributes) error {
	if e.GetWorkflowType().GetName() == ForgetChangeName {
		var in ForgetChangeInput
		err := decode(e.GetInput(), &in)
		r.forgets = in.Runs
		return err
	}
	var in struct { // of a change
		Change   rollout.Change `json:"change"`
		AsBefore string         `json:"as_before"`
	}
	err := decode(e.GetInput(), &in)
	r.change, r.asBefore = in.Change, in.AsBefore
	return err
}

func (r *runReader) completed(name string, result *common.Payloads) error {
	switch name {
	case PreflightName:
		var found PreflightResult
		err := decode(result, &found)
		r.before = found.Before
		return err
	case SubmitChangeOSName:
		var accepted SubmitChangeOSResult
		err := decode(result, &accepted)
		r.jobID = accepted.JobID
		return err
	}
	return nil
}

func decode(payloads *common.Payloads, into any) error {
	return connect.DataConverter().FromPayloads(payloads, into)
}

// sent is nil when nothing of the run can have been accepted, or its server itself has told that it was.
func (r *runReader) sent() *SentChange {
	sent := &SentChange{JobID: r.jobID, Change: r.change, Before: r.before, Result: r.result}
	sent.Before.Status = cmp.Or(r.asBefore, r.before.Status)
	if !r.submits || r.jobID == "" && sent.Over() {
		return nil
	}
	return sent
}

// mayCome says why a change that was sent may still come to a server. Empty when none may.
func (s site) mayCome(ctx context.Context, sent SentChanges, now rollout.Observation) (why string, err error) {
	for _, change := range slices.Backward(sent.Open) { // one with a job tells more
		if why, err = s.mayStillCome(ctx, change, now); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (s site) mayStillCome(ctx context.Context, sent SentChange, now rollout.Observation) (string, error) {
	switch {
	case sent.JobID == "" && now.VolumeID == sent.Before.VolumeID:
		return "it was sent, its job is not known, and it was not seen to come", nil
	case sent.JobID == "":
		return "", nil
	}
	job, err := s.Cloud.Job(ctx, sent.JobID)
	switch {
	case isNotFound(err) && isAnswer(err):
		return "", nil // jobs that are over are deleted after a day
	case isNotFound(err) || isAnswer(err): // or a page of somebody in between, which is no word on the job
		return fmt.Sprintf("of its job %s the cloud does not tell: %s", sent.JobID, s.scrub(sent.Change, err.Error())), nil
	case err != nil || job.Final():
		return "", err
	}
	return fmt.Sprintf("its job %s is %s", sent.JobID, job.Status), nil
}

// unfinished notes which of the planned servers have an earlier change that is not over. Asked are those of which the
// server itself may show nothing: an order that is not paid is one of a server paid by the year or month, and any other
// change has stopped its server.
func (g *gathering) unfinished(ctx context.Context, planned []rollout.PlannedServer) error {
	g.reading(ctx, "earlier changes")
	isPlanned := map[string]bool{}
	for _, s := range planned {
		isPlanned[s.ID] = true
	}
	var ask []*rollout.InventoryServer
	for i := range g.Servers {
		if s := &g.Servers[i]; isPlanned[s.ID] && s.HeldBy == "" && (s.Prepaid || s.Observation.Status != rollout.StatusActive) {
			ask = append(ask, s)
		}
	}
	return atOnce(ctx, len(ask), func(ctx context.Context, i int) error {
		sent, err := SentTo(ctx, g.Temporal, lockID(g.Project, ask[i].ID), "")
		if err == nil {
			ask[i].Unfinished, err = g.mayCome(ctx, sent, ask[i].Observation)
		}
		return err
	})
}
