package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reimage/reimage/internal/report"
	"github.com/reimage/reimage/rollout"
)

type reportOptions struct {
	format report.Format
	file   string
	run    string
}

func (o *reportOptions) addFlags(f *pflag.FlagSet) {
	o.format = report.Text
	f.Var(&o.format, "format", "`format` of the report: text, json, csv or junit")
	addRunFlag(f, &o.run)
	f.StringVarP(&o.file, "out", "o", "", "`file` to write the report to (default: standard output)")
}

func newReportCommand(io streams) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report NAME",
		Short: "Write down what became of every server of a rollout",
		Long: `Write a report of a rollout, running or ended: the waves, every server that failed with
the reason and the state it is in, and who did what. The formats csv and junit have one
line, or one test case, for every server.

The exit status tells whether the report was written, not how the rollout ended; for
that, see "reimage status".
` + exitCodes,
		Example: `  reimage report web-fleet
  reimage report web-fleet --format junit -o rollout.xml`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeRollouts(allRollouts),
		RunE:              func(cmd *cobra.Command, args []string) error { return runReport(cmd.Context(), io, o, args[0]) },
	}
	o.addFlags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(words(report.Formats()), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func words[T ~string](all []T) []string {
	var words []string
	for _, one := range all {
		words = append(words, string(one))
	}
	return words
}

func runReport(ctx context.Context, io streams, o reportOptions, name string) error {
	if err := notAFormat("report", o.file, "--format", words(report.Formats())); err != nil {
		return err
	}
	s, err := dial(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.rollout(ctx, name, o.run)
	if err != nil {
		return err
	}
	r, err := run.report(ctx)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := r.Write(&content, o.format); err != nil {
		return fmt.Errorf("the report of rollout %s cannot be written: %w", run.name, err)
	}
	if o.file == "" {
		_, err := content.WriteTo(io.out)
		return err
	}
	if err := writeFile(o.file, content.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(io.err, "wrote %s\n", o.file)
	return nil
}

// report asks the rollout for everything it knows.
func (r *rolloutRun) report(ctx context.Context) (report.Report, error) {
	var (
		servers []rollout.ServerProgress
		log     []rollout.LogEntry
	)
	p, err := r.progress(ctx)
	if err == nil {
		servers, err = r.servers(ctx)
	}
	if err == nil {
		log, err = r.log(ctx)
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("there is no report: %w", r.silent(ctx, err))
	}
	made := report.New(p, servers, log, time.Now())
	if !r.running() && p.Phase != rollout.PhaseEnded {
		made.ClosedAs = statusWord(r.closedAs)
		made.Why = fmt.Sprintf("its workflow did not end by itself (%s), and the servers may have gone on since", made.ClosedAs)
	}
	return made, nil
}
