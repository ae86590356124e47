package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
)

// Register adds every workflow under its exact name.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(ChangeOS, workflow.RegisterOptions{Name: api.ChangeOSName})
	r.RegisterWorkflowWithOptions(DismissChange, workflow.RegisterOptions{Name: api.DismissChangeName})
	r.RegisterWorkflowWithOptions(Rollout, workflow.RegisterOptions{Name: api.RolloutName})
	r.RegisterWorkflowWithOptions(PlanRollout, workflow.RegisterOptions{Name: api.PlanRolloutName})
	r.RegisterWorkflowWithOptions(CheckPlan, workflow.RegisterOptions{Name: api.CheckPlanName})
	r.RegisterWorkflowWithOptions(CheckServer, workflow.RegisterOptions{Name: api.CheckServerName})
	r.RegisterWorkflowWithOptions(Doctor, workflow.RegisterOptions{Name: api.DoctorName})
}
