package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/connect"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// session is a connection to Temporal and the task queue on which the workers are met.
type session struct {
	client    client.Client
	taskQueue string
}

func dial(ctx context.Context, taskQueue string) (*session, error) {
	quiet := log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	c, err := connect.Temporal(ctx, quiet)
	if err != nil {
		return nil, err
	}
	return &session{client: c, taskQueue: taskQueue}, nil
}

func (s *session) close() { s.client.Close() }

// pollerAge is how long ago a living worker may have asked for work: a long poll lasts one minute.
const pollerAge = 90 * time.Second

// workerPatience is for workers that have just been started.
const workerPatience = 5 * time.Second

// requireWorker fails when nobody would carry out what is about to be started. A workflow that waits
// in silence is worse than an error.
func (s *session) requireWorker(ctx context.Context) error {
	served, err := s.servedSoon(ctx)
	if err == nil && !served {
		err = fmt.Errorf("no worker serves task queue %s, nothing was started: start reimage-worker, or name another queue with --task-queue", s.taskQueue)
	}
	return err
}

// servedSoon waits a little for a worker.
func (s *session) servedSoon(ctx context.Context) (bool, error) {
	for patience := time.Now().Add(workerPatience); ; {
		served, err := s.served(ctx)
		if err != nil || served || time.Now().After(patience) {
			return served, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(workerPatience / 10):
		}
	}
}

// served tells whether somebody polls for workflows and somebody for activities.
func (s *session) served(ctx context.Context) (bool, error) {
	for _, kind := range []enums.TaskQueueType{enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY} {
		alive, err := s.pollers(ctx, kind)
		if err != nil || len(alive) == 0 {
			return false, err
		}
	}
	return true, nil
}

// pollers are the processes that ask for work of one kind: "4711@build-07".
func (s *session) pollers(ctx context.Context, kind enums.TaskQueueType) ([]string, error) {
	queue, err := s.client.DescribeTaskQueue(ctx, s.taskQueue, kind)
	if err != nil {
		return nil, fmt.Errorf("Temporal cannot tell who serves task queue %s: %w", s.taskQueue, err)
	}
	var alive []string
	for _, p := range queue.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollerAge {
			alive = append(alive, bare(p.GetIdentity()))
		}
	}
	slices.Sort(alive)
	return slices.Compact(alive), nil
}

// bare is an identity without the empty name that the SDK adds.
func bare(identity string) string { return strings.TrimRight(identity, "@") }

// start begins the change of the very disk that was shown. The workflow id is the lock on the server.
func (s *session) start(ctx context.Context, serverID string, change rollout.Change, found api.CheckServerResult) (client.WorkflowRun, error) {
	id, name := api.ChangeOSID(found.Project, serverID), safetext.Line(found.Name)
	change.UserDataDigest = found.UserDataDigest // so that other user data is refused from here on
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                s.taskQueue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("%s to %s", found.Name, found.ImageName),
	}, api.ChangeOSName, api.ChangeOSInput{
		Project: found.Project, ServerID: serverID, Change: change, Expect: &found.Before.Fingerprint, AsBefore: found.AsBefore,
	})
	if started, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return nil, busy(found, serverID, started.RunId)
	}
	switch {
	case err == nil:
		return run, nil
	case declined(err):
		return nil, fmt.Errorf("the change of %s could not be started: %w", name, err)
	}
	return nil, unanswered("the change of "+name, "reimage server status "+serverID, err)
}

// requireFree fails when the server is being changed: what was found of it holds no longer.
func (s *session) requireFree(ctx context.Context, serverID string, found api.CheckServerResult) error {
	held, err := s.client.DescribeWorkflowExecution(ctx, api.ChangeOSID(found.Project, serverID), "")
	switch _, unknown := errors.AsType[*serviceerror.NotFound](err); {
	case unknown:
		return nil
	case err != nil:
		return fmt.Errorf("Temporal does not tell whether somebody changes server %s, nothing was touched: %w", serverID, err)
	case held.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return busy(found, serverID, held.GetWorkflowExecutionInfo().GetExecution().GetRunId())
	}
	return nil
}

func busy(found api.CheckServerResult, serverID, runID string) error {
	return fmt.Errorf("%s (%s) is busy: workflow %s (run %s) is changing it already; watch it with: reimage server status %s --wait",
		safetext.Line(found.Name), serverID, api.ChangeOSID(found.Project, serverID), runID, serverID)
}

// unanswered is the error for a start of which nobody knows whether it happened.
func unanswered(what, look string, err error) error {
	return fmt.Errorf("%s may have been started, and then it goes on: Temporal did not answer (%w); look with: %s", what, err, look)
}

// declined is true when Temporal itself has refused a request. After any other error the request may have
// been carried out, and only the answer is missing.
func declined(err error) bool {
	answer, ok := errors.AsType[serviceerror.ServiceError](err)
	if !ok {
		return false
	}
	switch answer.(type) {
	case *serviceerror.InvalidArgument, *serviceerror.PermissionDenied, *serviceerror.NamespaceNotFound, *serviceerror.NotFound,
		*serviceerror.FailedPrecondition, *serviceerror.ResourceExhausted, *serviceerror.Unimplemented:
		return true
	}
	return false
}

// stepInterval is how often a waiting command asks for the step.
const stepInterval = time.Second

// follow watches a change to its end and prints how it ended; a cancelled one has left the server in some
// state too.
func (s *session) follow(ctx context.Context, io streams, output outputFormat, run client.WorkflowRun) error {
	result, err := s.watch(ctx, io, run)
	return output.told(io, result, err)
}

// watch shows the steps until the change has ended. When ctx ends, the change goes on.
func (s *session) watch(ctx context.Context, io streams, run client.WorkflowRun) (rollout.ServerResult, error) {
	ended := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		s.showSteps(ctx, io, run, ended)
	}()
	result, err := outcome(ctx, run)
	close(ended)
	<-shown
	return result, err
}

// outcome waits for the result. A cancelled change carries it in the error's details. That nobody watches
// any more does not end a change.
func outcome(ctx context.Context, run client.WorkflowRun) (rollout.ServerResult, error) {
	var result rollout.ServerResult
	err := run.Get(ctx, &result)
	if err == nil {
		return result, nil
	}
	if cancelled, ok := errors.AsType[*temporal.CanceledError](err); ok && cancelled.HasDetails() {
		if err := cancelled.Details(&result); err != nil {
			return result, err
		}
		return result, &exitError{exitCancelled, fmt.Errorf("the change of %s was cancelled: %s", named(result), safetext.Line(result.Reason))}
	}
	if _, ended := errors.AsType[*temporal.WorkflowExecutionError](err); ended {
		return result, &exitError{exitFailed, fmt.Errorf("workflow %s: %s", run.GetID(), said(err))}
	}
	serverID := path.Base(run.GetID())
	if ctx.Err() != nil {
		return result, fmt.Errorf("stopped watching; the change goes on; watch it with: reimage server status %s --wait", serverID)
	}
	return result, fmt.Errorf("Temporal no longer tells how the change is going (%w); the change goes on; look with: reimage server status %s", err, serverID)
}

// showSteps prints each step as it begins, until the change has ended and every step was shown. A worker
// that is away cannot answer a query; the change waits for a worker just as we do.
func (s *session) showSteps(ctx context.Context, io streams, run client.WorkflowRun, ended <-chan struct{}) {
	shown, unpaid := 0, false
	for last := false; ; {
		select {
		case <-ended:
			last = true
		default:
		}
		if status, err := s.stepsOf(ctx, run, last); err == nil && len(status.Steps) >= shown {
			for _, step := range status.Steps[shown:] {
				safetext.Fprintf(io.err, "%s  %-8s%s\n", timestamp.Clock(step.At), step.Step, about(step, status))
			}
			if now := status.Now(); status.AwaitsPayment() && !unpaid && len(status.Steps) == shown {
				safetext.Fprintf(io.err, "%s  %-8s%s\n", timestamp.Clock(time.Now()), now.Step, about(now, status))
			}
			shown, unpaid = len(status.Steps), status.AwaitsPayment()
		}
		if last {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
		case <-time.After(stepInterval):
		}
	}
}

// laterPatience is for workers that are asked about a change that has ended: its end is known without them.
const laterPatience = 5 * time.Second

func (s *session) stepsOf(ctx context.Context, run client.WorkflowRun, ended bool) (api.Status, error) {
	if ended {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, laterPatience)
		defer cancel()
	}
	return s.status(ctx, run.GetID(), run.GetRunID())
}

// about adds what is worth knowing of a step.
func about(step api.StepAt, status api.Status) string {
	var parts []string
	switch {
	case step.Step == api.StepEnded:
		parts = append(parts, string(status.End))
	case step.Step == api.StepWait && status.AwaitsPayment():
		parts = append(parts, "job "+status.JobID+", which begins when its order is paid: pay it in the cloud's console, or cancel it there; the server is off meanwhile, and judged at "+atDeadline(status.Deadline))
	case step.Step == api.StepWait:
		parts = append(parts, "job "+status.JobID)
	case status.CancelRequested && step == status.Now():
		parts = append(parts, "cancel requested")
	}
	if status.Trouble != "" && step == status.Now() {
		parts = append(parts, "tried again after: "+status.Trouble)
	}
	return strings.Join(parts, "; ")
}

// atDeadline is when a change is judged, as far as the worker tells.
func atDeadline(at time.Time) string {
	if at.IsZero() {
		return "its deadline"
	}
	return timestamp.Full(at)
}

func (s *session) status(ctx context.Context, workflowID, runID string) (api.Status, error) {
	var status api.Status
	answer, err := s.client.QueryWorkflow(ctx, workflowID, runID, api.StatusQuery)
	if err == nil {
		err = answer.Get(&status)
	}
	if err == nil && status.Now().Step != api.StepEnded {
		s.addPending(ctx, workflowID, runID, &status)
	}
	return status, err
}

// addPending adds what the activity under way has told Temporal last: the status of the job, and its trouble.
func (s *session) addPending(ctx context.Context, workflowID, runID string, status *api.Status) {
	described, err := s.client.DescribeWorkflowExecution(ctx, workflowID, runID)
	if err != nil {
		return // it is worth a word, and not an error
	}
	for _, pending := range described.GetPendingActivities() {
		status.Trouble = trouble(pending)
		if pending.GetActivityType().GetName() == api.PollJobActivity {
			var progress api.PollProgress
			_ = api.DataConverter().FromPayloads(pending.GetHeartbeatDetails(), &progress) // as above
			status.JobStatus = progress.Status
		}
	}
}

// trouble is why an activity waits to be tried again. Temporal keeps a failure while the next attempt is at it, and that
// may be well; that a worker stopped is none.
func trouble(pending *workflow.PendingActivityInfo) string {
	failure := pending.GetLastFailure()
	if pending.GetState() != enums.PENDING_ACTIVITY_STATE_SCHEDULED || failure.GetApplicationFailureInfo().GetType() == api.ErrWorkerStopping {
		return ""
	}
	return failure.GetMessage()
}

// advice is the command that finds out why a worker had trouble with the cloud.
func (s *session) advice(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		switch app.Type() {
		case api.ErrCredentials, api.ErrRefused, api.ErrCloud:
			return "; find out why with: reimage doctor" + taskQueueFlag(s.taskQueue)
		}
	}
	return ""
}

// said is what went wrong in the worker's own words, or how the workflow closed, without Temporal's wrapping.
func said(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	if closed, ok := errors.AsType[*temporal.WorkflowExecutionError](err); ok {
		return closed.Unwrap().Error()
	}
	return err.Error()
}
