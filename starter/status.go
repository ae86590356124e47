package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/progressview"
	"github.com/reimage/reimage/rollout"
)

func newStatusCommand(io streams) *cobra.Command {
	var (
		output outputFormat
		run    string
	)
	cmd := &cobra.Command{
		Use:   "status NAME",
		Short: "Show how a rollout stands, or how it ended",
		Long: `Show how a rollout stands, or how it ended. The exit status is 0 while it runs by itself
and after it has completed.
` + exitCodes,
		Args:              takes(1, 1),
		ValidArgsFunction: completeRollouts(allRollouts),
		RunE: func(cmd *cobra.Command, args []string) error {
			return output.oneObject(io, func(io streams) error { return runStatus(cmd.Context(), io, output, args[0], run) })
		},
	}
	addFormatFlag(cmd.Flags(), &output)
	addRunFlag(cmd.Flags(), &run)
	return cmd
}

func addRunFlag(f *pflag.FlagSet, run *string) {
	f.StringVar(run, "run", "", "`id` of the last run of an earlier rollout of that name, as \"reimage list\" shows it")
}

func runStatus(ctx context.Context, io streams, output outputFormat, name, runID string) error {
	s, err := dial(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.rollout(ctx, name, runID)
	if err != nil {
		return err
	}
	p, err := run.look(ctx)
	if err != nil {
		return err
	}
	if err := run.print(ctx, io, output, p); err != nil {
		return err
	}
	return standing(p)
}

// look is how the rollout stands. One that has ended tells its end even without a worker.
func (r *rolloutRun) look(ctx context.Context) (rollout.Progress, error) {
	p, err := r.progress(ctx)
	switch {
	case r.running() && err != nil:
		return p, r.silent(ctx, err)
	case r.running():
		return p, nil
	}
	result, broken := r.result(ctx)
	switch {
	case broken != nil && isBroken(broken):
		return p, r.broken(broken)
	case broken != nil:
		return p, fmt.Errorf("how rollout %s ended cannot be asked: %w", r.name, broken)
	case err != nil:
		return r.fromResult(result), nil
	}
	return p, nil
}

// print shows how the rollout stands: on a terminal with its colours, but never cut.
func (r *rolloutRun) print(ctx context.Context, io streams, output outputFormat, p rollout.Progress) error {
	if output == outputJSON {
		return printJSON(io, p)
	}
	view := progressview.View{Progress: p, Outlook: r.outlooker().of(ctx, p, outlookTimeout), Now: time.Now(), Notice: missing(p)}
	var style progressview.Style
	if screen, ok := newScreen(io.out); ok {
		style.Colours = screen.colours
	}
	if len(p.InFlight) > 0 {
		view.Status = (&stepper{run: r, known: map[string]api.Status{}}).of(ctx, p)
	}
	for _, line := range progressview.Frame(view, style) {
		if _, err := fmt.Fprintln(io.out, line); err != nil {
			return err
		}
	}
	return nil
}
