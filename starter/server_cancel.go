package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
)

func newServerCancelCommand(io streams) *cobra.Command {
	var taskQueue, reason string
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel the change of a server while its disk is still there",
		Long: `Cancel the change of a server while its disk is still there: the server gets its
power back. Once the change is submitted a cancel comes too late, and the change is
carried to its end, because a server without its disk helps nobody.
` + exitCodes,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runServerCancel(cmd.Context(), io, taskQueue, args[0], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for whoever reads the history")
	addTaskQueueFlag(cmd.Flags(), &taskQueue)
	return cmd
}

func runServerCancel(ctx context.Context, io streams, taskQueue, serverID, reason string) error {
	if err := validServerID(serverID); err != nil {
		return err
	}
	s, err := dial(ctx, taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	latest, err := s.latest(ctx, serverID)
	if err != nil {
		return fmt.Errorf("nothing to cancel: %w", err)
	}
	execution := latest.GetExecution()
	if latest.GetCloseTime() != nil {
		return fmt.Errorf("nothing to cancel: the last change of server %s ended at %s; see: reimage server status %s",
			serverID, timestamp.Full(latest.GetCloseTime().AsTime()), serverID)
	}
	if late := tooLate(s.statusSoon(ctx, execution.GetWorkflowId(), execution.GetRunId()), serverID); late != "" {
		return fmt.Errorf("too late, nothing more can be cancelled: %s; see what comes of it with: reimage server status %s --wait", late, serverID)
	}
	// The run id is pinned: a later change of the same server is not the one that was meant.
	err = s.client.CancelWorkflowWithOptions(ctx, client.CancelWorkflowOptions{
		WorkflowID: execution.GetWorkflowId(), RunID: execution.GetRunId(), Reason: reason,
	})
	if err != nil {
		return fmt.Errorf("workflow %s could not be cancelled: %w", execution.GetWorkflowId(), err)
	}
	fmt.Fprintf(io.out, "cancel requested for workflow %s. Once the change has been submitted it is too late, and the server is carried to its end; see what came of it with: reimage server status %s --wait\n", execution.GetWorkflowId(), serverID)
	return nil
}

// statusSoon is the status, or none where no worker tells it at once. Then nobody knows whether it is too late, and to
// ask for a cancel harms nothing: the change goes on meanwhile.
func (s *session) statusSoon(ctx context.Context, workflowID, runID string) api.Status {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	status, err := s.status(ctx, workflowID, runID)
	if err != nil {
		return api.Status{}
	}
	return status
}

// tooLate says why a cancel would have no effect, "" when it may have one.
func tooLate(status api.Status, serverID string) string {
	if status.AwaitsPayment() {
		return fmt.Sprintf("the change of %s is submitted and begins when its order is paid. Cancel the order in the cloud's console; "+
			"its job does not show that, so the change is judged at %s; then say so with: reimage server forget %s", safetext.Line(status.Name), atDeadline(status.Deadline), serverID)
	}
	now, why := status.Now(), ""
	switch now.Step {
	case api.StepSubmit, api.StepWait, api.StepProve:
		why = "has been submitted or is about to be, and the server is carried to its end"
	case api.StepLeave, api.StepEnded:
		why = "is over, and the server is only left as it should be"
	default:
		return ""
	}
	return fmt.Sprintf("the change of %s %s (%s)", safetext.Line(status.Name), why, strings.TrimSpace(string(now.Step)+" "+safetext.Line(about(now, status))))
}
