package main

import (
	"errors"
	"fmt"
	"strings"

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

// refuseUnknownTopics makes a topic that is not known an error of the two commands that cobra adds by itself. They
// would show help, which looks like success.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = knownTopic
		case "completion":
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() } // Args is looked at in commands that run
		}
	}
}

// knownTopic takes the words of a command, and nothing after them.
func knownTopic(cmd *cobra.Command, topic []string) error {
	_, rest, err := cmd.Root().Find(topic)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q is no part of any command; they are listed by: %s --help", strings.Join(rest, " "), cmd.Root().CommandPath())
	}
	return err
}

// flagError says where the flags of the command are explained.
func flagError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w; the flags are listed by: %s --help", err, cmd.CommandPath())
}

// errWaitAndDetach is for commands that either watch what they started or do not.
var errWaitAndDetach = errors.New("--wait and --detach exclude each other")
