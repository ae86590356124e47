package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/rollout"
)

// commandOptions are the options of all commands to a running rollout.
type commandOptions struct {
	by      string
	comment string
	all     bool   // retry, accept
	wave    string // approve
	endBake bool   // approve
}

func (o *commandOptions) addFlags(f *pflag.FlagSet) {
	addByFlag(f, &o.by)
	f.StringVar(&o.comment, "comment", "", "`why`, for the log of the rollout")
}

func addByFlag(f *pflag.FlagSet, by *string) {
	f.StringVar(by, "by", currentUser(), "`who` says so, for the log of the rollout")
}

// currentUser is empty when the system does not know.
func currentUser() string {
	current, err := user.Current()
	if err != nil {
		return ""
	}
	return current.Username
}

// validBy refuses a command by nobody.
func validBy(by string) error {
	if strings.TrimFunc(by, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) == "" {
		return errors.New("nobody gives the command: --by says who does, and it is kept on record")
	}
	return nil
}

// newRolloutCommands are the commands to a running rollout: one update each.
func newRolloutCommands(io streams) []*cobra.Command {
	return []*cobra.Command{
		newPlainCommand(io, rollout.Pause, "Start nothing more until somebody resumes",
			"Pause a rollout. Servers in flight are finished, and no other one is started until\nsomebody resumes."),
		newPlainCommand(io, rollout.Resume, "Go on with a paused rollout",
			"Go on with a paused rollout. While more servers have failed than are tolerated, it\nis refused: retry or accept failures first."),
		newPlainCommand(io, rollout.Abort, "Finish what is in flight and end",
			"Abort a rollout. Servers in flight are finished, because a server without its disk\nhelps nobody; no other one is started, and there is no way back."),
		newApproveCommand(io),
		newServersCommand(io, rollout.Skip, "Do not change servers whose turn has not come",
			"Skip servers whose turn has not come: the rollout leaves them as they are."),
		newServersCommand(io, rollout.Retry, "Change failed servers again",
			"Change failed servers again, at once if the rollout runs and a slot is free. A retried\nserver no longer counts as failed until it fails again."),
		newServersCommand(io, rollout.Recheck, "Check the health of failed-unhealthy servers again",
			"Check the health of servers again whose new disk is proven and whose application was\nnot healthy. Nothing is changed: after you have mended the application, this is the way\nback to done."),
		newServersCommand(io, rollout.Accept, "Let failures be: they no longer count",
			"Accept failures: they no longer count against the budget and hold no slot. The report\nstill names the servers, and the rollout completes with failures."),
		newConcurrencyCommand(io),
	}
}

// newPlainCommand makes a command that takes nothing but the name of the rollout.
func newPlainCommand(io streams, kind rollout.CommandKind, short, long string) *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use: string(kind) + " NAME", Short: short, Long: long + "\n" + exitCodes,
		Args:              takes(1, 1),
		ValidArgsFunction: completeRollouts(runningRollouts),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCommandTo(cmd.Context(), io, o, args[0], rollout.Command{Kind: kind})
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func newApproveCommand(io streams) *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use:   "approve NAME",
		Short: "Let the next wave begin",
		Long: `Approve what follows the wave that is over. With --wave it is refused unless that very
wave waits, so that a command that comes late approves nothing else.

With --end-bake it ends the bake of the wave that bakes, before its time, and approves
what follows it where the wave asks for that. It needs --comment, which is kept in the
log of the rollout.
` + exitCodes,
		Args:              takes(1, 1),
		ValidArgsFunction: completeRollouts(runningRollouts),
		RunE: func(cmd *cobra.Command, args []string) error {
			command := rollout.Command{Kind: rollout.Approve, Wave: o.wave}
			if o.endBake {
				command.Kind = rollout.EndBake
				if strings.TrimSpace(o.comment) == "" {
					return errors.New("--end-bake needs a reason: --comment says why the bake may end early, and it is kept in the log of the rollout")
				}
			}
			return runCommandTo(cmd.Context(), io, o, args[0], command)
		},
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.wave, "wave", "", "`name` of the wave that is over, or bakes (default: the one that does)")
	cmd.Flags().BoolVar(&o.endBake, "end-bake", false, "end the bake of the wave early, and approve what follows it")
	_ = cmd.RegisterFlagCompletionFunc("wave", completeWaves)
	return cmd
}

// allServers is what --all means.
func allServers(kind rollout.CommandKind) string {
	if kind == rollout.Recheck {
		return "every server that is failed-unhealthy"
	}
	return "every server that has failed"
}

// newServersCommand makes skip, retry, recheck or accept.
func newServersCommand(io streams, kind rollout.CommandKind, short, long string) *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use: string(kind) + " NAME SERVER...", Short: short,
		Long:              long + "\nServers are given by name or id, or by a pattern of names as in a rollout: * stands for\nany text, ? for any character; quote it for the shell. Every match is shown, and one that\nthe command is not for is left as it is.\n" + exitCodes,
		Args:              takes(1, -1),
		ValidArgsFunction: completeServers(kind),
		RunE: func(cmd *cobra.Command, args []string) error {
			command := rollout.Command{Kind: kind, Servers: args[1:]}
			switch {
			case o.all && len(command.Servers) > 0:
				return errors.New("--all and servers exclude each other")
			case !o.all && len(command.Servers) == 0 && kind == rollout.Skip:
				return errors.New("no server is named: skip takes names or ids after the name of the rollout")
			case !o.all && len(command.Servers) == 0:
				return fmt.Errorf("no server is named: %s takes names or ids after the name of the rollout, or --all for every failed one", kind)
			}
			return runCommandTo(cmd.Context(), io, o, args[0], command)
		},
	}
	o.addFlags(cmd.Flags())
	if kind != rollout.Skip {
		cmd.Use = string(kind) + " NAME {SERVER... | --all}"
		cmd.Flags().BoolVar(&o.all, "all", false, allServers(kind))
	}
	return cmd
}

func newConcurrencyCommand(io streams) *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use:   "concurrency NAME N",
		Short: "Set how many servers may be in flight",
		Long: `Set how many servers may be out of service at a time because of the rollout. Servers
in flight are finished, so a lower number is reached by and by. Caps by zone and group,
and the failure budget, stay as planned.
` + exitCodes,
		Args:              takes(2, 2),
		ValidArgsFunction: completeRollouts(runningRollouts),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a number of servers from 1 on; to start none, pause", args[1])
			}
			return runCommandTo(cmd.Context(), io, o, args[0], rollout.Command{Kind: rollout.Concurrency, InFlight: n})
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// runCommandTo gives a command to a rollout and prints what it did.
func runCommandTo(ctx context.Context, io streams, o commandOptions, name string, command rollout.Command) error {
	if err := validBy(o.by); err != nil {
		return err
	}
	command.By, command.Comment = safetext.Line(o.by), safetext.Line(o.comment)
	s, err := dial(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.rollout(ctx, name, "")
	if err != nil {
		return err
	}
	var inVain []rollout.ServerProgress // before the command, which puts them aside and may begin with them at once
	if command.Kind == rollout.Retry && run.running() {
		failed, _ := run.progress(ctx) // a command that cannot be given says why
		inVain = run.stillPending(ctx, failed, command.Servers)
	}
	sentence, err := run.command(ctx, command)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s: %s\n", run.name, safetext.Line(sentence))
	for _, s := range inVain {
		safetext.Fprintf(io.err, "%s (%s): its earlier change may still come, and until that is over it is not changed again: reimage doctor --server %s tells what stands against it\n", s.Name, s.ID, s.ID)
	}
	return nil
}
