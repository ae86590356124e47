package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/workflows"
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
		Use:   "forget ID",
		Short: "Say that nothing comes any more of a change that was not seen to its end",
		Long: `Say that nothing comes any more of the latest change of a server, which was not seen to
its end. While it may still come, because its job is not over or the cloud's answer was
lost, no other change of the server is sent: both could come, and the second would
destroy what the first has made. The job of an order that was not paid stays as it is
when the order is cancelled, so the cloud never tells; you do.

Cancel the order first, in the cloud's console. The server is left as it is.
` + exitCodes,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runServerForget(cmd.Context(), io, o, args[0])
		},
	}
	cmd.Flags().StringVar(&o.by, "by", currentUser(), "`who` says so, for the history of the server")
	cmd.Flags().StringVar(&o.comment, "comment", "", "`why`, for the history of the server")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for consent")
	addOutputFlag(cmd.Flags(), &o.output)
	addTaskQueueFlag(cmd.Flags(), &o.taskQueue)
	return cmd
}

func runServerForget(ctx context.Context, io streams, o serverForgetOptions, serverID string) error {
	if err := errors.Join(validServerID(serverID), validBy(o.by)); err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	latest, err := s.latest(ctx, serverID)
	if err != nil {
		return fmt.Errorf("nothing to forget: %w", err)
	}
	lockID := latest.GetExecution().GetWorkflowId()
	if latest.GetCloseTime() == nil {
		return fmt.Errorf("server %s is being changed, and its workflow sees to it: look with: reimage server status %s", serverID, serverID)
	}
	in, err := s.toForget(ctx, lockID, serverID)
	if err != nil {
		return err
	}
	if err := s.requireWorker(ctx); err != nil {
		return err
	}
	if !o.yes {
		fmt.Fprintf(io.err, "%s: %s: %s\nShould it come all the same, it destroys the system disk that the server has then.\n", named(in.Last), job(in.Last), safetext.Line(in.Last.Reason))
		if err := consent(ctx, io, "if nothing comes of this change any more (an unpaid order: it is cancelled)"); err != nil {
			return err
		}
	}
	in.By, in.Comment = safetext.Line(o.by), safetext.Line(o.comment)
	result, err := s.forget(ctx, lockID, in)
	if err != nil {
		return err
	}
	if err := o.output.result(io, result); err != nil || o.output == outputJSON {
		return err
	}
	_, err = fmt.Fprintf(io.out, "the server is left as it is; next: reimage server %s --image ID, or reimage retry ROLLOUT %s\n", serverID, serverID)
	return err
}

// toForget are the changes that were not seen to their end.
func (s *session) toForget(ctx context.Context, lockID, serverID string) (activities.ForgetChangeInput, error) {
	in := activities.ForgetChangeInput{Project: path.Base(path.Dir(lockID))}
	sent, err := activities.SentTo(ctx, s.client, lockID, "")
	switch latest := sent.Latest; {
	case err != nil:
		return in, err
	case latest == nil:
		return in, fmt.Errorf("nothing to forget: no change of server %s was sent to the cloud", serverID)
	case len(sent.Open) > 0:
	case latest.Over():
		return in, fmt.Errorf("nothing to forget: the latest change of %s ended as %s: %s", named(*latest.Result), latest.Result.End, safetext.Line(latest.Result.Reason))
	default:
		return in, fmt.Errorf("nothing to forget: the latest change of server %s is forgotten already: see: reimage server status %s", serverID, serverID)
	}
	for _, open := range sent.Open {
		in.Runs, in.JobID, in.Change = append(in.Runs, open.RunID), open.JobID, open.Change
	}
	if in.Last = (rollout.ServerResult{ServerID: serverID, JobID: sent.Open[0].JobID, Reason: "its workflow left no result", Before: sent.Open[0].Before}); sent.Open[0].Result != nil {
		in.Last = *sent.Open[0].Result
	}
	return in, nil
}

// job names the job of a change, if there is one that is known.
func job(of rollout.ServerResult) string {
	if of.JobID == "" {
		return "no known job"
	}
	return "job " + of.JobID
}

// forget notes that nothing comes of the change any more, under the lock on its server.
func (s *session) forget(ctx context.Context, lockID string, in activities.ForgetChangeInput) (rollout.ServerResult, error) {
	var result rollout.ServerResult
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       lockID,
		TaskQueue:                                s.taskQueue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowExecutionTimeout:                 checkTimeout,
		StaticSummary:                            fmt.Sprintf("forget %s of %s", job(in.Last), in.Last.ServerID),
	}, workflows.ForgetChangeName, in)
	if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
		return result, fmt.Errorf("server %s is being changed by now: look with: reimage server status %s", in.Last.ServerID, in.Last.ServerID)
	}
	if err != nil {
		return result, fmt.Errorf("whether the change of server %s is forgotten is not known, say it again: %w", in.Last.ServerID, err)
	}
	if err := run.Get(ctx, &result); err != nil {
		return result, fmt.Errorf("the change of server %s is not forgotten: %s", in.Last.ServerID, said(err))
	}
	s.awaitListing(ctx, in.Last.ServerID, run.GetRunID())
	return result, nil
}

// awaitListing waits until Temporal's list, in which a retry finds earlier runs, shows the run. It trails a moment behind,
// and a retry that comes before is refused once more.
func (s *session) awaitListing(ctx context.Context, serverID, runID string) {
	for patience := time.Now().Add(listingPatience); time.Now().Before(patience); {
		latest, err := s.latest(ctx, serverID)
		if err != nil || latest.GetExecution().GetRunId() == runID {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listingPatience / 10):
		}
	}
}

// listingPatience is longer than Temporal's list ever trails behind on a sound server.
const listingPatience = 10 * time.Second
