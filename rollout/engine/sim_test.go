package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// sim is the world around an engine: it has the clock, the servers with their real disks, and the workflow
// that carries out decisions. Between any two steps only the written state of the engine survives; a second
// engine that is never written must decide the same.
type sim struct {
	t    require.TestingT
	plan rollout.Plan
	live *engine.Engine
	// saved is the state as JSON. The clock can go back: latest is the latest time that the engine was told.
	saved       []byte
	now, latest time.Time
	world       []machine
	others      []string // the statuses of Plan.Untouched that are down
	checker     checker
}

// machine is a server as it really is.
type machine struct {
	disk rollout.Fingerprint // no volume: lost
	gone bool
	down bool                // with its old disk
	off  string              // its status while it is down, and not because of the rollout
	told rollout.Fingerprint // the disk the engine was told of last
	// replaced is the disk that the last attempt was to replace that may have done so.
	replaced rollout.Fingerprint
	last     engine.Start // the attempt in flight, or the last one
	// disks counts the system disks it had, ours are those that an attempt gave it, and foreign is true when the
	// engine was told that the present one came from somebody else.
	disks   int
	ours    map[string]bool
	foreign bool
	// late is true while a change may still come that nobody follows any more.
	late bool
}

// fate is what became of the disk of a server that failed changed.
type fate string

const (
	newDisk     fate = "a new disk"
	oldDisk     fate = "the old disk, and the change may still come"
	foreignDisk fate = "a disk from somebody else"
)

// day is when every simulated rollout begins.
func day() time.Time { return time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) }

func newSim(t require.TestingT, plan rollout.Plan) *sim {
	s := &sim{t: t, plan: plan, live: engine.New(plan, "ann", day()), now: day(), latest: day(), world: make([]machine, len(plan.Servers))}
	for i, server := range plan.Servers {
		s.world[i] = machine{disk: server.Before, told: server.Before, ours: map[string]bool{}}
		if server.Status != rollout.StatusActive && plan.Caps.CountOthers {
			s.world[i].off = server.Status
		}
	}
	for _, other := range plan.Untouched() {
		status := ""
		if other.Status != rollout.StatusActive {
			status = other.Status
		}
		s.others = append(s.others, status)
	}
	s.saved = write(t, s.live.State())
	s.checker = newChecker(s)
	return s
}

func write(t require.TestingT, state engine.State) []byte {
	text, err := json.Marshal(state)
	require.NoError(t, err)
	return text
}

// read is the state as it was written.
func (s *sim) read() engine.State {
	var state engine.State
	require.NoError(s.t, json.Unmarshal(s.saved, &state))
	return state
}

// restored is an engine that knows only what was written.
func (s *sim) restored() *engine.Engine { return engine.Restore(s.plan, s.read()) }

// do takes one step with the engine that was restored, and with the one that never was.
func do[T any](s *sim, step func(e *engine.Engine) T) T {
	restored := s.restored()
	got := step(restored)
	require.Equal(s.t, step(s.live), got, "a restored engine decides otherwise")
	s.saved = write(s.t, restored.State())
	require.Equal(s.t, string(write(s.t, s.live.State())), string(s.saved), "a restored engine ends up in another state")
	return got
}

// tick notes that the engine is about to be told the time.
func (s *sim) tick() {
	if s.now.After(s.latest) {
		s.latest = s.now
	}
}

func (s *sim) advance() engine.Decision {
	s.tick()
	before := s.read()
	d := do(s, func(e *engine.Engine) engine.Decision { return e.Advance(s.now) })
	for _, start := range d.Start {
		s.world[start.Server].last = start
	}
	s.checker.advanced(before, d)
	s.checker.takesBack(d)
	return d
}

// inFlight are the servers that the engine holds to be in flight.
func (s *sim) inFlight() []int {
	var all []int
	for i, server := range s.read().Servers {
		if server.State == rollout.InFlight {
			all = append(all, i)
		}
	}
	return all
}

// finish ends the attempt at a server: what the end says happens to its disk, and the engine is told.
func (s *sim) finish(i int, end rollout.ServerEnd, reason string) {
	s.tell(i, engine.Outcome{End: end, Reason: reason}, newDisk, false)
}

// tell is finish for servers that are down, for other fates than a new disk, and, silent, for those whose disk
// was not looked at afterwards.
func (s *sim) tell(i int, out engine.Outcome, fate fate, silent bool) {
	m, image, end := &s.world[i], s.plan.Change.ImageID, out.End
	if m.last.Rollback {
		image = s.plan.Servers[i].Before.ImageID
	}
	m.down = (out.Down || m.down) && !out.Up
	s.checker.left(i, out)
	switch end {
	case rollout.Done, rollout.FailedChanged, rollout.FailedUnhealthy:
		if m.last.Recheck { // nothing was done to it
			m.down = false
			break
		}
		m.down, m.late = false, end == rollout.FailedChanged && fate == oldDisk
		if !m.late {
			m.replaceDisk(i, image)
		}
		m.foreign = end == rollout.FailedChanged && fate == foreignDisk
		m.ours[m.disk.VolumeID] = !m.late && !m.foreign
		out.Foreign = m.foreign
	case rollout.FailedLost:
		m.disk.VolumeID = ""
	case rollout.Vanished:
		m.gone = true
	}
	if touched := end != rollout.FailedIntact && end != rollout.NotStarted && end != rollout.Skipped; touched && !m.last.Recheck {
		m.replaced = m.last.Expect
	}
	outOfService := s.read().Servers[i].End.OutOfService()
	switch {
	case m.gone, silent && end != rollout.Done && end != rollout.FailedUnhealthy: // proof is never silent
	case end == rollout.NotStarted:
		out.After = m.disk // the refusal names it
		if outOfService && !m.foreign && m.disk.VolumeID != "" {
			m.told = m.disk
		}
	case m.foreign: // and not ours to lose, whoever is told
		out.After = m.disk
	case end != rollout.Skipped:
		out.After, m.told = m.disk, m.disk
	}
	s.tick()
	s.checker.finished(i, end)
	do(s, func(e *engine.Engine) bool { e.Finished(i, out, s.now); return true })
}

func (m *machine) replaceDisk(i int, image string) {
	m.disks++
	m.disk = rollout.Fingerprint{ImageID: image, VolumeID: fmt.Sprintf("disk-%d-of-%d", m.disks, i)}
}

// comeLate lets a change come that nobody follows any more. The engine is not told.
func (s *sim) comeLate(i int) {
	if m := &s.world[i]; m.late {
		m.late = false
		m.replaceDisk(i, s.plan.Change.ImageID)
		m.ours[m.disk.VolumeID] = true
	}
}

// readStates tells the engine which servers are down.
func (s *sim) readStates() {
	s.tick()
	down := map[string]string{"id-of-a-stranger": rollout.StatusShutoff}
	for i, m := range s.world {
		if m.off != "" {
			down[s.plan.Servers[i].ID] = m.off
		}
	}
	for i, status := range s.others {
		if status != "" {
			down[s.plan.Untouched()[i].ID] = status
		}
	}
	s.checker.foundDown(down)
	do(s, func(e *engine.Engine) bool { e.StatesRead(down, s.now); return true })
}

// readInVain tells the engine that the states could not be read, or that the credentials were refused.
func (s *sim) readInVain(refused bool) {
	s.tick()
	do(s, func(e *engine.Engine) bool {
		if refused {
			e.StatesRefused(noKey, s.now)
		} else {
			e.StatesNotRead("the cloud does not answer", s.now)
		}
		return true
	})
}

// repeat tells once more of a server that is not in flight. Only the clock may move.
func (s *sim) repeat(i int, end rollout.ServerEnd) {
	s.tick()
	before := s.read()
	do(s, func(e *engine.Engine) bool {
		e.Finished(i, engine.Outcome{End: end, Reason: "reported twice"}, s.now)
		e.Busy(i, "reported twice", s.now)
		e.CredentialsRefused(i, true, "reported twice", s.now)
		e.Recalled(i, true, s.now)
		e.Suspected(s.plan.Servers[i].ID, "reported twice", s.now)
		return true
	})
	after := s.read()
	before.Now = after.Now
	require.Equal(s.t, before, after)
}

func (s *sim) busy(i int, holder string) {
	s.tick()
	s.checker.busy(i)
	do(s, func(e *engine.Engine) bool { e.Busy(i, holder, s.now); return true })
	s.checker.patience(i)
}

// refuse lets the cloud refuse the credentials of the workers: nothing happens to the server, but that one which an
// attempt before had left off may be found running.
func (s *sim) refuse(i int, up bool, refusal string) {
	s.tick()
	s.world[i].down = s.world[i].down && !up
	s.checker.refused(i)
	s.checker.left(i, engine.Outcome{Up: up})
	before := s.read()
	do(s, func(e *engine.Engine) bool { e.CredentialsRefused(i, up, refusal, s.now); return true })
	s.checker.unblamed(before, i, refusal)
}

// recall takes a server in flight back before its change was submitted.
func (s *sim) recall(i int, up bool) {
	s.tick()
	s.world[i].down = s.world[i].down && !up
	s.checker.refused(i)
	s.checker.left(i, engine.Outcome{Up: up})
	before := s.read()
	do(s, func(e *engine.Engine) bool { e.Recalled(i, up, s.now); return true })
	s.checker.recalled(before, i)
}

// suspect tells that a server may have failed. Nothing but what is started depends on that.
func (s *sim) suspect(i int, why string) {
	s.tick()
	before := s.read()
	do(s, func(e *engine.Engine) bool { e.Suspected(s.plan.Servers[i].ID, why, s.now); return true })
	after := s.read()
	forward := before.Servers[i].State == rollout.InFlight && !before.Servers[i].RollingBack
	if forward && before.Servers[i].Suspicion == "" {
		require.Equal(s.t, why, after.Servers[i].Suspicion)
		before.Servers[i].Suspicion = why
	}
	require.Equal(s.t, before.Servers, after.Servers)
	require.Equal(s.t, before.Phase, after.Phase, "a suspicion is no failure")
}

// await lets a server in flight wait for credentials.
func (s *sim) await(refusal string) {
	s.tick()
	before := s.read()
	do(s, func(e *engine.Engine) bool { e.CredentialsAwaited(refusal, s.now); return true })
	after := s.read()
	require.Equal(s.t, before.Servers, after.Servers, "it is nobody's failure")
	if len(s.inFlight()) > 0 && before.Phase != rollout.PhaseAborting {
		require.Equal(s.t, rollout.PhasePaused, after.Phase)
	} else {
		require.Equal(s.t, before.Phase, after.Phase)
	}
}

// command gives a command and returns what the engine says to it, or why it refuses.
func (s *sim) command(c rollout.Command) (said string, err error) {
	s.tick()
	before := s.read()
	check := s.restored().Check(c, s.now)
	said = do(s, func(e *engine.Engine) string {
		var text string
		text, err = e.Do(c, s.now)
		return text
	})
	require.Equal(s.t, check, err, "Check and Do disagree")
	if err != nil {
		after := s.read()
		before.Now = after.Now
		require.Equal(s.t, before, after, "a refused command changes the state")
	} else {
		s.checker.commanded(before, c)
	}
	return said, err
}

// probe asks every command without giving it: asking changes nothing, and Accepts names exactly the kinds
// of which one command at least would be accepted.
func (s *sim) probe() {
	e := s.restored()
	accepted, ofOne := map[rollout.CommandKind]bool{}, map[rollout.CommandKind]bool{}
	for _, c := range s.askable() {
		if e.Check(c, s.latest) == nil {
			accepted[c.Kind] = true
			ofOne[c.Kind] = ofOne[c.Kind] || len(c.Servers) == 1
		}
	}
	for _, kind := range []rollout.CommandKind{rollout.Skip, rollout.Accept, rollout.Retry, rollout.Recheck} {
		byPattern := e.Check(rollout.Command{Kind: kind, By: "ben", Servers: []string{"*"}}, s.latest) == nil
		require.True(s.t, !byPattern || ofOne[kind], "a pattern means a server to %s that cannot be named", kind)
		require.True(s.t, byPattern || !ofOne[kind] || kind == rollout.Retry || kind == rollout.Recheck, "a pattern means every server to %s", kind)
	}
	accepts := e.Progress().Accepts
	for _, kind := range rollout.CommandKinds() {
		require.Equal(s.t, accepted[kind], slices.Contains(accepts, kind), "Accepts is wrong on %s", kind)
		require.Error(s.t, e.Check(rollout.Command{Kind: kind, InFlight: 1}, s.latest), "nobody may give a command")
	}
	require.Equal(s.t, string(s.saved), string(write(s.t, e.State())), "asking changed the state")
}

// askable are all commands worth asking for.
func (s *sim) askable() []rollout.Command {
	all := []rollout.Command{
		{Kind: rollout.Pause}, {Kind: rollout.Resume}, {Kind: rollout.Abort}, {Kind: rollout.Approve}, {Kind: rollout.EndBake, Comment: "it shows enough"},
		{Kind: rollout.Retry}, {Kind: rollout.Recheck}, {Kind: rollout.Accept}, {Kind: rollout.Concurrency, InFlight: 1}, {Kind: "promote"},
	}
	for _, server := range s.plan.Servers {
		for _, kind := range []rollout.CommandKind{rollout.Skip, rollout.Retry, rollout.Recheck, rollout.Accept} {
			all = append(all, rollout.Command{Kind: kind, Servers: []string{server.ID}})
		}
	}
	for i := range all {
		all[i].By = "ben"
	}
	return all
}
