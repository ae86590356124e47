package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
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
		Short: "Dismiss the pending changes of servers, because you know that they are over",
		Long: `Dismiss the pending changes of these servers: those that were not seen to their end,
because the job is not over or the cloud's answer was lost. While a change is pending,
no other change of its server is sent: both could be applied, and the second would
destroy what the first has made. The job of an order that was not paid stays as it is
when the order is cancelled, so only you can know that it is over.

Cancel the order first, in the cloud's console. The servers are left as they are.
` + exitCodes,
		Args: takes(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.output.oneObject(io, func(io streams) error { return runServerForget(cmd.Context(), io, o, args) })
		},
	}
	cmd.Flags().StringVar(&o.by, "by", currentUser(), "`who` dismisses them, for the history of the server")
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
	found := make([]api.DismissChangeInput, len(serverIDs))
	err = allOrNone(len(found), func(i int) (err error) { found[i], err = s.findPending(ctx, serverIDs[i]); return err })
	if err == nil {
		err = s.requireWorker(ctx)
	}
	if err == nil && !o.yes { // without a question, the dismissal itself is refused
		err = allOrNone(len(found), func(i int) error {
			check := found[i]
			check.CheckOnly = true
			return s.dismiss(ctx, io, check, new(rollout.ServerResult))
		})
	}
	if err != nil {
		return err
	}
	for _, in := range found {
		for _, change := range in.Changes {
			safetext.Fprintf(io.err, "%s: %s, run %s: %s\n", named(change.Result), jobOf(change), change.RunID, cmp.Or(change.Result.Reason, "its workflow left no result"))
		}
	}
	if !o.yes {
		fmt.Fprintln(io.err, "A change that is applied all the same destroys the system disk that its server has then.")
		if err := consent(ctx, io, "if nothing more comes of them (an unpaid order: it is cancelled)"); err != nil {
			return err
		}
	}
	errs = nil
	for _, in := range found {
		in.By, in.Comment = safetext.Line(o.by), safetext.Line(o.comment)
		var result rollout.ServerResult
		err := s.dismiss(ctx, io, in, &result)
		if err == nil {
			err = o.output.result(io, result)
		} else if o.output == outputJSON && len(found) > 1 {
			err = errors.Join(err, printJSON(io, map[string]string{"server_id": in.ServerID, "error": safetext.Lines(err.Error())}))
		}
		if err == nil && o.output != outputJSON {
			_, err = fmt.Fprintf(io.out, "the server is left as it is; next: reimage server %[1]s --image ID, or reimage retry ROLLOUT %[1]s (reimage resume ROLLOUT, when it is to be tried again already)\n", in.ServerID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// allOrNone does something for each of n servers. When it fails for one, the change of none is dismissed.
func allOrNone(n int, do func(i int) error) error {
	var errs []error
	for i := range n {
		errs = append(errs, do(i))
	}
	err := errors.Join(errs...)
	if err != nil && n > 1 {
		err = fmt.Errorf("none of them is forgotten:\n%w", err)
	}
	return err
}

// jobOf names the job of a change, if it is known.
func jobOf(change api.PendingChange) string {
	if change.Result.JobID == "" {
		return "no known job"
	}
	return "job " + change.Result.JobID
}

// findPending finds the pending changes of a server.
func (s *session) findPending(ctx context.Context, serverID string) (api.DismissChangeInput, error) {
	in := api.DismissChangeInput{ServerID: serverID}
	latest, err := s.latest(ctx, serverID)
	if err != nil {
		return in, fmt.Errorf("nothing to forget: %w", err)
	}
	lockID := latest.GetExecution().GetWorkflowId()
	found, err := pending.Of(ctx, s.client, lockID, "")
	switch {
	case err != nil:
		return in, err
	case found.Locked:
		return in, s.lockedBy(ctx, lockID)
	case len(found.Pending) == 0:
		return in, fmt.Errorf("nothing to forget: server %[1]s has no pending change; see its last result with: reimage server status %[1]s", serverID)
	}
	in.Project, in.Changes = path.Base(path.Dir(lockID)), found.Pending
	return in, nil
}

// lockedBy is the error for a server that a workflow locks, which may be another dismissal.
func (s *session) lockedBy(ctx context.Context, lockID string) error {
	serverID := path.Base(lockID)
	if waits := s.queuedDismissal(ctx, lockID); waits != "" {
		return fmt.Errorf("server %s is locked by %s; it ends after %.0f minutes at the latest", serverID, waits, checkTimeout.Minutes())
	}
	until := ""
	if status := s.statusSoon(ctx, lockID, ""); status.AwaitsPayment() {
		until = ", waits for its payment, and is judged at " + atDeadline(status.Deadline) + "; not before can it be forgotten"
	}
	return fmt.Errorf("server %[1]s is held by a workflow that is under way%s: look with: reimage server status %[1]s", serverID, until)
}

// queuedDismissal describes the dismissal that locks a server. Empty for none.
func (s *session) queuedDismissal(ctx context.Context, lockID string) string {
	described, err := s.client.DescribeWorkflowExecution(ctx, lockID, "")
	info := described.GetWorkflowExecutionInfo()
	if err != nil || info.GetType().GetName() != api.DismissChangeName || !pending.IsRunning(info) {
		return ""
	}
	state := "is being checked"
	if len(waiting(described)) > 0 {
		state = "waits for a worker"
	}
	return fmt.Sprintf("a dismissal of its pending change, which %s since %s (workflow %s, run %s)", state, timestamp.Full(info.GetStartTime().AsTime()), lockID, pending.RunID(info))
}

// dismiss has a worker dismiss the changes, under the lock on their server, or only check whether it would.
func (s *session) dismiss(ctx context.Context, io streams, in api.DismissChangeInput, result *rollout.ServerResult) error {
	lockID := api.ChangeOSID(in.Project, in.ServerID)
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: lockID, TaskQueue: s.taskQueue, WorkflowExecutionTimeout: checkTimeout,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: fmt.Sprintf("dismiss %s of %s", jobOf(in.Changes[0]), in.ServerID),
	}, api.DismissChangeName, in)
	if err == nil {
		err = s.await(ctx, run, io.err, result)
	}
	_, isLocked := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	_, isRefused := errors.AsType[*temporal.WorkflowExecutionError](err)
	switch {
	case isLocked:
		return s.lockedBy(ctx, lockID)
	case err != nil && (in.CheckOnly || isRefused || declined(err) || errors.Is(err, errUnserved)):
		return fmt.Errorf("the change of server %s is not forgotten: %s", in.ServerID, said(err))
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("stopped waiting; the dismissal stays queued for %.0f minutes and is carried out when a worker is available; look with: reimage server status %s", checkTimeout.Minutes(), in.ServerID)
	case err != nil:
		return fmt.Errorf("whether the change of server %[1]s is forgotten is not known (%[2]w); repeat it: reimage server forget %[1]s", in.ServerID, err)
	}
	// Plans read Temporal's list. One that is made before the list has the dismissal is refused once more.
	_, _ = pending.Of(ctx, s.client, lockID, "")
	return nil
}
