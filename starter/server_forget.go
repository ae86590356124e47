package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

type serverForgetOptions struct {
	by, comment string
	yes         bool
	output      outputFormat
	taskQueue   string
}

func newServerForgetCommand(io streams) *cobra.Command {
	var o serverForgetOptions
	cmd := &cobra.Command{
		Use:   "forget ID...",
		Short: "Say that nothing comes any more of changes that were not seen to their end",
		Long: `Say that nothing comes any more of the changes of these servers that were not seen to
their end. While one may still come, because its job is not over or the cloud's answer
was lost, no other change of its server is sent: both could come, and the second would
destroy what the first has made. The job of an order that was not paid stays as it is
when the order is cancelled, so the cloud never tells; you do.

Cancel the order first, in the cloud's console. The servers are left as they are.
` + exitCodes,
		Args: takes(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.output.oneObject(io, func(io streams) error { return runServerForget(cmd.Context(), io, o, args) })
		},
	}
	cmd.Flags().StringVar(&o.by, "by", currentUser(), "`who` says so, for the history of the server")
	cmd.Flags().StringVar(&o.comment, "comment", "", "`why`, for the history of the server")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for consent")
	addOutputFlag(cmd.Flags(), &o.output)
	addTaskQueueFlag(cmd.Flags(), &o.taskQueue)
	return cmd
}

func runServerForget(ctx context.Context, io streams, o serverForgetOptions, serverIDs []string) error {
	errs := []error{validBy(o.by)}
	for _, id := range serverIDs {
		errs = append(errs, validServerID(id))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	serverIDs = slices.Compact(slices.Sorted(slices.Values(serverIDs)))
	words := make([]word, len(serverIDs))
	errs = nil
	for i, id := range serverIDs {
		words[i], err = s.toForget(ctx, id)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		if len(serverIDs) > 1 {
			err = fmt.Errorf("none of them is forgotten:\n%w", err)
		}
		return err
	}
	if err := s.requireWorker(ctx); err != nil {
		return err
	}
	if err := s.checkDismissals(ctx, io, o, words); err != nil {
		return err
	}
	for _, w := range words {
		fmt.Fprint(io.err, w.shown())
	}
	if !o.yes {
		fmt.Fprintln(io.err, "One that comes all the same destroys the system disk that its server has then.")
		if err := consent(ctx, io, "if nothing more comes of them (an unpaid order: it is cancelled)"); err != nil {
			return err
		}
	}
	errs = nil
	for _, w := range words {
		w.in.By, w.in.Comment = safetext.Line(o.by), safetext.Line(o.comment)
		err := s.forget(ctx, io, o.output, w)
		if err != nil && o.output == outputJSON && len(words) > 1 {
			err = errors.Join(err, printJSON(io, struct {
				ServerID string `json:"server_id"`
				Error    string `json:"error"`
			}{w.in.Last.ServerID, safetext.Lines(err.Error())}))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// word is what a human is about to say of a server.
type word struct {
	lockID string
	in     api.ForgetChangeInput
	open   []activities.SentChange
}

// shown is one line for each change.
func (w word) shown() string {
	var text strings.Builder
	for _, change := range w.open {
		why := "its workflow left no result"
		switch {
		case change.Unreadable != "":
			why = change.Unreadable
		case change.Result != nil:
			why = change.Result.Reason
		}
		fmt.Fprintf(&text, "%s: %s, run %s: %s\n", named(w.in.Last), jobOf(change), change.RunID, safetext.Line(why))
	}
	return text.String()
}

// jobOf names the job of a change, if there is one that is known.
func jobOf(change activities.SentChange) string {
	if change.JobID == "" {
		return "no known job"
	}
	return "job " + change.JobID
}

// toForget are the changes of a server that were not seen to their end.
func (s *session) toForget(ctx context.Context, serverID string) (word, error) {
	latest, err := s.latest(ctx, serverID)
	if err != nil {
		return word{}, fmt.Errorf("nothing to forget: %w", err)
	}
	w := word{lockID: latest.GetExecution().GetWorkflowId()}
	if latest.GetCloseTime() == nil {
		return w, s.busyBy(ctx, w.lockID, serverID)
	}
	sent, err := activities.SentTo(ctx, s.client, w.lockID, "")
	w.open = sent.Open
	switch {
	case err != nil:
		return w, err
	case sent.Held:
		return w, s.busyBy(ctx, w.lockID, serverID)
	case len(w.open) == 0:
		return w, fmt.Errorf("nothing to forget: no change of server %s that was sent to the cloud waits for a word; how the latest ended tells: reimage server status %s", serverID, serverID)
	}
	w.in = sent.Forget(path.Base(path.Dir(w.lockID)), serverID)
	return w, nil
}

// busyBy names the workflow that holds a server, which may be another word.
func (s *session) busyBy(ctx context.Context, lockID, serverID string) error {
	if w := s.pendingWord(ctx, lockID); w != "" {
		return fmt.Errorf("server %s is held by an earlier word that %s; it ends after %.0f minutes at the latest", serverID, w, checkTimeout.Minutes())
	}
	until := ""
	if status := s.statusSoon(ctx, lockID, ""); status.AwaitsPayment() {
		until = ", waits for its payment, and is judged at " + atDeadline(status.Deadline) + "; not before can it be forgotten"
	}
	return fmt.Errorf("server %s is held by a workflow that is under way%s: look with: reimage server status %s", serverID, until, serverID)
}

// pendingWord tells of the word that holds a server. Empty for none.
func (s *session) pendingWord(ctx context.Context, lockID string) string {
	described, err := s.client.DescribeWorkflowExecution(ctx, lockID, "")
	info := described.GetWorkflowExecutionInfo()
	if err != nil || info.GetType().GetName() != api.ForgetChangeName || info.GetCloseTime() != nil {
		return ""
	}
	stands := "is being judged"
	if len(waiting(described)) > 0 {
		stands = "waits for a worker"
	}
	return fmt.Sprintf("nothing comes of its change any more, which %s since %s (workflow %s, run %s)",
		stands, timestamp.Full(info.GetStartTime().AsTime()), lockID, info.GetExecution().GetRunId())
}

// checkDismissals refuses what the workers would refuse, before anybody is asked for consent. Without a question the workers
// refuse it themselves.
func (s *session) checkDismissals(ctx context.Context, io streams, o serverForgetOptions, words []word) error {
	if o.yes {
		return nil
	}
	var refusals []error
	for _, w := range words {
		refusals = append(refusals, s.checkDismissal(ctx, io, w))
	}
	err := errors.Join(refusals...)
	if err != nil && len(words) > 1 {
		err = fmt.Errorf("none of them is forgotten:\n%w", err)
	}
	return err
}

func (s *session) checkDismissal(ctx context.Context, io streams, w word) error {
	serverID := w.in.Last.ServerID
	run, err := s.startLocked(ctx, w, api.CheckDismissalName, "check whether it may be forgotten: ")
	if err == nil {
		err = s.await(ctx, run, io.err, nil)
	}
	_, isBusy := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	switch {
	case err == nil:
		return nil
	case isBusy:
		return s.busyBy(ctx, w.lockID, serverID)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped waiting; the change of server %s is not forgotten", serverID)
	}
	return fmt.Errorf("the change of server %s is not forgotten: %s", serverID, said(err))
}

// startLocked starts a workflow under the lock on the server.
func (s *session) startLocked(ctx context.Context, w word, name, summary string) (client.WorkflowRun, error) {
	return s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       w.lockID,
		TaskQueue:                                s.taskQueue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowExecutionTimeout:                 checkTimeout,
		StaticSummary:                            fmt.Sprintf("%s%s of %s", summary, jobOf(w.open[0]), w.in.Last.ServerID),
	}, name, w.in)
}

// forget notes that nothing comes of the changes any more, under the lock on their server.
func (s *session) forget(ctx context.Context, io streams, output outputFormat, w word) error {
	serverID := w.in.Last.ServerID
	run, err := s.startLocked(ctx, w, api.ForgetChangeName, "forget ")
	if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
		return s.busyBy(ctx, w.lockID, serverID)
	}
	var result rollout.ServerResult
	if err == nil {
		err = s.await(ctx, run, io.err, &result)
	}
	switch _, refused := errors.AsType[*temporal.WorkflowExecutionError](err); {
	case refused || declined(err) || errors.Is(err, errUnserved):
		return fmt.Errorf("the change of server %s is not forgotten: %s", serverID, said(err))
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped waiting; the word stands for %.0f minutes and is taken when a worker comes meanwhile; look with: reimage server status %s", checkTimeout.Minutes(), serverID)
	case err != nil:
		return fmt.Errorf("whether the change of server %s is forgotten is not known (%w); say it again: reimage server forget %s", serverID, err, serverID)
	}
	// Plans find it in Temporal's list. One that comes before is refused once more.
	_ = activities.AwaitListed(ctx, s.client, w.lockID, run.GetRunID())
	if err := output.result(io, result); err != nil || output == outputJSON {
		return err
	}
	_, err = fmt.Fprintf(io.out, "the server is left as it is; next: reimage server %s --image ID, or reimage retry ROLLOUT %s (reimage resume ROLLOUT, when it is to be tried again already)\n", serverID, serverID)
	return err
}
