package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register adds every workflow under its exact name.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(ChangeOS, workflow.RegisterOptions{Name: ChangeOSName})
	r.RegisterWorkflowWithOptions(ForgetChange, workflow.RegisterOptions{Name: ForgetChangeName})
	r.RegisterWorkflowWithOptions(CheckDismissal, workflow.RegisterOptions{Name: CheckDismissalName})
	r.RegisterWorkflowWithOptions(Rollout, workflow.RegisterOptions{Name: RolloutName})
	r.RegisterWorkflowWithOptions(PlanRollout, workflow.RegisterOptions{Name: PlanRolloutName})
	r.RegisterWorkflowWithOptions(CheckPlan, workflow.RegisterOptions{Name: CheckPlanName})
	r.RegisterWorkflowWithOptions(CheckServer, workflow.RegisterOptions{Name: CheckServerName})
	r.RegisterWorkflowWithOptions(Doctor, workflow.RegisterOptions{Name: DoctorName})
}
