package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

const (
	// recallShared is for how long the answer to one question serves every write of the worker.
	recallShared = 500 * time.Millisecond
	// recallValid is for how long after its question an answer allows a write to begin. A write thus begins less than two
	// seconds after the rollout was stopped, with half a second for its way to the cloud.
	recallValid = 1500 * time.Millisecond
)

// recalls asks the rollouts of a worker's servers what they take back. One question serves all writes of recallShared,
// so hundreds of servers in flight ask twice a second together.
type recalls struct {
	mu        sync.Mutex
	questions map[string]*recallQuestion // the last one, by the rollout's workflow id
}

type recallQuestion struct {
	asked    time.Time     // the answer holds as of then, or later
	answered chan struct{} // closed when the answer is there
	run      string        // the first run id of the rollout that answered
	recall   rollout.Recall
	err      error
}

// ask returns what the rollout takes back, and when it was asked. It waits for the answer to a question that another
// write has just asked.
func (r *recalls) ask(ctx context.Context, t Temporal, ref api.RolloutRef) (rollout.Recall, time.Time, error) {
	q := r.question(ctx, t, ref.WorkflowID)
	select {
	case <-q.answered:
	case <-ctx.Done():
		return "", q.asked, ctx.Err()
	}
	if q.err == nil && ref.FirstRunID != "" && q.run != "" && q.run != ref.FirstRunID {
		return rollout.RecallUnsubmitted, q.asked, nil // the rollout of the server has ended, and another one has its name
	}
	return q.recall, q.asked, q.err
}

// question is the last one about the rollout while it is fresh, otherwise a new one.
func (r *recalls) question(ctx context.Context, t Temporal, workflowID string) *recallQuestion {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for id, old := range r.questions {
		if now.Sub(old.asked) >= recallShared {
			delete(r.questions, id)
		}
	}
	if q, ok := r.questions[workflowID]; ok {
		return q
	}
	if r.questions == nil {
		r.questions = map[string]*recallQuestion{}
	}
	q := &recallQuestion{asked: now, answered: make(chan struct{})}
	r.questions[workflowID] = q
	// The attempt that asks may end before the answer is there, and others wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallValid)
	go func() {
		defer cancel()
		defer close(q.answered)
		q.run, q.recall, q.err = recallOf(t.DescribeWorkflowExecution(ctx, workflowID, ""))
	}()
	return q
}

// recallOf reads the answer to a question. A rollout that does not run any more, because it was terminated, takes
// back what it has not submitted: nothing follows its servers.
func recallOf(described *workflowservice.DescribeWorkflowExecutionResponse, err error) (run string, recall rollout.Recall, _ error) {
	if isA[*serviceerror.NotFound](err) {
		return "", rollout.RecallUnsubmitted, nil
	}
	if err != nil {
		return "", "", err
	}
	info := described.GetWorkflowExecutionInfo()
	run = info.GetFirstRunId()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return run, rollout.RecallUnsubmitted, nil
	}
	field, ok := info.GetMemo().GetFields()[api.RecallMemo]
	if !ok {
		return run, rollout.RecallNone, nil
	}
	if err := converter.GetDefaultDataConverter().FromPayload(field, &recall); err != nil {
		return run, "", fmt.Errorf("the memo of the rollout cannot be read: %w", err)
	}
	return run, recall, nil
}

// recallCheck lets the writes of one attempt depend on the rollout of their server. Nil, or without a rollout, it lets
// every write pass.
type recallCheck struct {
	rollout  api.RolloutRef
	serverID string
	recalled error // set when the rollout has taken the server back: nothing was sent
}

func (c *recallCheck) applies() bool { return c != nil && c.rollout.WorkflowID != "" }

// context returns the context of a write. The rollout is asked when the write has its turn: it may have waited long.
// Touched is true for a server that was stopped for its change.
func (c *recallCheck) context(ctx context.Context, s site, touched bool) context.Context {
	if !c.applies() {
		return ctx
	}
	return ecs.WithWriteCheck(ctx, func(ctx context.Context) (time.Time, error) { return c.check(ctx, s, touched) })
}

// check returns until when the write may begin. No answer in time means that nothing is sent.
func (c *recallCheck) check(ctx context.Context, s site, touched bool) (time.Time, error) {
	recall, asked, err := s.recalls.ask(ctx, s.Temporal, c.rollout)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("Temporal does not say whether %s goes on: %w", c.rollout.WorkflowID, err)
	case recall.Includes(touched):
		c.recalled = recalled(c.serverID, c.rollout, recall)
		return time.Time{}, c.recalled
	}
	return asked.Add(recallValid), nil
}

// early ends an attempt whose server was taken back before it looks at the cloud. Without an answer the attempt goes on:
// its write asks again.
func (c *recallCheck) early(ctx context.Context, s site, touched bool) error {
	if c.applies() {
		_, _ = c.check(ctx, s, touched)
	}
	return c.outcome()
}

// outcome is the error of an attempt whose server was taken back, nil of any other.
func (c *recallCheck) outcome() error {
	if c == nil {
		return nil
	}
	return c.recalled
}

func recalled(serverID string, ref api.RolloutRef, recall rollout.Recall) error {
	why := "was aborted, is over its budget or has ended"
	if recall == rollout.RecallUntouched {
		why = "is paused, or waits for the verdict on a server that may have failed"
	}
	return recalledError(fmt.Sprintf("nothing was sent to server %s: %s %s", serverID, ref.WorkflowID, why))
}

func recalledError(message string, details ...any) error {
	return temporal.NewApplicationErrorWithOptions(message, api.ErrRecalled, temporal.ApplicationErrorOptions{
		NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign, Details: details,
	})
}

// recalledAfter adds to the end of an attempt whether the server was touched before that.
func recalledAfter(err error, touched bool) error { return recalledError(messageOf(err), touched) }

func messageOf(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	return err.Error()
}

// isRecalled is true for the end of an attempt whose server was taken back.
func isRecalled(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.Type() == api.ErrRecalled
}
