package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/rollout"
)

// Step is where a server is in its runbook.
type Step string

// The steps in their order.
const (
	StepLook   Step = "look"
	StepStop   Step = "stop"
	StepSubmit Step = "submit"
	StepWait   Step = "wait"
	StepProve  Step = "prove"
	StepLeave  Step = "leave"
	StepEnded  Step = "ended"
)

// StepAt is a step and when it began.
type StepAt struct {
	Step Step      `json:"step"`
	At   time.Time `json:"at"`
}

// Status is the answer to StatusQuery.
type Status struct {
	// Steps are the steps so far; the server is at the last one.
	Steps    []StepAt `json:"steps"`
	ServerID string   `json:"server_id,omitempty"` // empty from workers of before it was told
	Name     string   `json:"name,omitempty"`
	JobID    string   `json:"job_id,omitempty"`
	// Deadline is when the change that was submitted is judged by what the server shows. Zero before.
	Deadline time.Time `json:"deadline,omitzero"`
	// JobStatus is the last status of the job in the step wait. The workflow does not know it: whoever asks adds it from
	// the heartbeat of PollJob.
	JobStatus string `json:"job_status,omitempty"`
	// Trouble is why the step is tried again, as whoever asks has it from Temporal. Empty without any.
	Trouble string `json:"trouble,omitempty"`
	// CancelRequested is true once somebody asked for a cancel. From the step submit on it comes too late.
	CancelRequested bool              `json:"cancel_requested,omitempty"`
	End             rollout.ServerEnd `json:"end,omitempty"`
	Reason          string            `json:"reason,omitempty"`
}

// Now is the step the server is at.
func (s Status) Now() StepAt {
	if len(s.Steps) == 0 {
		return StepAt{}
	}
	return s.Steps[len(s.Steps)-1]
}

// AwaitsPayment is true while the change does not begin because nobody has paid its order.
func (s Status) AwaitsPayment() bool { return s.JobStatus == activities.JobAwaitsPayment }

func (c *changeOS) status(ctx workflow.Context) Status {
	return Status{
		Steps: c.steps, ServerID: c.in.ServerID, Name: c.result.Name, JobID: c.result.JobID, Deadline: c.until,
		CancelRequested: ctx.Err() != nil, End: c.result.End, Reason: c.result.Reason,
	}
}

// enter begins a step and shows it in the Web UI.
func (c *changeOS) enter(ctx workflow.Context, step Step) {
	c.steps = append(c.steps, StepAt{Step: step, At: workflow.Now(ctx)})
	c.show(ctx)
}

func (c *changeOS) finish(ctx workflow.Context) {
	c.result.EndedAt = workflow.Now(ctx)
	c.enter(ctx, StepEnded)
}

// show writes the current details, Markdown of at most some hundred bytes.
func (c *changeOS) show(ctx workflow.Context) {
	var text strings.Builder
	text.WriteString(fmt.Sprintf("**%s** to image `%s`\n\n", c.called(), c.in.Change.ImageID))
	for _, step := range c.steps {
		text.WriteString(fmt.Sprintf("- %s %s\n", step.At.UTC().Format(time.RFC3339), step.Step))
	}
	if c.result.End != "" {
		text.WriteString(fmt.Sprintf("\n**%s**: %s\n", c.result.End, c.result.Reason))
	}
	if c.result.PowerTrouble != "" {
		text.WriteString(fmt.Sprintf("\nPower: %s\n", c.result.PowerTrouble))
	}
	workflow.SetCurrentDetails(ctx, text.String())
}
