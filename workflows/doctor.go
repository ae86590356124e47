package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
)

// One worker has little time to begin its diagnosis: one that runs takes it at once. With the time of the checks it is less
// than the command waits.
const (
	workerBeginsTimeout = 20 * time.Second
	workerChecksTimeout = 2 * time.Minute
)

// Doctor has each of the workers report what stands in the way of its work, for operators without cloud credentials. It touches
// nothing. A check that failed is data, and so is a worker that does not answer: it may be gone, or older than this. When none
// answers, whichever worker takes them makes the checks.
func Doctor(ctx workflow.Context, in activities.DiagnoseInput) (activities.DiagnoseResult, error) {
	var pending []workflow.Future
	for _, worker := range in.Workers {
		pending = append(pending, workflow.ExecuteActivity(ofWorker(ctx, worker), act.Diagnose, in))
	}
	var all, unverified []activities.Finding
	for i, future := range pending {
		var result activities.DiagnoseResult
		if err := future.Get(ctx, &result); err != nil {
			result.Findings = []activities.Finding{activities.UnverifiedWorker(in.Workers[i])}
			unverified = append(unverified, result.Findings...)
		}
		all = append(all, result.Findings...)
	}
	if len(unverified) < len(in.Workers) {
		return activities.DiagnoseResult{Findings: all}, nil
	}
	var result activities.DiagnoseResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "check what a worker needs of the cloud"), act.Diagnose, in).Get(ctx, &result)
	for _, finding := range unverified {
		if len(result.Findings) == 0 || result.Findings[0].Worker != finding.Worker { // that one has made the checks now
			result.Findings = append(result.Findings, finding)
		}
	}
	return result, err
}

// ofWorker are the options of a diagnosis by this worker and no other.
func ofWorker(ctx workflow.Context, worker string) workflow.Context {
	ctx = promptOptions(ctx, "check what "+worker+" needs of the cloud")
	ctx = workflow.WithTaskQueue(ctx, activities.WorkerQueue(workflow.GetInfo(ctx).TaskQueueName, worker))
	return workflow.WithScheduleToCloseTimeout(workflow.WithScheduleToStartTimeout(ctx, workerBeginsTimeout), workerChecksTimeout)
}
