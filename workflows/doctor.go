package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
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
func Doctor(ctx workflow.Context, in api.DoctorInput) (api.DoctorResult, error) {
	ask := contract.DiagnoseInput{
		Profile: in.Profile, ImageID: in.ImageID, ServerID: in.ServerID, KeyPair: in.KeyPair, KeyOwner: in.KeyOwner, Secrets: in.Secrets,
	}
	var pending []workflow.Future
	for _, worker := range in.Workers {
		pending = append(pending, workflow.ExecuteActivity(ofWorker(ctx, worker), contract.Diagnose, ask))
	}
	var all, unverified []api.Finding
	for i, future := range pending {
		var result contract.DiagnoseResult
		if err := future.Get(ctx, &result); err != nil {
			result.Findings = []api.Finding{api.UnverifiedWorker(in.Workers[i])}
			unverified = append(unverified, result.Findings...)
		}
		all = append(all, result.Findings...)
	}
	if len(unverified) < len(in.Workers) {
		return api.DoctorResult{Findings: all}, nil
	}
	var result contract.DiagnoseResult
	err := workflow.ExecuteActivity(promptOptions(ctx, "check what a worker needs of the cloud"), contract.Diagnose, ask).Get(ctx, &result)
	for _, finding := range unverified {
		if len(result.Findings) == 0 || result.Findings[0].Worker != finding.Worker { // that one has made the checks now
			result.Findings = append(result.Findings, finding)
		}
	}
	return api.DoctorResult(result), err
}

// ofWorker are the options of a diagnosis by this worker and no other.
func ofWorker(ctx workflow.Context, worker string) workflow.Context {
	ctx = promptOptions(ctx, "check what "+worker+" needs of the cloud")
	ctx = workflow.WithTaskQueue(ctx, contract.WorkerQueue(workflow.GetInfo(ctx).TaskQueueName, worker))
	return workflow.WithScheduleToCloseTimeout(workflow.WithScheduleToStartTimeout(ctx, workerBeginsTimeout), workerChecksTimeout)
}
