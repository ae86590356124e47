package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/planview"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

type planOptions struct {
	file      string
	out       string
	output    outputFormat
	taskQueue string
}

func (o *planOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.file, "file", "f", "", "`file` with the rollout, in YAML, or - for standard input (required; docs/rollout.md)")
	f.StringVarP(&o.out, "out", "o", "", "`file` to write the plan to, for reimage apply")
	addFormatFlag(f, &o.output)
	addTaskQueueFlag(f, &o.taskQueue)
}

func newPlanCommand(io streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what a rollout would do, server by server, and what would be lost",
		Long: `Show what a rollout would do, server by server, and what would be lost. A worker looks
at the servers; nothing is touched. With -o the plan is written to a file that "reimage
apply" carries out, exactly as it was shown or not at all.
` + exitCodes,
		Example: `  reimage plan -f rollout.yaml -o plan.json`,
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.output.oneObject(io, func(io streams) error { return runPlan(cmd.Context(), io, o) })
		},
	}
	o.addFlags(cmd.Flags())
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

func runPlan(ctx context.Context, io streams, o planOptions) error {
	if o.file == "" {
		return errors.New("no rollout is given: reimage plan -f FILE; docs/rollout.md says what is in it")
	}
	if err := notAFormat("plan", o.out, "--output", []string{string(outputText), string(outputJSON)}); err != nil {
		return err
	}
	if err := makePlan(ctx, io, o); err != nil {
		return stillPlanned(o.out, err)
	}
	return nil
}

// makePlan shows the plan, keeps it if that is wanted, and says what to do next.
func makePlan(ctx context.Context, io streams, o planOptions) error {
	doc, err := readDocument(io.in, o.file)
	if err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	plan, err := s.plan(ctx, io.err, doc)
	if err != nil {
		return err
	}
	if err := showPlan(io, o.output, plan); err != nil {
		return err
	}
	if o.out != "" {
		if err := writePlan(o.out, plan); err != nil {
			return err
		}
	}
	o.sayNext(io, plan)
	return nil
}

func showPlan(io streams, output outputFormat, plan rollout.Plan) error {
	if output == outputJSON {
		return printJSON(io, plan)
	}
	return planview.Print(io.out, plan)
}

// sayNext says the command to type next, to the letter.
func (o planOptions) sayNext(io streams, plan rollout.Plan) {
	queue := taskQueueFlag(o.taskQueue)
	switch {
	case len(plan.Servers) == 0:
		fmt.Fprintln(io.err, "nothing to do: no server needs to be changed")
	case o.out == "":
		fmt.Fprintf(io.err, "the plan was not kept; next: reimage plan -f %s -o plan.json%s\n", fileWord(o.file), queue)
	default:
		fmt.Fprintf(io.err, "wrote %s; next: reimage apply %s%s\n", o.out, fileWord(o.out), queue)
	}
}

// taskQueueFlag is the flag that a next command needs too, if any.
func taskQueueFlag(queue string) string {
	if queue == defaultTaskQueue() {
		return ""
	}
	return " --task-queue " + progressview.Word(queue)
}

// readDocument reads a rollout and the files of servers that it names.
// Of one from standard input their paths count from the working directory.
func readDocument(in io.Reader, path string) (document.Rollout, error) {
	content, err := readInput(in, path, rollout.MaxPlanSize) // it may be a plan
	if err != nil {
		return document.Rollout{}, err
	}
	if looksLikePlan(content) {
		return document.Rollout{}, fmt.Errorf("%s is a plan already and not the rollout that one is made from; carry it out with: reimage apply %s", shownPath(path), fileWord(path))
	}
	doc, err := spec.Parse(shownPath(path), content)
	// What could be read of a wrong document may name files: their problems are listed in the same error.
	if err := errors.Join(err, spec.ReadFiles(&doc, filepath.Dir(path))); err != nil {
		return doc, fmt.Errorf("nothing was planned:\n%w", err)
	}
	return doc, nil
}

// planTimeout is for projects with many thousands of servers: each page of them is asked for.
const planTimeout = 15 * time.Minute

// plan has a worker look at the servers and make a plan. It touches nothing.
func (s *session) plan(ctx context.Context, says io.Writer, doc document.Rollout) (rollout.Plan, error) {
	name := doc.Metadata.Name
	result, err := consult[api.PlanRolloutResult](ctx, s, consultation{
		id: api.PlanID(name, uuid.NewString()), summary: "plan " + name, workflow: api.PlanRolloutName, timeout: planTimeout, says: says,
	}, api.PlanRolloutInput{Document: doc})
	switch {
	case err != nil:
		return rollout.Plan{}, fmt.Errorf("rollout %s could not be planned, nothing was touched: %w", name, err)
	case len(result.Problems) > 0:
		return rollout.Plan{}, &refusedPlan{name, result}
	case result.Plan == nil:
		return rollout.Plan{}, fmt.Errorf("rollout %s: the worker made no plan and did not say why", name)
	}
	if err := result.Plan.Verify(); err != nil {
		return rollout.Plan{}, fmt.Errorf("rollout %s: worker and command do not fit together: %w", name, err)
	}
	return *result.Plan, nil
}

// refusedPlan is the error of a rollout that cannot be planned.
type refusedPlan struct {
	name   string
	result api.PlanRolloutResult
}

// Error names ten servers for each problem at most.
func (r *refusedPlan) Error() string {
	return fmt.Sprintf("rollout %s cannot be planned, nothing was touched:%s", r.name, indented(r.result.Problems))
}

// problems name all servers, unless the worker is too old to name them.
func (r *refusedPlan) problems() []string {
	if len(r.result.Whole) > 0 {
		return r.result.Whole
	}
	return r.result.Problems
}

// indented are texts of the cloud and of workers, each on a line of its own.
func indented(texts []string) string {
	var lines strings.Builder
	for _, text := range texts {
		safetext.Fprintf(&lines, "\n  %s", text)
	}
	return lines.String()
}
