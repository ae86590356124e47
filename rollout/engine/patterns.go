package engine

import (
	"fmt"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// isPattern is true for what a command may mean several servers by. The name of a server is none, whatever is in it.
func (e *Engine) isPattern(ref string) bool { return rollout.IsPattern(ref) && len(e.byRef[ref]) == 0 }

// matching are the servers that a pattern of a command matches: those that the command is for, and why the others are left as
// they are.
func (e *Engine) matching(kind rollout.CommandKind, pattern string) (chosen []int, left []string) {
	for i, server := range e.plan.Servers {
		if !rollout.MatchName(pattern, server.Name) {
			continue
		}
		if why := e.refuseMatch(kind, i); why != "" {
			left = append(left, why)
		} else {
			chosen = append(chosen, i)
		}
	}
	return chosen, left
}

// refuseMatch is refuseServer for a server that only a pattern means. To retry one that was accepted, or has a disk that may
// not be ours, takes its name.
func (e *Engine) refuseMatch(kind rollout.CommandKind, i int) string {
	s := &e.state.Servers[i]
	if why := e.refuseServer(kind, i); why != "" || (kind != rollout.Retry && kind != rollout.Recheck) {
		return why
	}
	switch {
	case kind == rollout.Retry && s.Recheck:
		return fmt.Sprintf("%s waits for another check of its health: name it to change it in place of that", e.called(i))
	case s.acceptedFailure():
		return fmt.Sprintf("the failure of %s was accepted: name it to %s it", e.called(i), kind)
	case s.failed() && !s.failedOnOurs():
		return fmt.Sprintf("%s has a system disk that this rollout may not have made: name it to retry it all the same", e.called(i))
	}
	return ""
}

// maxReasons is how many servers a refusal of a pattern explains.
const maxReasons = 5

// refusePattern says what stands against a pattern: it means no server that the command is for.
func (e *Engine) refusePattern(kind rollout.CommandKind, pattern string) string {
	chosen, left := e.matching(kind, pattern)
	switch {
	case len(chosen) > 0:
		return ""
	case len(left) == 0:
		return fmt.Sprintf("no server of the plan matches %s", pattern)
	}
	more := ""
	if n := len(left) - maxReasons; n > 0 {
		left, more = left[:maxReasons], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Sprintf("%s matches no server to %s: %s%s", pattern, kind, strings.Join(left, "; "), more)
}

// maxMatchedText bounds the answer to a command with patterns in bytes: Temporal takes no answer of 2 MB.
const maxMatchedText = 100 << 10

// matchedText names every server that the patterns of a command match. Empty without patterns.
func (e *Engine) matchedText(c rollout.Command) string {
	var text string
	for _, ref := range c.Servers {
		if !e.isPattern(ref) {
			continue
		}
		chosen, left := e.matching(c.Kind, ref)
		names := make([]string, len(chosen))
		for j, i := range chosen {
			names[j] = e.called(i)
		}
		text += fmt.Sprintf("; %s matches %s", ref, strings.Join(names, ", "))
		if len(left) > 0 {
			text += ", and leaves out: " + strings.Join(left, "; ")
		}
	}
	return cutTo(maxMatchedText, text)
}
