package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// rolloutRun is one rollout: the latest of its name, or the one whose last run was named.
type rolloutRun struct {
	*session // with the task queue of the rollout's own workers
	name     string
	asked    string // the run that is asked: that which was named, or "" for the latest
	runID    string // of the latest run; a rollout continues as new
	firstRun string // what all its runs have in common
	closedAs enums.WorkflowExecutionStatus
	closedAt time.Time
}

// answerTimeout is how long a rollout may take to answer a question. Replaying a long history takes some.
const answerTimeout = 15 * time.Second

// rollout finds the latest rollout of that name, or an earlier one by the id of its last run. An unknown name is an
// error that lists near ones.
func (s *session) rollout(ctx context.Context, name, runID string) (*rolloutRun, error) {
	name = strings.TrimPrefix(name, api.RolloutIDPrefix)
	if name == "" {
		return nil, errors.New("the name of the rollout is empty")
	}
	described, err := s.client.DescribeWorkflowExecution(ctx, api.RolloutID(name), runID)
	_, unknown := errors.AsType[*serviceerror.NotFound](err)
	_, malformed := errors.AsType[*serviceerror.InvalidArgument](err)
	switch {
	case runID != "" && (unknown || malformed):
		return nil, fmt.Errorf("rollout %s has no run %s; see: reimage list", name, runID)
	case unknown:
		return nil, s.unknownRollout(ctx, name)
	case err != nil:
		return nil, fmt.Errorf("rollout %s cannot be looked up: %w", name, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return nil, fmt.Errorf("run %s of rollout %s is not its last one; see: reimage list", runID, name)
	}
	run := &rolloutRun{
		session: &session{client: s.client, taskQueue: described.GetExecutionConfig().GetTaskQueue().GetName()},
		name:    name, asked: runID, runID: info.GetExecution().GetRunId(), firstRun: info.GetFirstRunId(),
		closedAs: info.GetStatus(),
	}
	if info.GetCloseTime() != nil {
		run.closedAt = info.GetCloseTime().AsTime()
	} else {
		run.asked = "" // it may continue as new while it is asked
	}
	return run, nil
}

func (r *rolloutRun) id() string { return api.RolloutID(r.name) }

// running is true until the workflow has closed.
func (r *rolloutRun) running() bool { return r.closedAs == enums.WORKFLOW_EXECUTION_STATUS_RUNNING }

// ask puts a query to a rollout, running or not.
func ask[T any](ctx context.Context, r *rolloutRun, query string, args ...any) (T, error) {
	var answer T
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	begun := time.Now()
	value, err := r.client.QueryWorkflow(ctx, r.id(), r.asked, query, args...)
	if err != nil {
		return answer, &noAnswer{err, time.Since(begun)}
	}
	return answer, value.Get(&answer)
}

// noAnswer is the error of a query, and how long it took.
type noAnswer struct {
	error
	after time.Duration
}

func (n *noAnswer) Unwrap() error { return n.error }

func (r *rolloutRun) progress(ctx context.Context) (rollout.Progress, error) {
	return ask[rollout.Progress](ctx, r, api.ProgressQuery)
}

// servers are all servers of the rollout, in the order of the plan.
func (r *rolloutRun) servers(ctx context.Context) ([]rollout.ServerProgress, error) {
	var all []rollout.ServerProgress
	for page := (api.ServersPage{Limit: api.MaxServersPage}); ; {
		answer, err := ask[api.ServersAnswer](ctx, r, api.ServersQuery, page)
		if err != nil {
			return nil, err
		}
		all = append(all, answer.Servers...)
		if answer.Next <= page.From { // zero after the last page; never back
			return all, nil
		}
		page.From = answer.Next
	}
}

// log is everything that the rollout remembers of its log.
func (r *rolloutRun) log(ctx context.Context) ([]rollout.LogEntry, error) {
	return ask[[]rollout.LogEntry](ctx, r, api.LogQuery)
}

// pollersTimeout is for the question whether workers are there. A Temporal that runs knows it at once.
const pollersTimeout = 5 * time.Second

// silent explains why a rollout gave no answer: no worker is there to give it, Temporal does not answer, or the worker does
// not.
func (r *rolloutRun) silent(ctx context.Context, err error) error {
	state := "is running"
	if !r.running() {
		state = "has ended"
	}
	asking, cancel := context.WithTimeout(ctx, pollersTimeout)
	defer cancel()
	served, asked := r.served(asking)
	if noPoller(err) || asked == nil && !served {
		return fmt.Errorf("rollout %s %s, but no worker serves its task queue %s, and only workers know how it stands: start reimage-worker", r.name, state, r.taskQueue)
	}
	if asked != nil && ctx.Err() == nil {
		return fmt.Errorf("Temporal does not answer, so how rollout %s stands is not known; it goes on when Temporal is back: %s; next: reimage doctor", r.name, said(asked))
	}
	if _, refused := errors.AsType[*serviceerror.QueryFailed](err); !refused && ctx.Err() == nil && isLate(err) {
		return fmt.Errorf("rollout %s %s but has not answered%s: its worker may have died (Temporal lists it for a while), or the worker or Temporal may be overloaded; start reimage-worker, or look again", r.name, state, waited(err))
	}
	return fmt.Errorf("rollout %s %s but does not answer: %s; if no worker is running, start reimage-worker", r.name, state, said(err))
}

// waited is how long the answer was waited for, as far as that is known.
func waited(err error) string {
	if late, ok := errors.AsType[*noAnswer](err); ok {
		return " in " + max(time.Second, late.after.Round(time.Second)).String()
	}
	return ""
}

// isLate is true when nobody answered in time, in whatever words.
func isLate(err error) bool {
	_, deadline := errors.AsType[*serviceerror.DeadlineExceeded](err)
	_, canceled := errors.AsType[*serviceerror.Canceled](err)
	return deadline || canceled || errors.Is(err, context.DeadlineExceeded)
}

// noPoller is true when Temporal itself says that nobody could answer a query. It knows before the list of
// those who asked for work forgets the last of them.
func noPoller(err error) bool {
	refused, ok := errors.AsType[*serviceerror.FailedPrecondition](err)
	return ok && strings.HasPrefix(refused.Message, "no poller seen")
}

// commandTimeout is how long a command may take. The rollout carries it out at once when a worker is there.
const commandTimeout = time.Minute

// command gives a command and returns what the rollout says it did. A refusal is the validator's sentence.
func (r *rolloutRun) command(ctx context.Context, c rollout.Command) (string, error) {
	if !r.running() {
		return "", r.over(ctx)
	}
	if served, err := r.servedSoon(ctx); err != nil {
		return "", fmt.Errorf("%s was not given to rollout %s: %w", c.Kind, r.name, err)
	} else if !served {
		return "", fmt.Errorf("%s was not given to rollout %s: no worker serves its task queue %s, start reimage-worker", c.Kind, r.name, r.taskQueue)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	handle, err := r.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		// One id for all attempts at this call: a repeated request is not carried out twice. And this
		// rollout only: a later one of the same name is not the one that was meant.
		UpdateID: uuid.NewString(), WorkflowID: r.id(), FirstExecutionRunID: r.firstRun,
		UpdateName: string(c.Kind), Args: []any{c}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var sentence string
	if err == nil {
		err = handle.Get(ctx, &sentence)
	}
	_, unanswered := errors.AsType[*client.WorkflowUpdateServiceTimeoutOrCanceledError](err)
	switch _, gone := errors.AsType[*serviceerror.NotFound](err); {
	case err == nil:
		return sentence, nil
	case gone:
		return "", fmt.Errorf("rollout %s ended before it got the command; see: reimage report %s", r.name, progressview.Word(r.name))
	case unanswered, ctx.Err() != nil:
		return "", fmt.Errorf("rollout %s has not answered (a worker that died is listed for a while), and may still carry out the command, when a worker is back at the latest: see what it does with: reimage status %s", r.name, progressview.Word(r.name))
	}
	return "", fmt.Errorf("rollout %s: %s", r.name, said(err))
}

// over is the error for a command to a rollout that has ended. It says how and when.
func (r *rolloutRun) over(ctx context.Context) error {
	how := statusWord(r.closedAs)
	if result, err := r.result(ctx); err == nil {
		how = string(result.End)
	}
	return fmt.Errorf("rollout %s ended at %s as %s and takes no commands any more; see: reimage report %s",
		r.name, timestamp.Full(r.closedAt), how, progressview.Word(r.name))
}

// result waits for the end, which a closed workflow tells without a worker.
func (r *rolloutRun) result(ctx context.Context) (api.RolloutResult, error) {
	var result api.RolloutResult
	err := r.client.GetWorkflow(ctx, r.id(), r.runID).Get(ctx, &result)
	return result, err
}

// statusWord is how Temporal says that a workflow ended.
func statusWord(status enums.WorkflowExecutionStatus) string {
	return strings.ReplaceAll(strings.ToLower(status.String()), "timedout", "timed-out")
}

// ending turns the end of a rollout into the end of the command. A code never flatters: a rollback that did
// not reach every server has failed.
func ending(p rollout.Progress) error {
	name, report := p.Name, "; see: reimage report "+progressview.Word(p.Name)
	switch p.End {
	case rollout.Completed:
		return nil
	case rollout.CompletedWithFailures:
		return &exitError{exitFailed, fmt.Errorf("rollout %s completed with failures%s", name, report)}
	case rollout.Aborted:
		return &exitError{exitCancelled, fmt.Errorf("rollout %s was aborted%s", name, report)}
	case rollout.RolledBack:
		what := "every changed server has its previous image again"
		if p.Counts.RolledBack == 0 {
			what = "no server had been changed"
		}
		return &exitError{exitRolledBack, fmt.Errorf("rollout %s was rolled back: %s%s", name, what, report)}
	case rollout.RolledBackPartially:
		return &exitError{exitFailed, fmt.Errorf("rollout %s was rolled back, but not on every server%s", name, report)}
	}
	return &exitError{exitFailed, fmt.Errorf("rollout %s ended as %q, which this program does not know%s", name, p.End, report)}
}

// standing is ending for a rollout that may still run: one that waits for a human has a code of its own.
func standing(p rollout.Progress) error {
	if p.Phase == rollout.PhaseEnded {
		return ending(p)
	}
	if !p.NeedsHuman {
		return nil
	}
	return &exitError{exitWaits, fmt.Errorf("rollout %s waits for a human: %s", p.Name, safetext.Line(p.Why))}
}
