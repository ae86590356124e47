package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/reimage/reimage/internal/safetext"
)

// streams is where a command reads and writes, so that tests run commands in process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// The exit codes, the same for every command.
const (
	exitDone        = 0   // completed
	exitUsage       = 1   // usage, connection, refused, or not known
	exitFailed      = 2   // completed with failures, rolled back in part, or the workflow did not end by itself
	exitCancelled   = 3   // aborted or cancelled
	exitWaits       = 4   // waits for a human
	exitRolledBack  = 5   // rolled back
	exitInterrupted = 130 // Ctrl-C before the outcome was known; what was started goes on
)

const exitCodes = `
EXIT STATUS
  0    done, or nothing to do
  1    wrong usage, no connection to Temporal, refused, or not known: the message says
       which; what was started goes on
  2    tried and failed, completed with failures, rolled back on some servers only, or the
       workflow did not end by itself; the output says what state the servers are in
  3    cancelled or aborted; the output says how the servers were left
  4    the rollout waits for a human; the output says for what
  5    the rollout was rolled back
  130  interrupted (Ctrl-C); what was started goes on, and a command that was under way
       may still be carried out
`

// exitError ends the command with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, io streams, args []string) int {
	root := newRootCommand(io)
	refuseUnknownTopics(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code := exitUsage
	if exit, ok := errors.AsType[*exitError](err); ok { // an outcome, which an interrupt does not change
		code = exit.code
	} else if ctx.Err() != nil {
		code, err = exitInterrupted, fmt.Errorf("interrupted: %w", err)
	}
	fmt.Fprintln(io.err, "reimage:", safetext.Lines(err.Error()))
	return code
}

func newRootCommand(io streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "reimage",
		Short: "Change the operating system of cloud servers, durably and never twice",
		Long: `Change the operating system of cloud servers, durably and never twice.

The server keeps its id, addresses and data disks. Its system disk is destroyed and
replaced by a new one made from an image. The change runs as a Temporal workflow on
the workers, so it goes on whatever happens to this command.

A fleet: plan, apply, watch, report. One server: server. When something does not work:
doctor.
` + exitCodes,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newPlanCommand(io),
		newApplyCommand(io),
		newListCommand(io),
		newStatusCommand(io),
		newWatchCommand(io),
		newReportCommand(io),
	)
	root.AddCommand(newRolloutCommands(io)...)
	root.AddCommand(
		newServerCommand(io),
		newDoctorCommand(io),
		newDemoCommand(io),
		newEmulatorCommand(io),
		newVersionCommand(io),
	)
	return root
}
