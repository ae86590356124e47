package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

type listOptions struct {
	most   int
	output outputFormat
}

func newListCommand(io streams) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List rollouts, the running ones first",
		Long:  "List the rollouts of the Temporal namespace: the running ones first, then those that\nended, newest first.\n" + exitCodes,
		Args:  takes(0, 0),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), io, o) },
	}
	cmd.Flags().IntVar(&o.most, "limit", 50, "`number` of rollouts that are listed at most")
	addFormatFlag(cmd.Flags(), &o.output)
	return cmd
}

// listed is a rollout in the list.
type listed struct {
	Name       string `json:"name"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// State is the phase, or how the rollout ended. A running one that does not answer is unknown, and one
	// whose workflow did not end by itself is terminated, failed, canceled or timed-out.
	State string `json:"state"`
	// Project and Profile are told by running rollouts.
	Project    string             `json:"project,omitempty"`
	Profile    string             `json:"profile,omitempty"`
	End        rollout.RolloutEnd `json:"end,omitempty"`
	Why        string             `json:"why,omitempty"`
	NeedsHuman bool               `json:"needs_human,omitempty"`
	Counts     *rollout.Counts    `json:"counts,omitempty"` // unless they are not known
	StartedAt  time.Time          `json:"started_at"`
	EndedAt    time.Time          `json:"ended_at,omitzero"`
}

func runList(ctx context.Context, io streams, o listOptions) error {
	if o.most < 1 {
		return fmt.Errorf("--limit %d is less than one rollout", o.most)
	}
	s, err := dial(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	found, err := s.executions(ctx, runningRollouts, o.most)
	if err != nil {
		return err
	}
	if rest := o.most - len(found); rest > 0 {
		ended, err := s.executions(ctx, endedRollouts, rest)
		if err != nil {
			return err
		}
		found = append(found, ended...)
	}
	all := s.lookAll(ctx, found)
	if ctx.Err() != nil {
		return ctx.Err() // rather than a list of rollouts that seem not to answer
	}
	if o.output == outputJSON {
		return printJSON(io, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.out, "no rollouts")
		return nil
	}
	table := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tSTARTED\tENDED\tSERVERS\tWHY")
	seen := map[string]bool{}
	for _, l := range all {
		why := l.Why
		if seen[l.Name] { // the latest of a name is known by the name
			why = strings.TrimSpace("earlier: --run " + l.RunID + " " + why)
		}
		seen[l.Name] = true
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", safetext.Line(l.Name), l.word(), timestamp.Full(l.StartedAt), cmp.Or(timestamp.Full(l.EndedAt), "-"), l.counts(), safetext.Line(why))
	}
	return table.Flush()
}

// word is the state for people: what matters of a running rollout that waits for a human is that.
func (l listed) word() string {
	if l.NeedsHuman && l.State == string(rollout.PhaseRunning) {
		return "waits for a human"
	}
	return l.State
}

func (l listed) counts() string {
	if l.Counts == nil {
		return "?"
	}
	return l.Counts.String()
}

// lookAll asks the rollouts how they stand, some at a time, and keeps their order.
func (s *session) lookAll(ctx context.Context, found []*workflow.WorkflowExecutionInfo) []listed {
	all := make([]listed, len(found))
	free := make(chan struct{}, askedAtOnce)
	var asked sync.WaitGroup
	for i, info := range found {
		free <- struct{}{}
		asked.Go(func() {
			defer func() { <-free }()
			all[i] = s.listed(ctx, info)
		})
	}
	asked.Wait()
	return all
}

// listed tells how a rollout stands: a running one itself, an ended one by its result.
func (s *session) listed(ctx context.Context, info *workflow.WorkflowExecutionInfo) listed {
	l := listed{
		Name: nameOf(info), WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(),
		State: statusWord(info.GetStatus()), StartedAt: info.GetStartTime().AsTime(),
	}
	run := &rolloutRun{session: s, name: l.Name, runID: l.RunID}
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		p, err := run.progress(ctx)
		if err != nil {
			l.State, l.Why = "unknown", "it does not answer: is a worker running?"
			return l
		}
		l.State, l.Why, l.NeedsHuman, l.Counts, l.StartedAt = string(p.Phase), p.Why, p.NeedsHuman, &p.Counts, p.StartedAt
		l.Project, l.Profile = p.Project, p.Profile
		return l
	}
	l.EndedAt = info.GetCloseTime().AsTime()
	result, err := run.result(ctx)
	switch {
	case err != nil && isBroken(err):
		l.Why = "its workflow did not end by itself, and the servers may have gone on since"
		return l
	case err != nil:
		l.Why = "how it ended cannot be asked: " + said(err)
		return l
	}
	l.State, l.End, l.Counts, l.StartedAt, l.EndedAt = string(result.End), result.End, &result.Counts, result.StartedAt, result.EndedAt
	return l
}
