package activities

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.temporal.io/api/workflow/v1"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// mayCome says why a change that was sent may still come to a server. Empty when none may.
func (s site) mayCome(ctx context.Context, open []SentChange, now rollout.Observation) (why string, err error) {
	for _, change := range slices.Backward(open) { // one with a job tells more
		if why, err = s.mayStillCome(ctx, change, now); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (s site) mayStillCome(ctx context.Context, sent SentChange, now rollout.Observation) (string, error) {
	switch {
	case sent.JobID == "" && sent.Unreadable != "":
		return fmt.Sprintf("it may have been sent, and what became of it cannot be read (run %s, %s)", sent.RunID, sent.Unreadable), nil
	case sent.JobID == "" && notSeenToCome(sent, now):
		return "it may have been sent, its job is not known, and it was not seen to come", nil
	case sent.JobID == "":
		return "", nil
	}
	s = s.about(sent.Change) // the cloud may repeat what it was sent then, and not now
	job, err := confirmMissing(ctx, s, func() (ecs.Job, error) { return s.Cloud.Job(ctx, sent.JobID) })
	switch {
	case isNotFound(err) && isAnswer(err) && (sent.Unreadable != "" || notSeenToCome(sent, now)): // jobs are deleted a day after their end; this one may be unpaid
		return fmt.Sprintf("the cloud no longer knows its job %s, and it was not seen to come", sent.JobID), nil
	case isNotFound(err) && isAnswer(err):
		return "", nil
	case isNotFound(err) || isAnswer(err): // or a page of somebody in between, which is no word on the job
		return fmt.Sprintf("of its job %s the cloud does not tell: %s", sent.JobID, err.Error()), nil
	case err != nil:
		return "", s.cloudError(ctx, err)
	case job.Final():
		return "", nil
	}
	return fmt.Sprintf("its job %s is %s", sent.JobID, job.Status), nil
}

// notSeenToCome is true unless its own workflow has seen it come, or the server has another disk now, and one that the
// change leaves.
func notSeenToCome(sent SentChange, now rollout.Observation) bool {
	return !sent.Came && (now.VolumeID == sent.Before.VolumeID || now.Foreign(sent.Before.Fingerprint, sent.Change.ImageID))
}

// unfinished notes which of the planned servers have an earlier change that is not over, or one that left them stopped;
// the latter also of those that are skipped because they run the image: nobody looks at them again.
// Asked are those on which most of them are: an order that is not paid is one of a server paid by the year or month, and
// any other change stops its server, or has the platform do it. Each look of the rollout asks again, about every server.
// What was sent to them is one question to Temporal's list for a thousand runs of the project, however many servers are
// asked about.
func (g *gathering) unfinished(ctx context.Context, plan rollout.Plan) error {
	g.reading(ctx, "earlier changes")
	isPlanned, isSkipped := map[string]bool{}, map[string]bool{}
	for _, s := range plan.Servers {
		isPlanned[s.ID] = true
	}
	for _, s := range plan.Skipped {
		isSkipped[s.ID] = true
	}
	ask := map[string]*rollout.InventoryServer{} // by the workflow that locks it
	for i := range g.Servers {
		s := &g.Servers[i]
		isMeant := isPlanned[s.ID] || isSkipped[s.ID] && s.Observation.ImageID == plan.Change.ImageID && s.Observation.Status == rollout.StatusShutoff
		if isMeant && s.HeldBy == "" && (s.Prepaid || s.Observation.Status != rollout.StatusActive) {
			ask[api.ChangeOSID(g.Project, s.ID)] = s
		}
	}
	if len(ask) == 0 {
		return nil
	}
	runs := map[string][]*workflow.WorkflowExecutionInfo{}
	project := api.ChangeOSIDPrefix + g.Project + "/"
	err := list(ctx, g.Temporal, "WorkflowId STARTS_WITH '"+project+"'", func(run *workflow.WorkflowExecutionInfo) {
		if lock := run.GetExecution().GetWorkflowId(); ask[lock] != nil {
			runs[lock] = append(runs[lock], run)
		}
	})
	if err != nil {
		return untoldOf(project+"...", err)
	}
	locks := slices.Collect(maps.Keys(runs))
	return atOnce(ctx, len(locks), func(ctx context.Context, i int) error {
		if slices.ContainsFunc(runs[locks[i]], isRunning) {
			return nil // a rollout waits for it, and looks then
		}
		w := walk{t: g.Temporal}
		err := w.all(ctx, runs[locks[i]])
		if err == nil {
			server := ask[locks[i]]
			server.LeftStopped = w.found.leftStopped(server.Observation)
			server.Unfinished, err = g.mayCome(ctx, w.found.Open, server.Observation)
		}
		return err
	})
}
