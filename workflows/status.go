package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
)

func (c *changeOS) status(ctx workflow.Context) api.Status {
	return api.Status{
		Steps: c.steps, ServerID: c.in.ServerID, Name: c.book.Result.Name, JobID: c.book.Result.JobID, Deadline: c.book.Until,
		CancelRequested: ctx.Err() != nil, End: c.book.Result.End, Reason: c.book.Result.Reason,
	}
}

// enter begins a step and shows it in the Web UI.
func (c *changeOS) enter(ctx workflow.Context, step api.Step) {
	c.steps = append(c.steps, api.StepAt{Step: step, At: workflow.Now(ctx)})
	c.show(ctx)
}

func (c *changeOS) finish(ctx workflow.Context) {
	c.book.Result.EndedAt = workflow.Now(ctx)
	c.enter(ctx, api.StepEnded)
	c.book.Close()
	c.remember(ctx)
}

// show writes the current details, Markdown of at most some hundred bytes.
func (c *changeOS) show(ctx workflow.Context) {
	var text strings.Builder
	text.WriteString(fmt.Sprintf("**%s** to image `%s`\n\n", c.displayName(), c.in.Change.ImageID))
	for _, step := range c.steps {
		text.WriteString(fmt.Sprintf("- %s %s\n", step.At.UTC().Format(time.RFC3339), step.Step))
	}
	if c.book.Result.End != "" {
		text.WriteString(fmt.Sprintf("\n**%s**: %s\n", c.book.Result.End, c.book.Result.Reason))
	}
	if c.book.Result.PowerTrouble != "" {
		text.WriteString(fmt.Sprintf("\nPower: %s\n", c.book.Result.PowerTrouble))
	}
	workflow.SetCurrentDetails(ctx, text.String())
}
