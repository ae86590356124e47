package progressview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// Command is a line to type, and what to know before: beside it and not behind it, because an interactive zsh takes a
// comment for arguments.
type Command struct{ Line, Remark string }

// Next are the commands that take a rollout on which waits for a human, the likeliest first, or that tell
// about one that has ended. A rollout that needs nobody has none.
func (v View) Next() []Command {
	p := v.Progress
	if p.Phase == rollout.PhaseEnded {
		return []Command{{Line: "reimage report " + Word(p.Name)}}
	}
	if !p.NeedsHuman {
		return nil
	}
	var commands []Command
	offer := func(kind rollout.CommandKind, rest, remark string) {
		if slices.Contains(p.Accepts, kind) {
			commands = append(commands, Command{"reimage " + string(kind) + " " + Word(p.Name) + rest, remark})
		}
	}
	if p.CredentialsRefused {
		doctor := "reimage doctor"
		if p.Profile != "" {
			doctor += " --profile " + Word(p.Profile)
		}
		for _, ref := range p.Secrets {
			doctor += " --secret " + Word(string(ref))
		}
		commands = append(commands, Command{doctor, "where the reason leaves open what to mend; a worker reads its variables when it starts"})
	}
	then := ""
	if p.Phase == rollout.PhasePaused {
		offer(rollout.Resume, "", "")
		if len(commands) == 0 { // not before the failures are dealt with
			then = " && reimage resume " + Word(p.Name)
		}
	} else {
		offer(rollout.Approve, "", "")
	}
	forgettable := func(s rollout.ServerProgress) bool { return unseen(s) && v.Outlook[s.ID] == MayCome }
	if at := slices.IndexFunc(p.Failures, forgettable); at >= 0 {
		commands = append(commands, Command{"reimage server forget " + p.Failures[at].ID, "when nothing comes of its change any more"})
	}
	aborts := false
	if p.Failed > 0 {
		for _, o := range v.forFailures(then) {
			aborts = aborts || o.kind == rollout.Abort
			offer(o.kind, o.rest, o.remark)
		}
	}
	if len(p.Held) > 0 {
		var words []string
		for _, ref := range p.Held {
			words = append(words, Word(ref))
		}
		offer(rollout.Skip, " "+strings.Join(words, " "), "or start what is down in the cloud's console: the rollout looks once a minute, and goes on")
	}
	if p.Phase == rollout.PhaseRunning && p.SlotsHeldFailed+p.SlotsHeldDown > 0 && p.Slots >= p.SlotsCap {
		offer(rollout.Concurrency, fmt.Sprintf(" %d", p.SlotsCap+1), "")
	}
	if !aborts {
		offer(rollout.Abort, "", "")
	}
	return commands
}

// unseen is true for a server that showed its old disk when it was judged, and is not called intact: its change may still
// come, and a retry is another one.
func unseen(s rollout.ServerProgress) bool {
	return s.End == rollout.FailedChanged && s.After == s.Before && s.After.VolumeID != ""
}

// Outlook is what may still come of a change that was not seen to its end.
type Outlook int

const (
	MayCome      Outlook = iota // also when nobody was asked
	UnderWay                    // the cloud was seen to work on it
	NothingComes                // it is over, or somebody has said so, as far as is known
)

func (v View) mayChangeYet(s rollout.ServerProgress) bool {
	return unseen(s) && v.Outlook[s.ID] != NothingComes
}

// Unseen are the failed servers whose change was not seen to its end.
func Unseen(p rollout.Progress) (servers []rollout.ServerProgress) {
	for _, s := range p.Failures {
		if unseen(s) {
			servers = append(servers, s)
		}
	}
	return servers
}

// endBake is the command that ends the bake of the current wave, for a rollout that goes on by itself after it. Empty while none
// bakes.
func (v View) endBake() string {
	p := v.Progress
	if p.Phase != rollout.PhaseRunning || p.NeedsHuman || !slices.Contains(p.Accepts, rollout.EndBake) {
		return ""
	}
	return "reimage approve " + Word(p.Name) + " --end-bake --comment WHY"
}

func (v View) next() []line {
	var lines []line
	if command := v.endBake(); command != "" {
		lines = append(lines, text("to end the bake early  ", command))
	}
	for i, command := range v.Next() {
		lead := "next  "
		if i > 0 {
			lead = "  or  "
		}
		lines = append(lines, line{}.add(bold, lead).add(plain, command.Line))
		if command.Remark != "" {
			lines = append(lines, line{}.add(faint, "      "+command.Remark))
		}
	}
	return lines
}

// remedy is what to do about a failed server, by how it failed: every way, or only the likeliest when all
// would take more columns than there are.
func (v View) remedy(s rollout.ServerProgress, columns int) string {
	p := v.Progress
	switch {
	case p.Phase == rollout.PhaseEnded && v.mayChangeYet(s):
		return "its change may still come: reimage doctor --server " + s.ID + " tells whether it may, and when it is over, plan another rollout for it"
	case p.Phase == rollout.PhaseEnded && s.End.OutOfService():
		return "it is out of service: look at it in the cloud's console"
	case p.Phase == rollout.PhaseEnded && s.End == rollout.Vanished:
		return "there is nothing left to change"
	case p.Phase == rollout.PhaseEnded:
		return "plan another rollout for it"
	}
	class := v.classOf(s)
	lead, order := remedies()[class].lead, remedies()[class].commands
	switch class {
	case changedFailure:
		if unseen(s) {
			lead = "no change of it that may still come is known any more (reimage server status " + s.ID + " tells of the last): "
		}
	case changeInProgress:
		lead, order = "the cloud was seen to work on its change: wait for its end, then ", retryThenAccept()
	case pendingChange:
		lead, order = "its change may still come: wait for its end (an unpaid order: pay it in the cloud's console, or cancel it and say so with reimage server forget "+s.ID+"), then ", retryThenAccept()
	}
	var commands []string
	for _, kind := range order {
		ref := " " + v.ref(s)
		if kind == rollout.Abort {
			ref = ""
		}
		if slices.Contains(p.Accepts, kind) {
			commands = append(commands, "reimage "+string(kind)+" "+Word(p.Name)+ref)
		}
	}
	if len(commands) == 0 {
		return "wait: nothing can be done about it while the rollout is " + string(p.Phase)
	}
	if all := lead + strings.Join(commands, "  or  "); columns <= 0 || columnsOf(all) <= columns {
		return all
	}
	return lead + commands[0]
}

func retryThenAccept() []rollout.CommandKind {
	return []rollout.CommandKind{rollout.Retry, rollout.Accept}
}

// ref names a server in a command: by its name if that is safe to type and known to be nobody else's here.
func (v View) ref(s rollout.ServerProgress) string {
	same := func(other rollout.ServerProgress) bool { return other.ID != s.ID && other.Name == s.Name }
	if s.Name == "" || Word(s.Name) != s.Name || slices.ContainsFunc(v.Progress.Failures, same) || slices.ContainsFunc(v.Progress.InFlight, same) {
		return s.ID
	}
	return s.Name
}

// Word quotes a word for a POSIX shell when it has to be.
func Word(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if s != "" && !strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, func(r rune) bool { return !safe(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
