package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// takes refuses too few arguments and too many; most -1 is any number. What they are stands in the use line.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("something is missing; usage: %s", cmd.UseLine())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%q is too much; usage: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

// flagError says where the flags of the command are explained.
func flagError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w; the flags are listed by: %s --help", err, cmd.CommandPath())
}

// errWaitAndDetach is for commands that either watch what they started or do not.
var errWaitAndDetach = errors.New("--wait and --detach exclude each other")
