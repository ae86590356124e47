package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout/spec"
)

// The visibility queries. A run that continued as new is not a rollout of its own.
const (
	allRollouts     = "WorkflowType = '" + api.RolloutName + "' AND WorkflowId STARTS_WITH '" + api.RolloutIDPrefix + "' AND ExecutionStatus != 'ContinuedAsNew'"
	runningRollouts = allRollouts + " AND ExecutionStatus = 'Running'"
	endedRollouts   = allRollouts + " AND ExecutionStatus != 'Running'"
)

// executions lists workflows, newest first, at most so many.
func (s *session) executions(ctx context.Context, query string, most int) ([]*workflow.WorkflowExecutionInfo, error) {
	var all []*workflow.WorkflowExecutionInfo
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: int32(min(most, 1000))}
	for {
		page, err := s.listPage(ctx, request)
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
	return strings.TrimPrefix(info.GetExecution().GetWorkflowId(), api.RolloutIDPrefix)
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
	if close := spec.Near(name, names); len(close) > 0 {
		return fmt.Errorf("%w; near: %s", err, strings.Join(close, ", "))
	}
	return fmt.Errorf("%w; see: reimage list", err)
}
