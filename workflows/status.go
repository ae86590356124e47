package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
)

func (c *changeOS) status(ctx workflow.Context) api.Status {
	return api.Status{
		Steps: c.steps, ServerID: c.in.ServerID, Name: c.book.Result.Name, JobID: c.book.Result.JobID, Deadline: c.book.Until,
		CancelRequested: ctx.Err() != nil, End: c.knownEnd(), Reason: c.book.Result.Reason,
	}
}

// knownEnd is empty while the health of a proven server is not known.
func (c *changeOS) knownEnd() rollout.ServerEnd {
	if step := c.book.Step(); step == change.StepHealth || step == change.StepSoak {
		return ""
	}
	return c.book.Result.End
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
	if end := c.knownEnd(); end != "" {
		text.WriteString(fmt.Sprintf("\n**%s**: %s\n", end, c.book.Result.Reason))
	}
	if c.book.Result.PowerTrouble != "" {
		text.WriteString(fmt.Sprintf("\nPower: %s\n", c.book.Result.PowerTrouble))
	}
	workflow.SetCurrentDetails(ctx, text.String())
}
