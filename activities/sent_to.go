package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/rollout"
)

// SentChange is a change of a server that was sent, as the history of the workflow that locked the server tells it.
type SentChange struct {
	RunID string
	// Name of the server, as it was then.
	Name string
	// JobID is the cloud's job. Empty when the answer was lost.
	JobID string
	// UnderWaySince is when the cloud was seen to work on the job after its deadline. Zero for never.
	UnderWaySince time.Time
	// Change is what was asked for.
	Change rollout.Change
	// Before is the server before it, with the system disk that it was to replace.
	Before rollout.Observation
	// Came is true when it was seen to come.
	Came bool
	// Result is how its server ended, which is not always how its job did. Nil when its workflow left no result.
	Result *rollout.ServerResult
	// Unreadable says why its history does not tell the rest. Empty when it does.
	Unreadable string

	firstRunID string // from which its run was reset
}

// Earlier is what Temporal still knows of the changes of a server before now. The zero value is none.
type Earlier struct {
	// Open are the changes that were sent and are not over as far as their histories tell, the latest first. They
	// end with the first that has a job: since the look asks, none is sent while that of an earlier one is open.
	Open []SentChange
	// LeftOff is the system disk of the server when a change took its power and did not give it back. Empty when none has,
	// or it was seen to run since.
	LeftOff string
	// Held is true when a run is under way: it sees to the server, and the rest is not told.
	Held bool
}

// leftStopped is true for a server that has stood since a change took its power.
func (e Earlier) leftStopped(now rollout.Observation) bool {
	return now.Status == rollout.StatusShutoff && now.VolumeID != "" && now.VolumeID == e.LeftOff
}

// SentTo reads what was sent to a server from the runs of the workflow that locks it. The run except is passed over; known
// are others that there are.
//
// The newest run is read by the lock itself. Only when it does not tell, and for whoever holds the lock, the others are
// looked for in Temporal's list, which may serve no more than ten questions a second.
func SentTo(ctx context.Context, t Temporal, lockID, except string, known ...string) (Earlier, error) {
	described, err := t.DescribeWorkflowExecution(ctx, lockID, "")
	switch {
	case isA[*serviceerror.NotFound](err):
		return Earlier{}, nil
	case err != nil:
		return Earlier{}, untoldOf(lockID, err)
	}
	newest := described.GetWorkflowExecutionInfo()
	if isRunning(newest) && runID(newest) != except {
		return Earlier{Held: true}, nil
	}
	w := walk{t: t, except: except}
	if told, err := w.over(ctx, newest); err != nil || told {
		return w.found, err
	}
	runs, err := runsUpTo(ctx, t, lockID, append(known, runID(newest))...)
	if err != nil {
		return Earlier{}, err
	}
	err = w.all(ctx, slices.DeleteFunc(runs, func(run *workflow.WorkflowExecutionInfo) bool { return runID(run) == runID(newest) }))
	return w.found, err
}

func isRunning(run *workflow.WorkflowExecutionInfo) bool {
	return run.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

func runID(run *workflow.WorkflowExecutionInfo) string { return run.GetExecution().GetRunId() }

func untoldOf(lockID string, err error) error {
	return fmt.Errorf("Temporal does not tell of earlier changes (workflow %s): %w", lockID, err)
}

// listPatience is how long Temporal's list may trail behind before that is trouble, and listPause the time between two
// questions.
const listPatience, listPause = 10 * time.Second, time.Second

// AwaitListed waits until Temporal's list has a run of a workflow.
func AwaitListed(ctx context.Context, t Temporal, workflowID, runID string) error {
	_, err := runsUpTo(ctx, t, workflowID, runID)
	return err
}

// runsUpTo are the runs of a workflow as listed, with those that are known, the newest among them. A list that does not have
// those yet may lack others too, and is not believed.
func runsUpTo(ctx context.Context, t Temporal, lockID string, known ...string) ([]*workflow.WorkflowExecutionInfo, error) {
	for patience := time.Now().Add(listPatience); ; {
		var runs []*workflow.WorkflowExecutionInfo
		missing := slices.Clone(known)
		err := list(ctx, t, "WorkflowId = '"+lockID+"'", func(run *workflow.WorkflowExecutionInfo) {
			runs = append(runs, run)
			missing = slices.DeleteFunc(missing, func(id string) bool { return id == runID(run) })
		})
		switch {
		case err != nil:
			return nil, untoldOf(lockID, err)
		case len(missing) == 0:
			return runs, nil
		case time.Now().After(patience):
			return nil, untoldOf(lockID, errors.New("its list trails behind and does not have run "+missing[0]))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(listPause):
		}
	}
}

// list reads Temporal's list of the workflows that fit a query, page by page.
func list(ctx context.Context, t Temporal, query string, each func(*workflow.WorkflowExecutionInfo)) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000}
	for {
		page, err := t.ListWorkflow(ctx, request)
		if err != nil {
			return err
		}
		for _, run := range page.GetExecutions() {
			each(run)
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

// walk goes from the newest run of a workflow to older ones.
type walk struct {
	t         Temporal
	except    string
	forgotten []string             // runs of which somebody has said that nothing comes
	underWay  map[string]time.Time // when the cloud was first seen to work on a job that somebody was not believed about
	sentTold  bool                 // nothing that an older run sent may still come
	powerTold bool
	found     Earlier
}

// all walks over runs in any order, the newest first, until no older one matters.
func (w *walk) all(ctx context.Context, runs []*workflow.WorkflowExecutionInfo) error {
	slices.SortStableFunc(runs, func(a, b *workflow.WorkflowExecutionInfo) int {
		return b.GetStartTime().AsTime().Compare(a.GetStartTime().AsTime())
	})
	for _, run := range runs {
		if told, err := w.over(ctx, run); err != nil || told {
			return err
		}
	}
	return nil
}

// over walks over one run, and is true when no older one matters.
func (w *walk) over(ctx context.Context, run *workflow.WorkflowExecutionInfo) (told bool, err error) {
	if runID(run) == w.except {
		return false, nil
	}
	read, err := readRun(ctx, w.t, run.GetExecution().GetWorkflowId(), runID(run))
	if err != nil {
		return false, err
	}
	if len(read.named) > 0 {
		w.word(read)
		return false, nil
	}
	if !w.powerTold {
		w.power(read)
	}
	if !w.sentTold && read.mayHaveSent() {
		w.sent(runID(run), read)
	}
	return w.sentTold && w.powerTold, nil
}

// word is one that nothing comes of a change any more. One that was not believed tells that the job was under way.
func (w *walk) word(read pastRun) {
	w.forgotten = append(w.forgotten, read.forgets...)
	if since := read.underWaySince(); !since.IsZero() {
		if w.underWay == nil {
			w.underWay = map[string]time.Time{}
		}
		w.underWay[read.jobID] = since // of the oldest word in the end
	}
}

// sent is a change that may have been accepted.
func (w *walk) sent(run string, read pastRun) {
	w.sentTold = read.jobID != ""
	if read.jobOver() || slices.Contains(w.forgotten, run) {
		return
	}
	since := read.underWaySince()
	if since.IsZero() {
		since = w.underWay[read.jobID]
	}
	w.found.Open = append(w.found.Open, SentChange{
		RunID: run, firstRunID: read.firstRunID, Name: read.name, JobID: read.jobID, UnderWaySince: since, Change: read.change, Before: read.before, Came: read.came(), Result: read.result, Unreadable: read.unreadable,
	})
}

// power goes by the newest run that saw the server run, took its power, or was done: then it was left as was asked for.
func (w *walk) power(read pastRun) {
	ran := read.before.Status == rollout.StatusActive || read.touches && read.asBefore == rollout.StatusActive
	told := ran && !read.touches
	if read.result != nil {
		told = told || read.result.End == rollout.Done || cmp.Or(read.result.Left, read.result.After.Status) == rollout.StatusActive
	}
	if ran && !told {
		w.found.LeftOff = read.before.VolumeID
	}
	w.powerTold = ran || told
}
