package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
)

// consultation is a workflow that looks and touches nothing.
type consultation struct {
	id, summary, workflow string
	timeout               time.Duration
	// says is where somebody who waits reads why it takes so long.
	says io.Writer
}

// consult has a worker look, and waits for what it has seen.
func consult[Result, Input any](ctx context.Context, s *session, c consultation, in Input) (Result, error) {
	var result Result
	if err := s.requireWorker(ctx); err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: c.id, TaskQueue: s.taskQueue, WorkflowExecutionTimeout: c.timeout, StaticSummary: c.summary,
	}, c.workflow, in)
	if err == nil {
		err = s.await(ctx, run, c.says, &result)
	}
	if _, ended := errors.AsType[*temporal.WorkflowExecutionError](err); ended {
		err = errors.New(said(err) + s.advice(err))
	}
	return result, err
}

// check has a worker look at the server.
func (s *session) check(ctx context.Context, says io.Writer, in api.CheckServerInput) (api.CheckServerResult, error) {
	found, err := consult[api.CheckServerResult](ctx, s, consultation{
		id: api.CheckServerID(in.ServerID, uuid.NewString()), summary: "look at " + in.ServerID, workflow: api.CheckServerName,
		timeout: checkTimeout, says: says,
	}, in)
	if err != nil {
		return found, fmt.Errorf("server %s could not be looked at, nothing was touched: %w", in.ServerID, err)
	}
	return found, nil
}

// errUnserved is the error for what was called off because there is nobody to do it.
var errUnserved = errors.New("no worker serves task queue")

// slowCheck is how long nothing is said of a look, and how often a command that waits makes sure that it goes on.
const slowCheck = 5 * time.Second

// await waits for a workflow that touches no server, and says what keeps it, each thing once. Workers may leave after it was
// started; then nobody would answer, and it is called off.
func (s *session) await(ctx context.Context, run client.WorkflowRun, says io.Writer, result any) error {
	ended := make(chan error, 1)
	go func() { ended <- run.Get(ctx, result) }()
	ticker := time.NewTicker(slowCheck)
	defer ticker.Stop()
	told := map[string]bool{}
	for {
		select {
		case err := <-ended:
			if err != nil && errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return err
		case <-ticker.C:
			if served, err := s.served(ctx); err == nil && !served {
				if s.client.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "no worker serves its task queue") != nil {
					continue // it may have ended; if not, it times out by itself
				}
				return fmt.Errorf("%w %s any more: start reimage-worker and try again", errUnserved, s.taskQueue)
			}
			for _, line := range s.keeps(ctx, run) {
				if same := requestID.ReplaceAllString(line, ""); !told[same] {
					told[same] = true
					safetext.Fprintf(says, "%s\n", line)
				}
			}
		}
	}
}

// requestID is what differs between two failures of one kind.
var requestID = regexp.MustCompile(`\(request [^)]*\)`)

// waiting says so when nobody has taken what is to be done next.
func waiting(described *workflowservice.DescribeWorkflowExecutionResponse) []string {
	if described.GetPendingWorkflowTask().GetState() == enums.PENDING_WORKFLOW_TASK_STATE_SCHEDULED || slices.ContainsFunc(described.GetPendingActivities(), unbegun) {
		return []string{"no worker has begun yet"}
	}
	return nil
}

func unbegun(pending *workflow.PendingActivityInfo) bool {
	return pending.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && pending.GetLastFailure() == nil
}

// keeps is what keeps a look: the trouble that it had, and what is read now. Nothing when Temporal does not tell.
func (s *session) keeps(ctx context.Context, run client.WorkflowRun) (lines []string) {
	described, err := s.client.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return nil
	}
	lines = waiting(described)
	for _, pending := range described.GetPendingActivities() {
		failure, details := pending.GetLastFailure(), pending.GetHeartbeatDetails()
		if failure != nil {
			lines = append(lines, "a worker tries again after: "+failure.GetMessage())
		}
		var progress api.ReadingProgress
		if details != nil {
			_ = api.DataConverter().FromPayloads(details, &progress) // it is worth a word, and not an error
		}
		switch {
		case unbegun(pending):
		case progress.Reading != "":
			line := "a worker is still asking the cloud: " + progress.Reading
			if progress.Trouble != "" {
				line += ", again after: " + progress.Trouble
			}
			lines = append(lines, line)
		case details == nil: // otherwise it has just begun
			lines = append(lines, "a worker is still asking the cloud")
		}
	}
	return lines
}
