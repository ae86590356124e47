package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/planview"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

type applyOptions struct {
	yes       bool
	wait      bool
	detach    bool
	replan    bool
	file      string
	by        string
	output    outputFormat
	taskQueue string
}

func (o *applyOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask for consent")
	f.BoolVar(&o.wait, "wait", true, "watch until the rollout ends or waits for a human")
	f.BoolVar(&o.detach, "detach", false, "return as soon as the rollout is started")
	f.BoolVar(&o.replan, "replan", false, "make a new plan from the file and carry that one out; shows it when it is not the same, and asks for consent to it; needs -f")
	f.StringVarP(&o.file, "file", "f", "", "`file` with the rollout, in YAML, or - for standard input; for --replan")
	addByFlag(f, &o.by)
	addFormatFlag(f, &o.output)
	addTaskQueueFlag(f, &o.taskQueue)
}

func newApplyCommand(io streams) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply {PLAN | -}",
		Short: "Carry out a plan, exactly as it was shown",
		Long: `Carry out a plan that "reimage plan -o" has written, or with - one from standard input,
which takes --yes. The system disks of its servers and
everything on them are destroyed.

A plan that was edited is refused, and so is one whose servers have changed since it
was made. --replan makes a new plan from the file with the rollout, shows it together
with the difference, and asks for consent to that one. Ctrl-C stops watching and not
the rollout: see "reimage watch", "reimage pause" and "reimage abort".
` + exitCodes,
		Example: `  reimage apply plan.json
  reimage apply plan.json --yes --detach --by ci/4711
  reimage apply plan.json --replan -f rollout.yaml`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.output.oneObject(io, func(io streams) error {
				switch {
				case o.detach && cmd.Flags().Changed("wait"):
					return errWaitAndDetach
				case o.replan != (o.file != ""):
					return errors.New("--replan and -f go together: what is planned anew is read from the file")
				}
				return runApply(cmd.Context(), io, o, args[0])
			})
		},
	}
	o.addFlags(cmd.Flags())
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

func runApply(ctx context.Context, io streams, o applyOptions, path string) error {
	if err := validBy(o.by); err != nil {
		return err
	}
	if err := o.checkInput(path); err != nil {
		return err
	}
	plan, err := readPlan(io.in, path)
	if err != nil {
		return err
	}
	doc, err := o.document(io, plan)
	if err != nil {
		return err
	}
	s, err := dial(ctx, o.taskQueue)
	if err != nil {
		return err
	}
	defer s.close()
	if plan, err = s.current(ctx, io, o, path, plan, doc); err != nil {
		return err
	}
	if len(plan.Servers) == 0 {
		return o.output.nothingToDo(io, plan)
	}
	run, err := s.apply(ctx, io, o, plan)
	if err != nil {
		return err
	}
	if o.detach || !o.wait {
		return o.output.startedRollout(io, run)
	}
	p, err := run.watch(ctx, o.display(io), false)
	if err == nil && o.output == outputJSON {
		err = printJSON(io, p)
	}
	if err != nil {
		return err
	}
	return standing(p)
}

// checkInput refuses standard input for two files, or for one and for consent.
func (o applyOptions) checkInput(path string) error {
	switch {
	case path == stdin && o.file == stdin:
		return errors.New("the plan and the rollout cannot both be read from standard input: give one of them by its name")
	case (path == stdin || o.file == stdin) && !o.yes:
		return errNobodyToAsk
	}
	return nil
}

// document is the rollout to plan anew from, if that is wanted. It has to be the one of the plan.
func (o applyOptions) document(io streams, plan rollout.Plan) (doc document.Rollout, err error) {
	if !o.replan {
		return doc, nil
	}
	if doc, err = readDocument(io.in, o.file); err == nil && doc.Metadata.Name != plan.Name {
		err = fmt.Errorf("%s is rollout %s and the plan is of rollout %s", shownPath(o.file), doc.Metadata.Name, plan.Name)
	}
	return doc, err
}

// display keeps standard output for the result when that is JSON.
func (o applyOptions) display(io streams) display {
	if o.output == outputJSON {
		return newDisplay(io.err)
	}
	return newDisplay(io.out)
}

// current is the plan to carry out: a new one with --replan, and otherwise the plan itself, which is refused
// when its servers are no longer as they were.
func (s *session) current(ctx context.Context, io streams, o applyOptions, path string, plan rollout.Plan, doc document.Rollout) (rollout.Plan, error) {
	if len(plan.Servers) == 0 && !o.replan {
		return plan, nil
	}
	if err := s.free(ctx, plan.Name); err != nil {
		return plan, err
	}
	if o.replan {
		return s.replan(ctx, io, plan, doc)
	}
	checked, err := consult[api.CheckPlanResult](ctx, s, consultation{
		id: api.PlanID(plan.Name, uuid.NewString()), summary: "check the plan of " + plan.Name, workflow: api.CheckPlanName,
		timeout: planTimeout, says: io.err,
	}, api.CheckPlanInput{Plan: plan})
	if err != nil {
		return plan, fmt.Errorf("the plan of rollout %s could not be checked, nothing was started: %w", plan.Name, err)
	}
	if len(checked.Drift) == 0 {
		return plan, nil
	}
	return plan, drifted(o, path, plan, checked.Drift)
}

// mostDrift is how many changed servers are named: all of a zone may have changed.
const mostDrift = 50

// drifted is the error for a plan that can no longer be carried out: what has changed, and what to do.
func drifted(o applyOptions, path string, plan rollout.Plan, drift []rollout.Drift) error {
	var lines, servers []string
	word := planWord(path)
	remedy := fmt.Sprintf("Make a new plan with: reimage plan -f FILE -o %[1]s%[2]s, or see the difference with: reimage apply %[1]s --replan -f FILE%[2]s", word, taskQueueFlag(o.taskQueue))
	for _, d := range drift {
		switch {
		case d.ServerID != "":
			servers = append(servers, fmt.Sprintf("  %s: %s", d.ServerID, d.What)) // which names the server
			continue
		case d.Name == "":
			remedy = fmt.Sprintf("Name the task queue of that project's workers with: reimage apply %s --task-queue QUEUE", word)
		}
		lines = append(lines, d.What)
	}
	if len(servers) > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d servers have changed since the plan was made at %s:", len(servers), len(plan.Servers), timestamp.Full(plan.MadeAt)))
		lines = append(lines, servers[:min(mostDrift, len(servers))]...)
	}
	if more := len(servers) - mostDrift; more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	for i := range lines {
		lines[i] = safetext.Line(lines[i])
	}
	return fmt.Errorf("%s\nNothing was started. %s", strings.Join(lines, "\n"), remedy)
}

// replan makes a new plan and shows in what it differs.
func (s *session) replan(ctx context.Context, io streams, old rollout.Plan, doc document.Rollout) (rollout.Plan, error) {
	plan, err := s.plan(ctx, io.err, doc)
	if err != nil {
		return plan, err
	}
	if plan.Project != old.Project { // --yes consents to other servers, but hardly to these
		return plan, fmt.Errorf("the plan is for project %s and the workers of task queue %s serve project %s, nothing was started: name the queue of that project's workers with --task-queue", old.Project, s.taskQueue, plan.Project)
	}
	same, err := samePlan(old, plan)
	if err != nil {
		return plan, err
	}
	if same {
		fmt.Fprintln(io.err, "the new plan is the same as the old one")
		return plan, nil
	}
	if err := planview.Print(io.err, plan); err != nil {
		return plan, err
	}
	fmt.Fprintln(io.err, "\nthe new plan compared with the old one:")
	lines := planner.Compare(old, plan)
	if len(lines) == 0 {
		lines = []string{"the same is done to the same servers; skipped servers, warnings or the estimate are not the same"}
	}
	for _, line := range lines {
		fmt.Fprintln(io.err, " ", safetext.Line(line))
	}
	return plan, nil
}

// samePlan is true when nothing but the time, and what the worker calls the project and its cloud, tells the plans apart.
func samePlan(old, new rollout.Plan) (bool, error) {
	new.MadeAt, new.Profile, new.Edition = old.MadeAt, old.Profile, old.Edition
	err := new.Seal()
	return new.Digest == old.Digest, err
}

// apply asks for consent and starts the rollout.
func (s *session) apply(ctx context.Context, io streams, o applyOptions, plan rollout.Plan) (*rolloutRun, error) {
	fmt.Fprint(io.err, losses(plan))
	if !o.yes {
		if err := consent(ctx, io, fmt.Sprintf("to destroy %s (rollout %s)", rollout.Count(len(plan.Servers), "system disk"), plan.Name)); err != nil {
			return nil, err
		}
	}
	return s.startRollout(ctx, plan, o.by)
}

// losses are the totals of what is lost and what is kept.
func losses(plan rollout.Plan) string {
	gigabytes, data, known := 0, 0, true
	for _, server := range plan.Servers {
		gigabytes += server.DiskGB
		data += server.DataDisks
		known = known && server.DiskGB > 0
	}
	size := "and all their snapshots"
	if known {
		size = fmt.Sprintf("%d GB, %s", gigabytes, size)
	}
	var text strings.Builder
	safetext.Fprintf(&text, "rollout %s: image %s (%s)\n  where: %s\n", plan.Name, plan.ImageName, plan.Change.ImageID, plan.Cloud())
	safetext.Fprintf(&text, "  lost: %s and everything on them (%s)\n", rollout.Count(len(plan.Servers), "system disk"), size)
	safetext.Fprintf(&text, "  kept: the servers' ids and addresses, and %s\n", rollout.Count(data, "data disk"))
	if len(plan.Skipped) > 0 {
		safetext.Fprintf(&text, "  left alone: %s\n", rollout.Count(len(plan.Skipped), "server"))
	}
	for _, warning := range plan.Warnings {
		safetext.Fprintf(&text, "  warning: %s\n", warning)
	}
	return text.String()
}

// free refuses a name that a running rollout has. startRollout would too; this is before any question.
func (s *session) free(ctx context.Context, name string) error {
	described, err := s.client.DescribeWorkflowExecution(ctx, api.RolloutID(name), "")
	if err != nil {
		if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
			return nil
		}
		return fmt.Errorf("rollout %s cannot be looked up: %w", name, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return inUse(name, info.GetExecution().GetRunId())
	}
	return nil
}

func inUse(name, runID string) error {
	word := progressview.Word(name)
	return fmt.Errorf("the name is in use: rollout %s is running (workflow %s, run %s), and nothing was started. Watch it with: reimage watch %s; end it with: reimage abort %s; or give this one another name and plan again",
		name, api.RolloutID(name), runID, word, word)
}

// startRollout begins the rollout. Its workflow id makes sure that no other one of its name runs.
func (s *session) startRollout(ctx context.Context, plan rollout.Plan, by string) (*rolloutRun, error) {
	run, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       api.RolloutID(plan.Name),
		TaskQueue:                                s.taskQueue,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("%s to %s", rollout.Count(len(plan.Servers), "server"), plan.ImageName),
	}, api.RolloutName, api.RolloutInput{Plan: plan, StartedBy: by})
	if started, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return nil, inUse(plan.Name, started.RunId)
	}
	switch {
	case declined(err):
		return nil, fmt.Errorf("rollout %s could not be started: %w", plan.Name, err)
	case err != nil:
		return nil, unanswered("rollout "+plan.Name, "reimage status "+progressview.Word(plan.Name), err)
	}
	return &rolloutRun{
		session: s, name: plan.Name, runID: run.GetRunID(), firstRun: run.GetRunID(), closedAs: enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}, nil
}

// nothingToDo reports a plan that changes nothing: it is carried out already.
func (o outputFormat) nothingToDo(io streams, plan rollout.Plan) error {
	why := fmt.Sprintf("nothing to do: rollout %s has no server to change", plan.Name)
	fmt.Fprintln(io.err, why)
	if o != outputJSON {
		return nil
	}
	return printJSON(io, rollout.Progress{
		Name: plan.Name, Reason: plan.Reason, ImageName: plan.ImageName, Project: plan.Project,
		Phase: rollout.PhaseEnded, End: rollout.Completed, Why: why, Waves: []rollout.WaveProgress{},
	})
}

// startedRollout reports a rollout that nobody waits for.
func (o outputFormat) startedRollout(io streams, run *rolloutRun) error {
	if o == outputJSON {
		return printJSON(io, struct {
			Name       string `json:"name"`
			WorkflowID string `json:"workflow_id"`
			RunID      string `json:"run_id"`
		}{run.name, run.id(), run.runID})
	}
	fmt.Fprintf(io.out, "started: rollout %s (workflow %s, run %s)\n", run.name, run.id(), run.runID)
	fmt.Fprintf(io.err, "next: reimage watch %s\n", progressview.Word(run.name))
	return nil
}
