package engine

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
)

const (
	shownFailures = 100
	shownLog      = 10
)

// Progress is everything an operator watches.
func (e *Engine) Progress() rollout.Progress {
	s, t := &e.state, e.tally()
	p := rollout.Progress{
		Name: e.plan.Name, Reason: e.plan.Reason, ImageName: e.plan.ImageName, ImageID: e.plan.Change.ImageID, Project: e.plan.Project,
		Profile: e.plan.Profile, Edition: e.plan.Edition, StartedBy: s.StartedBy,
		Phase: s.Phase, End: s.End, Counts: e.Counts(), Waves: e.waves(),
		Slots: t.slots, SlotsHeldFailed: t.heldFailed, SlotsHeldDown: t.heldDown, SlotsCap: s.Cap,
		Failed: t.failed, Tolerated: e.tolerated(t),
		Accepts: e.accepts(), Log: s.Log[max(0, len(s.Log)-shownLog):],
		StartedAt: s.StartedAt, EndedAt: s.EndedAt, Deadline: s.Deadline,
	}
	p.Why, p.NeedsHuman = e.why(t)
	if s.Credentials != "" {
		p.CredentialsRefused, p.Secrets = true, e.plan.Change.Secrets()
	}
	p.SlotsMost, p.SlotsHeldBy = e.otherLimits(t)
	if s.Phase == rollout.PhaseRunning && e.heldByDown() {
		p.Held = e.refsOf(e.waiting())
	}
	for i, server := range s.Servers {
		switch {
		case server.State == rollout.InFlight || server.State == rollout.Soaking:
			p.InFlight = append(p.InFlight, e.Server(i))
		case server.failed() && len(p.Failures) < shownFailures:
			p.Failures = append(p.Failures, e.Server(i))
		}
	}
	return p
}

// Server is the progress of the server at a position of the plan.
func (e *Engine) Server(i int) rollout.ServerProgress {
	planned, s := e.plan.Servers[i], e.state.Servers[i]
	p := rollout.ServerProgress{
		ID: planned.ID, Name: planned.Name, Zone: planned.Zone, Group: planned.Group, Wave: e.plan.Waves[e.waveOf(i)].Name,
		State: s.State, RollingBack: s.RollingBack, Suspicion: s.Suspicion, Reason: s.Reason, Accepted: s.Accepted, HoldsSlot: s.holdsSlot(), Down: s.Down, DownStatus: s.DownStatus,
		Attempts: s.Attempts, StartedAt: s.StartedAt, EndedAt: s.EndedAt, Before: planned.Before, After: s.showed(),
	}
	switch s.State {
	case rollout.Ended, rollout.Soaking:
		p.End, p.Failure, p.Foreign, p.OtherDisk = s.End, s.Failure, s.Foreign, !s.Foreign && s.other()
	case rollout.InFlight:
		p.DownStatus = ""
	case rollout.Busy:
		p.Reason = s.busy()
	}
	return p
}

func (e *Engine) waveOf(server int) int {
	w := 0
	for e.plan.Waves[w].End <= server {
		w++
	}
	return w
}

// Counts are the numbers of all servers.
func (e *Engine) Counts() rollout.Counts { return e.counts(0, len(e.state.Servers)) }

func (e *Engine) counts(from, to int) rollout.Counts {
	c := rollout.Counts{Servers: to - from}
	for _, s := range e.state.Servers[from:to] {
		switch {
		case s.State == rollout.Pending || s.State == rollout.Busy:
			c.Pending++
		case s.State == rollout.InFlight:
			c.InFlight++
		case s.State == rollout.Soaking:
			c.Soaking++
		case s.End == rollout.Done:
			c.Done++
		case s.End == rollout.Skipped:
			c.Skipped++
		case s.End == rollout.Restored:
			c.RolledBack++
		case s.Attempts == 0:
			c.NotStarted++
		default:
			c.Failed++
			if s.Accepted {
				c.Accepted++
			}
		}
	}
	return c
}

func (e *Engine) waves() []rollout.WaveProgress {
	all := make([]rollout.WaveProgress, len(e.plan.Waves))
	for w, wave := range e.plan.Waves {
		all[w] = rollout.WaveProgress{
			Name: wave.Name, Counts: e.counts(e.waveStart(w), wave.End), ApprovedBy: e.state.Approvals[w],
		}
		if early := e.bakeEnd(w); early != nil {
			all[w].BakeEndedBy = early.By
		}
	}
	if w := e.state.Wave; w < len(all) && e.state.Phase != rollout.PhaseEnded {
		all[w].Current = true
		if !e.state.WaveOverAt.IsZero() && !e.stopped() {
			if until := e.bakedAt(); !e.due(until) {
				all[w].BakeUntil = until
			} else {
				all[w].AwaitsApproval = e.awaitsApproval()
			}
		}
	}
	return all
}

// why says what the rollout does or waits for, and whether only a human can make it go on.
func (e *Engine) why(t tally) (why string, needsHuman bool) {
	s := &e.state
	inFlight := servers(t.inFlight) + " in flight"
	switch s.Phase {
	case rollout.PhaseEnded:
		why = "ended: " + string(s.End)
		if c := e.Counts(); s.End == rollout.Completed && c.Done == 0 {
			why += ", but no server was changed: all were skipped"
		}
		return why, false
	case rollout.PhaseAborting:
		if s.Credentials != "" && t.inFlight > 0 {
			return "aborting: finishes " + inFlight + ", which may wait: " + s.Credentials + mend, true
		}
		return "aborting: finishes " + inFlight, false
	case rollout.PhaseRollingBack:
		toGo := 0
		for i := range s.Servers {
			if e.toRollBack(i) {
				toGo++
			}
		}
		why = fmt.Sprintf("rolling back: %s, %d to go", inFlight, toGo)
		if busy := e.nextBusy(); busy != "" && t.inFlight == 0 {
			why += "; waits for " + busy
			needsHuman = e.busyTooLong()
		}
		return why, needsHuman
	case rollout.PhasePaused:
		return fmt.Sprintf("paused: %s; %s", e.whyPaused(), inFlight), true
	}
	if s.Wave >= len(e.plan.Waves) {
		return "all waves are over", false
	}
	wave := e.plan.Waves[s.Wave].Name
	switch {
	case !s.WaveOverAt.IsZero() && !e.due(e.bakedAt()):
		return fmt.Sprintf("wave %s bakes until %s", wave, e.bakedAt().UTC().Format(time.RFC3339)), false
	case !s.WaveOverAt.IsZero() && e.awaitsApproval():
		return fmt.Sprintf("waits for somebody to approve what follows wave %s", wave), true
	case e.suspended(t):
		return fmt.Sprintf("wave %s: starts nothing until it is known whether %s failed: %s, %d pending", wave, e.names(e.which((*Server).suspect)), inFlight, e.pendingInWave()), false
	case e.mustRead() && s.ReadTrouble != "":
		return fmt.Sprintf("wave %s: waits until the states of the servers can be read, which is tried once a minute: %s", wave, s.ReadTrouble), false
	case e.mustRead():
		return fmt.Sprintf("wave %s: reads the states of the servers before it begins", wave), false
	case t.inFlight > 0:
		return fmt.Sprintf("wave %s: %s, %d pending", wave, inFlight, e.pendingInWave()), false
	case t.soaking > 0:
		return fmt.Sprintf("wave %s: %s soaking", wave, servers(t.soaking)), false
	case e.nextBusy() != "":
		return fmt.Sprintf("wave %s: waits for %s", wave, e.nextBusy()), false
	case e.heldByDown():
		return "wave " + e.whyHeldByDown(t), true
	case e.pendingInWave() > 0:
		help := "retry or accept them"
		if t.slots >= s.Cap {
			help += ", raise the concurrency"
		}
		return fmt.Sprintf("wave %s: failed servers (%s) hold the slots that the next ones need: %s, or abort", wave, e.names(e.which((*Server).holdsSlot)), help), true
	}
	return "wave " + wave, false
}

// whyPaused is why the rollout is paused. A breach is told as it is now.
func (e *Engine) whyPaused() string {
	p := e.state.Pause
	why := p.Why
	if p.Breach {
		if why = e.breach(); why == "" {
			why = p.Why + " (dealt with: resume goes on)"
		}
	}
	switch {
	case e.state.Credentials == "":
		return why
	case why == "":
		return e.state.Credentials + mendThenResume
	}
	return why + "; " + e.state.Credentials + mendThenResume
}

func (e *Engine) pendingInWave() int {
	return e.counts(0, e.plan.Waves[e.state.Wave].End).Pending
}

// nextBusy names a server that waits because another workflow changes it, and that workflow.
func (e *Engine) nextBusy() string {
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if (s.State == rollout.Busy || e.toRollBack(i)) && !e.due(s.Until) {
			return fmt.Sprintf("%s, %s", e.called(i), s.busy())
		}
	}
	return ""
}

// busyTooLong is true when a rollback waits for a server for longer than the plan's patience. It goes on
// waiting, because giving up would leave the server as it is; but somebody should look at the holder.
func (e *Engine) busyTooLong() bool {
	for i := range e.state.Servers {
		s := &e.state.Servers[i]
		if e.toRollBack(i) && !s.BusySince.IsZero() && e.due(s.BusySince.Add(e.plan.BusyWait)) {
			return true
		}
	}
	return false
}

func (s *Server) busy() string { return "busy: " + s.Holder }
