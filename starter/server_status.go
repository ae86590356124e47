package main

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/pending"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
)

type serverStatusOptions struct {
	wait      bool
	output    outputFormat
	taskQueue string
}

func newServerStatusCommand(io streams) *cobra.Command {
	var o serverStatusOptions
	cmd := &cobra.Command{
		Use:   "status ID",
		Short: "Show how far the change of a server is, or how it ended",
		Long:  "Show how far the latest change of a server is, or how it ended.\n" + exitCodes,
		Args:  takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.output.oneObject(io, func(io streams) error { return runServerStatus(cmd.Context(), io, o, args[0]) })
		},
	}
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait for the end and show the steps")
	addOutputFlag(cmd.Flags(), &o.output)
	addTaskQueueFlag(cmd.Flags(), &o.taskQueue)
	return cmd
}

func runServerStatus(ctx context.Context, io streams, o serverStatusOptions, serverID string) error {
	if err := validServerID(serverID); err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	latest, err := s.latest(ctx, serverID)
	if err != nil {
		return err
	}
	execution := latest.GetExecution()
	run := s.client.GetWorkflow(ctx, execution.GetWorkflowId(), execution.GetRunId())
	if waits := s.queuedDismissal(ctx, execution.GetWorkflowId()); waits != "" {
		safetext.Fprintf(io.err, "there is %s\n", waits)
	}
	switch {
	case latest.GetCloseTime() != nil:
		result, err := outcome(ctx, run)
		ended := make(chan struct{})
		close(ended)
		s.showSteps(ctx, io, run, ended)
		err = o.output.told(io, result, err)
		s.printPending(ctx, io, execution.GetWorkflowId())
		return err
	case o.wait:
		return s.follow(ctx, io, o.output, run)
	}
	if err := s.requireWorker(ctx); err != nil {
		return fmt.Errorf("workflow %s is running and waits for a worker: %w", run.GetID(), err)
	}
	status, err := s.status(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return fmt.Errorf("workflow %s is running but does not answer: %w", run.GetID(), err)
	}
	if o.output == outputJSON {
		return printJSON(io, status)
	}
	now, of := status.Now(), ""
	if parent := latest.GetParentExecution().GetWorkflowId(); parent != "" {
		of = " of " + strings.Replace(parent, "rollout/", "rollout ", 1)
	}
	safetext.Fprintf(io.out, "%s (%s)%s: %s since %s %s\n", status.Name, serverID, of, now.Step, timestamp.Full(now.At), about(now, status))
	return nil
}

// printPending names the changes that were not seen to their end. The latest run may be one that was refused because of them.
func (s *session) printPending(ctx context.Context, io streams, lockID string) {
	found, err := pending.Of(ctx, s.client, lockID, "")
	if err != nil {
		safetext.Fprintf(io.err, "whether an earlier change may still come is unknown: %v\n", err)
	}
	for _, change := range found.Pending {
		when := "when its workflow ended"
		if !change.Result.EndedAt.IsZero() {
			when = "at " + timestamp.Full(change.Result.EndedAt)
		}
		safetext.Fprintf(io.err, "%s (workflow %s, run %s) was not seen to its end, as judged %s; whether it has come since, or still may: reimage doctor --server %s\n", jobOf(change), lockID, change.RunID, when, path.Base(lockID))
	}
}

// latest finds the newest change or dismissal of a server. The workflow id holds the project, which only workers know, so it is
// looked for by its end.
func (s *session) latest(ctx context.Context, serverID string) (*workflow.WorkflowExecutionInfo, error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 100, // the change is mostly a recent one, and a busy Temporal may not answer a long page in time
		Query:    fmt.Sprintf("WorkflowType = '%s' OR WorkflowType = '%s' AND ExecutionStatus = 'Completed'", api.ChangeOSName, api.DismissChangeName),
	}
	for {
		page, err := s.listPage(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("the changes cannot be listed: %w", err)
		}
		for _, execution := range page.GetExecutions() { // newest first
			isCheck := execution.GetType().GetName() == api.DismissChangeName && len(execution.GetMemo().GetFields()) == 0
			if strings.HasSuffix(execution.GetExecution().GetWorkflowId(), "/"+serverID) && !isCheck {
				return execution, nil
			}
		}
		if len(page.GetNextPageToken()) == 0 {
			return nil, fmt.Errorf("no change of server %s is known to this Temporal namespace (whether a rollout will change it tells: reimage status NAME)", serverID)
		}
		request.NextPageToken = page.GetNextPageToken()
	}
}

// listPage lists a page of workflows. A busy Temporal may not answer in the time of one call, so it is asked three times.
func (s *session) listPage(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (page *workflowservice.ListWorkflowExecutionsResponse, err error) {
	for range 3 {
		page, err = s.client.ListWorkflow(ctx, request)
		if err == nil || ctx.Err() != nil || !isLate(err) {
			break
		}
	}
	return page, err
}
