package progressview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// failureClass is what kind of failure a server has, as far as it decides what to do next.
type failureClass int

const (
	intactFailure     failureClass = iota // the old disk, or nothing was touched, and a retry may well succeed
	changedFailure                        // a new disk that is not proven
	unhealthyFailure                      // a proven disk, and an application that is not healthy
	refusedServer                         // refused for the state of this server
	refusedChange                         // refused for what the plan asks for, which is the same for every server
	pendingChange                         // its change may still come: a retry is refused
	changeInProgress                      // the cloud was seen to work on its change
	lostDisk                              // no system disk
	unnamedRetryOnly                      // its disk may not be of this rollout's making: a retry has to name it
	replacedByAnother                     // its disk was replaced outside of this rollout: a retry is refused
	vanishedServer                        // the cloud does not know it any more
	failureClasses                        // how many there are
)

// remedy is what helps with a class of failure.
type remedy struct {
	// commands are those that help, the likeliest first. What is not among them must fail.
	commands []rollout.CommandKind
	// lastRetry offers a retry behind everything else: it fails now, and succeeds when something outside is over.
	lastRetry bool
	// first is what to do before the first command, with the names of the servers in it.
	first string
	// lead is the same for one server, before its commands.
	lead string
}

// remedies has a row for each class.
func remedies() [failureClasses]remedy {
	const retry, accept, abort = rollout.Retry, rollout.Accept, rollout.Abort
	return [failureClasses]remedy{
		intactFailure:  {commands: []rollout.CommandKind{retry, accept}},
		changedFailure: {commands: []rollout.CommandKind{retry, accept}},
		unhealthyFailure: {
			commands: []rollout.CommandKind{rollout.Recheck, retry, accept},
			first:    "first mend the application on %s: a recheck asks for its health again, and a retry destroys the new disk", lead: "mend its application, then ",
		},
		refusedServer: {
			commands: []rollout.CommandKind{retry, accept},
			first:    "first mend what the reason of %s names", lead: "mend what the reason names, then ",
		},
		refusedChange: {
			commands: []rollout.CommandKind{abort, accept},
			first:    "then correct the document and plan anew: the change that was refused to %s is in the plan, and is the same for every server",
			lead:     "a retry asks for the same again: ",
		},
		pendingChange: {
			commands: []rollout.CommandKind{accept}, lastRetry: true,
			first: "in vain while the earlier change of %s may still come",
		},
		changeInProgress: {
			commands: []rollout.CommandKind{accept}, lastRetry: true,
			first: "in vain while the cloud works on the change of %s",
		},
		lostDisk: {
			commands: []rollout.CommandKind{retry, accept},
			first:    "first repair %s in the cloud's console: no system disk was found", lead: "repair it in the cloud's console, then ",
		},
		unnamedRetryOnly: {
			commands: []rollout.CommandKind{retry, accept},
			first:    "look at %s first: the system disk may not be of this rollout's making, and a retry destroys it", lead: "its system disk may not be of this rollout's making, look at it first: ",
		},
		replacedByAnother: {commands: []rollout.CommandKind{accept}, lead: "its system disk was replaced outside of this rollout: "},
		vanishedServer:    {commands: []rollout.CommandKind{accept}},
	}
}

// classOf is the class of a failed server.
func (v View) classOf(s rollout.ServerProgress) failureClass {
	switch {
	case s.End == rollout.Vanished:
		return vanishedServer
	case s.Foreign:
		return replacedByAnother
	case s.OtherDisk:
		return unnamedRetryOnly
	case s.End == rollout.FailedLost:
		return lostDisk
	case unseen(s) && v.Outlook[s.ID] == UnderWay:
		return changeInProgress
	case v.mayChangeYet(s):
		return pendingChange
	case unseen(s): // forgotten since, which is what an earlier retry was refused for
		return changedFailure
	case s.Failure == rollout.FailureOfChange:
		return refusedChange
	case s.Failure == rollout.FailureOfServer:
		return refusedServer
	case s.End == rollout.FailedChanged:
		return changedFailure
	case s.End == rollout.FailedUnhealthy:
		return unhealthyFailure
	}
	return intactFailure
}

// canRetry is true for a class of which a retry may succeed.
func (r remedy) canRetry() bool { return slices.Contains(r.commands, rollout.Retry) }

// failuresByClass are the known failed servers of each class.
func (v View) failuresByClass() (of [failureClasses][]rollout.ServerProgress) {
	for _, s := range v.Progress.Failures {
		class := v.classOf(s)
		of[class] = append(of[class], s)
	}
	return of
}

// offered is a command for failed servers, what stands behind its name, and a remark.
type offered struct {
	kind         rollout.CommandKind
	rest, remark string
}

// forFailures are the commands that deal with the failed servers, the likeliest first. None that must fail is the first.
// Then is what follows when all of them were dealt with.
func (v View) forFailures(then string) []offered {
	all, of := remedies(), v.failuresByClass()
	var retriable, vain []rollout.ServerProgress
	for class, servers := range of {
		if all[class].canRetry() {
			retriable = append(retriable, servers...)
		} else {
			vain = append(vain, servers...)
		}
	}
	switch {
	case len(v.Progress.Failures) > 0 && len(retriable) == 0: // also when some are not listed: these are the best evidence
		return v.withoutRetry(of, then)
	case len(vain) == 0 || v.hasUnlisted():
		return v.retryThenAccept(of, then)
	}
	// Some would fail again at once. A retry of the others is offered when those are accepted.
	if words, few := v.words(vain); few {
		return []offered{{rollout.Accept, words, ""}, {rollout.Accept, " --all" + then, ""}}
	}
	return []offered{{rollout.Accept, " --all" + then, ""}, {rollout.Retry, " --all" + then, v.remarks(of)}}
}

func (v View) retryThenAccept(of [failureClasses][]rollout.ServerProgress, then string) []offered {
	rest := " --all" + then
	if unhealthy := len(of[unhealthyFailure]); unhealthy > 0 {
		after := ""
		if unhealthy == v.Progress.Failed {
			after = then
		}
		return []offered{{rollout.Recheck, " --all" + after, v.remarks(of)}, {rollout.Retry, rest, ""}, {rollout.Accept, " --all" + then, ""}}
	}
	if named := of[unnamedRetryOnly]; len(named) > 0 && len(named) == v.Progress.Failed {
		if words, few := v.words(named); few {
			rest = words + then
		}
	}
	return []offered{{rollout.Retry, rest, v.remarks(of)}, {rollout.Accept, " --all" + then, ""}}
}

// hasUnlisted is true when there are more failures than a view lists.
func (v View) hasUnlisted() bool { return len(v.Progress.Failures) < v.Progress.Failed }

// withoutRetry is for failures of which every listed one would fail again. A retry comes last, if it may help later or others.
func (v View) withoutRetry(of [failureClasses][]rollout.ServerProgress, then string) []offered {
	var commands []offered
	if len(of[refusedChange]) > 0 {
		commands = append(commands, offered{rollout.Abort, "", v.remark(refusedChange, of[refusedChange])})
	}
	commands = append(commands, offered{rollout.Accept, " --all" + then, ""})
	for class, r := range remedies() {
		if r.lastRetry && len(of[class]) > 0 {
			return append(commands, offered{rollout.Retry, " --all" + then, v.remarks(of)})
		}
	}
	if v.hasUnlisted() {
		commands = append(commands, offered{rollout.Retry, " --all" + then, "helps only servers that are not listed here"})
	}
	return commands
}

// remarks are what to do before a retry, for each class of which there are servers.
func (v View) remarks(of [failureClasses][]rollout.ServerProgress) string {
	var parts []string
	for class, servers := range of {
		if failureClass(class) != refusedChange && len(servers) > 0 {
			if part := v.remark(failureClass(class), servers); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return strings.Join(parts, "; ")
}

func (v View) remark(class failureClass, servers []rollout.ServerProgress) string {
	first := remedies()[class].first
	if first == "" {
		return ""
	}
	const most = 3
	var names []string
	for _, s := range servers[:min(most, len(servers))] {
		names = append(names, called(s))
	}
	text := strings.Join(names, ", ")
	if more := len(servers) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf(first, text)
}

// words are servers as the words of a command, when they are few.
func (v View) words(servers []rollout.ServerProgress) (words string, few bool) {
	const most = 5
	if len(servers) > most {
		return "", false
	}
	for _, s := range servers {
		words += " " + v.ref(s)
	}
	return words, true
}
