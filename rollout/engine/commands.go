package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Refusal is a command that is not accepted, and why.
type Refusal struct {
	Kind    rollout.CommandKind
	Why     string
	Accepts []rollout.CommandKind // what would be accepted now
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s is refused: %s", r.Kind.Typed(), r.Why)
	if len(r.Accepts) == 0 {
		return text
	}
	var accepted []string
	for _, kind := range r.Accepts {
		accepted = append(accepted, kind.Typed())
	}
	return text + " (accepted now: " + strings.Join(accepted, ", ") + ")"
}

// Check says why a command would be refused at that time. It changes nothing: a bake may have ended since the
// engine was last told the time.
func (e *Engine) Check(c rollout.Command, now time.Time) error {
	then := *e
	then.tick(now)
	why := then.refuse(c)
	if why == "" {
		return nil
	}
	return &Refusal{Kind: c.Kind, Why: why, Accepts: then.accepts()}
}

// accepts are the commands that the rollout takes now, whatever servers they name.
func (e *Engine) accepts() []rollout.CommandKind {
	var kinds []rollout.CommandKind
	for _, kind := range rollout.CommandKinds() {
		if e.refusePhase(kind) == "" {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Do carries out a command and says in one sentence what it did.
func (e *Engine) Do(c rollout.Command, now time.Time) (string, error) {
	e.tick(now)
	if err := e.Check(c, now); err != nil {
		return "", err
	}
	c.By = cut(c.By)
	matched := e.matchedText(c) // before the command changes what its patterns mean
	done := e.carryOut(c)
	entry := done
	if c.Comment != "" {
		entry += ": " + cut(c.Comment)
	}
	e.log(c.By, entry)
	return done + matched, nil
}

func (e *Engine) refuse(c rollout.Command) string {
	if strings.TrimSpace(c.By) == "" {
		return "nobody gives it: say who you are, the rollout keeps a log"
	}
	if why := e.refusePhase(c.Kind); why != "" {
		return why
	}
	switch c.Kind {
	case rollout.Approve:
		if wave := e.plan.Waves[e.state.Wave].Name; c.Wave != "" && c.Wave != wave {
			return fmt.Sprintf("what waits for an approval is wave %s and not %s", wave, c.Wave)
		}
	case rollout.EndBake:
		if wave := e.plan.Waves[e.state.Wave].Name; c.Wave != "" && c.Wave != wave {
			return fmt.Sprintf("the wave that bakes is %s and not %s", wave, c.Wave)
		}
		if strings.TrimSpace(c.Comment) == "" {
			return "no reason is given: say why the bake may end early, the rollout keeps a log"
		}
	case rollout.Concurrency:
		if n := min(len(e.plan.Servers)+len(e.untouched), rollout.MaxInFlight); c.InFlight < 1 || c.InFlight > n {
			return fmt.Sprintf("%d servers in flight are not between 1 and %d; to start none, pause", c.InFlight, n)
		}
	case rollout.Skip:
		if len(c.Servers) == 0 {
			return "no server is named"
		}
		return e.refuseServers(c)
	case rollout.Recheck:
		if len(c.Servers) == 0 && !e.any((*Server).unhealthy) {
			return "no server is failed-unhealthy and not accepted: name one"
		}
		return e.refuseServers(c)
	case rollout.Retry, rollout.Accept:
		if len(c.Servers) == 0 && e.tally().failed == 0 {
			return "no server has failed"
		}
		if c.Kind == rollout.Retry && len(c.Servers) == 0 && !e.any((*Server).failedOnOurs) {
			return fmt.Sprintf("every server that failed (%s) has a system disk that this rollout may not have made: name one to retry it all the same", e.names(e.which((*Server).failed)))
		}
		return e.refuseServers(c)
	}
	return ""
}

// refusePhase says what stands against a kind of command as such.
func (e *Engine) refusePhase(kind rollout.CommandKind) string {
	s := &e.state
	if s.Phase == rollout.PhaseEnded {
		return fmt.Sprintf("the rollout ended at %s as %s", s.EndedAt.UTC().Format(time.RFC3339), s.End)
	}
	switch kind {
	case rollout.Pause:
		switch s.Phase {
		case rollout.PhasePaused:
			return "it is paused already: " + e.whyPaused()
		case rollout.PhaseAborting:
			return "it is aborting and starts nothing any more"
		}
	case rollout.Resume:
		if s.Phase != rollout.PhasePaused {
			return "it is not paused"
		}
		if why := e.breach(); why != "" && s.Pause.From == rollout.PhaseRunning {
			return why + "; retry or accept failures first, or abort"
		}
	case rollout.Abort: // in every phase: abort always wins
	case rollout.Approve:
		switch {
		case e.stopped():
			return "it goes to no further wave"
		case s.WaveOverAt.IsZero() || s.Wave >= len(e.plan.Waves) || !e.awaitsApproval():
			return "nothing waits for an approval"
		case !e.due(e.bakedAt()):
			return fmt.Sprintf("wave %s bakes until %s: approve what it shows then, or end its bake early with %s", e.plan.Waves[s.Wave].Name, e.bakedAt().UTC().Format(time.RFC3339), rollout.EndBake.Typed())
		}
	case rollout.EndBake:
		return e.refuseEndBake()
	case rollout.Skip, rollout.Retry, rollout.Recheck, rollout.Concurrency:
		switch {
		case e.stopped() && kind != rollout.Concurrency || s.Phase == rollout.PhaseAborting:
			return "it starts no planned server any more"
		case kind == rollout.Recheck && !e.any((*Server).recheckable):
			return "no server is failed-unhealthy"
		case kind == rollout.Retry && e.tally().failed == 0 && !e.any((*Server).acceptedFailure):
			return "no server has failed"
		case kind == rollout.Retry && !e.any((*Server).retriable):
			return fmt.Sprintf("%s has a system disk that somebody else gave it, which this rollout must not destroy: accept the failure, and plan anew if that disk may go", e.names(e.which(func(s *Server) bool { return s.Foreign && (s.failed() || s.acceptedFailure()) })))
		case kind == rollout.Skip && !e.any((*Server).untried):
			return "no server is pending"
		case kind == rollout.Concurrency && len(e.plan.Servers) == 0:
			return "it has no servers"
		}
	case rollout.Accept:
		if e.tally().failed == 0 && !e.any((*Server).toRetry) {
			return "no server has failed"
		}
	default:
		return "there is no such command"
	}
	return ""
}

// refuseEndBake says why no bake can be ended, and what to do instead.
func (e *Engine) refuseEndBake() string {
	s := &e.state
	if e.stopped() {
		return "it goes to no further wave"
	}
	if e.isBaking() {
		return ""
	}
	if s.Wave >= len(e.plan.Waves) {
		return "no wave bakes: all waves are over"
	}
	wave := e.plan.Waves[s.Wave]
	switch {
	case s.WaveOverAt.IsZero() && wave.Bake > 0:
		return fmt.Sprintf("no wave bakes: wave %s will, for %s, once its last server has ended", wave.Name, wave.Bake)
	case s.WaveOverAt.IsZero():
		return fmt.Sprintf("no wave bakes: wave %s is not over, and has no bake", wave.Name)
	case e.awaitsApproval():
		return fmt.Sprintf("the bake of wave %s is over: approve what follows it", wave.Name)
	}
	return fmt.Sprintf("no wave bakes: wave %s is over", wave.Name)
}

// endBake ends the bake of the current wave. It approves what follows the wave, too: both are one decision.
func (e *Engine) endBake(by string) string {
	s, w := &e.state, e.state.Wave
	done := fmt.Sprintf("ended the bake of wave %s, %s before its time", e.plan.Waves[w].Name, e.bakedAt().Sub(s.Now).Round(time.Second))
	s.BakesEnded = append(s.BakesEnded, BakeEnd{Wave: w, By: by, At: s.Now})
	if e.awaitsApproval() {
		s.Approvals[w] = by
		done += ", and approved what follows it"
	}
	return done
}

func (e *Engine) any(so func(*Server) bool) bool {
	for i := range e.state.Servers {
		if so(&e.state.Servers[i]) {
			return true
		}
	}
	return false
}

// untried is true for a server that waits for its first turn, toRetry for one that failed and waits for
// its next.
func (s *Server) untried() bool { return s.waits() && s.Attempts == 0 }

func (s *Server) acceptedFailure() bool {
	return s.State == rollout.Ended && s.Accepted && s.End.Failed() && s.Attempts > 0
}

func (s *Server) toRetry() bool { return s.waits() && s.Attempts > 0 }

// retriable is true for a server that may be tried again, by its name at least.
func (s *Server) retriable() bool {
	return !s.Foreign && (s.failed() || s.toRetry() || s.acceptedFailure())
}

// unhealthy is true for a server that counts as failed for its health alone.
func (s *Server) unhealthy() bool { return s.recheckable() && s.failed() }

// recheckable is true for a server of which only the health is missing.
func (s *Server) recheckable() bool {
	return s.End == rollout.FailedUnhealthy && !s.other() && (s.failed() || s.toRetry() || s.acceptedFailure())
}

func (s *Server) waits() bool { return s.State == rollout.Pending || s.State == rollout.Busy }

// refuseServers looks at every server a command names and says everything that stands against it.
func (e *Engine) refuseServers(c rollout.Command) string {
	var wrong []string
	for _, ref := range c.Servers {
		if e.isPattern(ref) {
			wrong = appendReason(wrong, e.refusePattern(c.Kind, ref))
			continue
		}
		switch found := e.byRef[ref]; len(found) {
		case 0:
			wrong = append(wrong, fmt.Sprintf("the plan has no server %s", ref))
		case 1:
			wrong = appendReason(wrong, e.refuseServer(c.Kind, found[0]))
		default:
			wrong = append(wrong, fmt.Sprintf("%d servers of the plan are called %s: give an id", len(found), ref))
		}
	}
	return strings.Join(wrong, "; ")
}

func appendReason(reasons []string, reason string) []string {
	if reason == "" {
		return reasons
	}
	return append(reasons, reason)
}

// refuseServer says what stands against a command to a server that it names.
func (e *Engine) refuseServer(kind rollout.CommandKind, i int) string {
	switch kind {
	case rollout.Skip:
		return e.refuseSkip(i)
	case rollout.Retry:
		return e.refuseRetry(i)
	case rollout.Recheck:
		return e.refuseRecheck(i)
	}
	return e.refuseUnlessFailed(i)
}

func (e *Engine) refuseSkip(i int) string {
	s := &e.state.Servers[i]
	switch {
	case s.toRetry():
		return fmt.Sprintf("%s failed (%s) and cannot be skipped: accept the failure", e.called(i), s.End)
	case s.State == rollout.InFlight:
		return fmt.Sprintf("%s is in flight and will be finished", e.called(i))
	case !s.waits():
		return fmt.Sprintf("%s has ended: %s", e.called(i), s.End)
	}
	return ""
}

// refuseRetry takes a failure that was accepted, too: whoever accepted it may have mended the server since.
func (e *Engine) refuseRetry(i int) string {
	s := &e.state.Servers[i]
	switch {
	case s.Foreign && (s.failed() || s.acceptedFailure()):
		return fmt.Sprintf("%s has a system disk that somebody else gave it, which this rollout must not destroy: accept the failure, and plan anew if that disk may go", e.called(i))
	}
	if s.acceptedFailure() {
		return ""
	}
	return e.refuseUnlessFailed(i)
}

// refuseRecheck takes nothing but a server whose new disk is proven and whose application is not.
func (e *Engine) refuseRecheck(i int) string {
	s := &e.state.Servers[i]
	switch {
	case s.recheckable():
		return ""
	case s.State == rollout.InFlight:
		return fmt.Sprintf("%s is in flight", e.called(i))
	case s.End == rollout.FailedUnhealthy && s.other():
		return fmt.Sprintf("%s has a system disk that this rollout may not have made", e.called(i))
	case s.End.Failed() && s.Attempts > 0:
		return fmt.Sprintf("%s is %s: only a new change helps, see retry", e.called(i), s.End)
	case s.State != rollout.Ended:
		return fmt.Sprintf("%s has not failed: it is %s", e.called(i), s.State)
	}
	return fmt.Sprintf("%s has not failed: %s", e.called(i), s.End)
}

func (e *Engine) refuseUnlessFailed(i int) string {
	s := &e.state.Servers[i]
	switch {
	case s.failed(), s.toRetry():
		return ""
	case s.State != rollout.Ended:
		return fmt.Sprintf("%s has not failed: it is %s", e.called(i), s.State)
	case s.Accepted:
		return fmt.Sprintf("the failure of %s was accepted already", e.called(i))
	}
	return fmt.Sprintf("%s has not failed: %s", e.called(i), s.End)
}

// carryOut does what a command that was checked says.
func (e *Engine) carryOut(c rollout.Command) string {
	s := &e.state
	switch c.Kind {
	case rollout.Pause:
		e.pause(PauseState{Why: c.By + " asked for it"})
		return "paused: " + e.inFlight("untouched ones wait for their turn again, the others are finished")
	case rollout.Resume:
		if !s.Deadline.IsZero() && e.due(s.Deadline) { // whoever resumes knows that it is late
			s.Deadline = s.Now.Add(e.plan.Deadline)
		}
		s.Phase, s.Pause, s.Credentials = s.Pause.From, nil, ""
		s.StatesRead, s.ReadTrouble = min(s.StatesRead, s.Wave), "" // a pause may have lasted for days
		return "resumed"
	case rollout.Abort:
		if s.Phase != rollout.PhaseAborting {
			e.stop(rollout.PhaseAborting)
		}
		return "aborted: " + e.inFlight("submitted changes are finished, all others are recalled")
	case rollout.Approve:
		s.Approvals[s.Wave] = c.By
		return fmt.Sprintf("approved what follows wave %s", e.plan.Waves[s.Wave].Name)
	case rollout.EndBake:
		return e.endBake(c.By)
	case rollout.Concurrency:
		before := s.Cap
		s.Cap = c.InFlight
		done := fmt.Sprintf("up to %s in flight, before it was %d", servers(c.InFlight), before)
		if most, why := e.otherLimits(e.tally()); most > 0 {
			done += fmt.Sprintf("; at most %d for now, because of %s", most, why)
		}
		return done
	case rollout.Skip:
		chosen := e.named(c)
		for _, i := range chosen {
			e.giveUp(i, rollout.Skipped, "skipped by "+c.By)
		}
		return "skipped " + e.names(chosen)
	case rollout.Recheck:
		chosen := e.namedOr(c, (*Server).unhealthy)
		e.tryAgain(chosen, true)
		done := "the health of " + e.names(chosen) + " will be checked again"
		if s.Phase == rollout.PhasePaused {
			done += " once the rollout is resumed"
		}
		return done
	case rollout.Retry:
		chosen := e.namedOr(c, (*Server).failedOnOurs)
		e.tryAgain(chosen, false)
		done := e.names(chosen) + " will be tried again"
		if s.Phase == rollout.PhasePaused {
			done += " once the rollout is resumed"
		}
		if left := e.which(func(s *Server) bool { return s.failed() && s.other() }); len(c.Servers) == 0 && len(left) > 0 {
			done += fmt.Sprintf("; not %s, whose system disk this rollout may not have made", e.names(left))
		}
		return done
	default: // rollout.Accept
		chosen := e.namedOr(c, (*Server).failed)
		for _, i := range chosen {
			e.giveUp(i, "", "")
			s.Servers[i].Accepted = true
		}
		return "accepted the failure of " + e.names(chosen)
	}
}

// tryAgain gives failed servers another turn: to be changed, or only to have their health checked.
func (e *Engine) tryAgain(chosen []int, recheck bool) {
	for _, i := range chosen {
		server := &e.state.Servers[i]
		server.Recheck = recheck
		if server.State == rollout.Ended {
			server.State, server.BusySince, server.Accepted = rollout.Pending, time.Time{}, false
		}
	}
}

// inFlight says what becomes of the servers in flight when nothing more is started.
func (e *Engine) inFlight(become string) string {
	if n := e.tally().inFlight; n > 0 {
		return fmt.Sprintf("%s in flight: %s", servers(n), become)
	}
	return "nothing is in flight"
}

// named are the servers that a command names, or means by a pattern, each once.
func (e *Engine) named(c rollout.Command) []int {
	var chosen []int
	for _, ref := range c.Servers {
		found := e.byRef[ref]
		if e.isPattern(ref) {
			found, _ = e.matching(c.Kind, ref)
		}
		for _, i := range found {
			if !slices.Contains(chosen, i) {
				chosen = append(chosen, i)
			}
		}
	}
	return chosen
}

// namedOr are the servers named, or all that are so.
func (e *Engine) namedOr(c rollout.Command, so func(*Server) bool) []int {
	if len(c.Servers) > 0 {
		return e.named(c)
	}
	return e.which(so)
}
