package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/rollout/spec"
	"github.com/reimage/reimage/workflows"
)

// The visibility queries. A run that continued as new is not a rollout of its own.
const (
	allRollouts     = "WorkflowType = '" + workflows.RolloutName + "' AND WorkflowId STARTS_WITH '" + workflows.RolloutIDPrefix + "' AND ExecutionStatus != 'ContinuedAsNew'"
	runningRollouts = allRollouts + " AND ExecutionStatus = 'Running'"
	endedRollouts   = allRollouts + " AND ExecutionStatus != 'Running'"
)

// executions lists workflows, newest first, at most so many.
func (s *session) executions(ctx context.Context, query string, most int) ([]*workflow.WorkflowExecutionInfo, error) {
	var all []*workflow.WorkflowExecutionInfo
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: int32(min(most, 1000))}
	for {
		page, err := s.client.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("the rollouts cannot be listed: %w", err)
		}
		all = append(all, page.GetExecutions()...)
		if len(all) >= most {
			return all[:most], nil
		}
		if len(page.GetNextPageToken()) == 0 {
			return all, nil
		}
		request.NextPageToken = page.GetNextPageToken()
	}
}

// nameOf is the name of the rollout that a workflow carries out.
func nameOf(info *workflow.WorkflowExecutionInfo) string {
	return strings.TrimPrefix(info.GetExecution().GetWorkflowId(), workflows.RolloutIDPrefix)
}

// mostNames bounds the names that are looked through for a near one, or offered as completions.
const mostNames = 1000

// names are the names of rollouts, sorted.
func (s *session) names(ctx context.Context, query string) ([]string, error) {
	found, err := s.executions(ctx, query, mostNames)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range found {
		names = append(names, nameOf(info))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// unknownRollout is the error for a name that no rollout has.
func (s *session) unknownRollout(ctx context.Context, name string) error {
	err := fmt.Errorf("no rollout %s is known to this Temporal namespace", name)
	names, listErr := s.names(ctx, allRollouts)
	if listErr != nil {
		return err
	}
	if close := near(name, names); len(close) > 0 {
		return fmt.Errorf("%w; near: %s", err, strings.Join(close, ", "))
	}
	return fmt.Errorf("%w; see: reimage list", err)
}

// near are at most five names that somebody may have meant, the nearest first.
func near(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var close []candidate
	for _, other := range names {
		d := spec.Distance(strings.ToLower(name), strings.ToLower(other))
		if d <= max(1, len(name)/3) || strings.Contains(other, name) || strings.Contains(name, other) {
			close = append(close, candidate{other, d})
		}
	}
	slices.SortStableFunc(close, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var nearest []string
	for _, c := range close[:min(5, len(close))] {
		nearest = append(nearest, c.name)
	}
	return nearest
}
