package engine_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/engine"
)

// story is a whole rollout, told in testdata/<name>.golden.
type story struct {
	name, tells string
	plan        rollout.Plan
	// attempts say by the server's name how each attempt at it goes. What is not said is done after 5 minutes.
	attempts map[string][]attempt
	commands []told
	// outages are when servers are down, and not because of the rollout, and when they run again.
	outages []outage
	// unread are the times until which the states of the servers cannot be read.
	unread time.Duration
}

// outage of a server, by its name.
type outage struct {
	name        string
	status      string
	from, until time.Duration
}

// attempt at one server: an end after a while, or, with a holder, the answer that somebody else is at it.
type attempt struct {
	after  time.Duration
	end    rollout.ServerEnd
	reason string
	holder string
	down   bool
	// staysOff is true for a server that is stopped again after its change.
	staysOff bool
	// refused is true when the cloud does not accept the workers' credentials.
	refused bool
	// recalled is true when the rollout takes the server back, suspected when the server may have failed: so long after its
	// start.
	recalled  bool
	suspected time.Duration
	has       fate // of a server that failed changed; a new disk when it is not given
}

// told is a command at a time after the start.
type told struct {
	at time.Duration
	rollout.Command
}

const (
	usual = 5 * time.Minute
	noKey = "the cloud refuses the credentials of profile web: HTTP 401"
)

// TestStories plays every story and compares it with its golden file. REIMAGE_UPDATE=1 writes them anew:
// read them then, they are the specification.
func TestStories(t *testing.T) {
	stories := slices.Concat(waveStories(), bakeStories(), capStories(), budgetStories(), breachStories(), controlStories())
	var names []string
	for _, st := range stories {
		names = append(names, st.name+".golden")
		t.Run(st.name, func(t *testing.T) {
			file := filepath.Join("testdata", st.name+".golden")
			got := st.play(t)
			if os.Getenv("REIMAGE_UPDATE") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "REIMAGE_UPDATE=1 writes it")
			assert.Equal(t, string(want), got)
		})
	}
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	for _, file := range files {
		assert.Contains(t, names, filepath.Base(file), "no story is told in this file")
	}
}

// teller plays a story and writes down what happens.
type teller struct {
	*sim
	story
	out     strings.Builder
	flights []flight
	logged  int
	why     string
}

type flight struct {
	server          int
	at, suspectedAt time.Time
	attempt
}

func (st story) play(t *testing.T) string {
	w := &teller{sim: newSim(t, st.plan), story: st}
	fmt.Fprintf(&w.out, "%s\n\n%s\n", st.tells, describe(st.plan))
	for range 1000 {
		d := w.advance()
		w.entries()
		w.starts(d)
		w.standing()
		w.probe()
		if d.Over {
			break
		}
		if d.ReadStates {
			w.states()
			continue
		}
		if !w.next(d) {
			w.line("stands", "and nobody comes to help")
			require.True(t, w.restored().Progress().NeedsHuman)
			break
		}
	}
	w.table()
	return w.out.String()
}

// next moves the clock to whatever comes first and lets it happen: ends before commands.
func (w *teller) next(d engine.Decision) bool {
	next := d.WakeAt
	for _, f := range w.flights {
		for _, at := range []time.Time{f.suspectedAt, f.at} {
			if at.After(w.now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	for _, c := range w.commands {
		if at := day().Add(c.at); at.After(w.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return false
	}
	passed := func(at time.Time) bool { return at.After(w.now) && !at.After(next) }
	var commands []rollout.Command
	for _, c := range w.commands {
		if passed(day().Add(c.at)) {
			commands = append(commands, c.Command)
		}
	}
	w.now = next
	w.suspicions()
	w.land()
	for _, c := range commands {
		w.give(c)
	}
	return true
}

// states lets the engine read the states of the servers, as the outages have it.
func (w *teller) states() {
	if since := w.now.Sub(day()); since < w.unread {
		w.line("unread", "the states of the servers")
		w.readInVain(false)
		w.entries()
		return
	}
	var found []string
	off := func(name string) string {
		since := w.now.Sub(day())
		for _, o := range w.outages {
			if o.name == name && since >= o.from && since < o.until {
				found = append(found, name+" is "+o.status)
				return o.status
			}
		}
		return ""
	}
	for i := range w.world {
		w.world[i].off = off(w.name(i))
	}
	for i, other := range w.sim.plan.Untouched() {
		w.others[i] = off(other.Name)
	}
	w.line("states", "%s", cmp.Or(strings.Join(found, ", "), "all servers run"))
	w.readStates()
	w.entries()
}

func (w *teller) suspicions() {
	for _, f := range w.flights {
		if f.suspectedAt.Equal(w.now) {
			w.line("suspect", "%s: its job has failed", w.name(f.server))
			w.suspect(f.server, "its job has failed")
			w.entries()
		}
	}
}

func (w *teller) land() {
	var rest []flight
	for _, f := range w.flights {
		switch {
		case f.at.After(w.now):
			rest = append(rest, f)
		case f.holder != "":
			w.line("busy", "%s: %s", w.name(f.server), f.holder)
			w.busy(f.server, f.holder)
			w.entries()
		case f.recalled:
			w.line("recalled", "%s", w.name(f.server))
			w.recall(f.server, true)
			w.entries()
		case f.refused:
			w.line("refused", "%s: %s", w.name(f.server), noKey)
			w.refuse(f.server, false, noKey)
			w.entries()
		default:
			w.line("ended", "%s %s: %s", w.name(f.server), f.end, f.reason)
			up := f.end == rollout.Done && !f.staysOff
			if up {
				w.outages = slices.DeleteFunc(w.outages, func(o outage) bool { return o.name == w.name(f.server) })
			}
			w.tell(f.server, engine.Outcome{End: f.end, Reason: f.reason, Down: f.down, Up: up}, cmp.Or(f.has, newDisk), false)
			w.entries()
		}
	}
	w.flights = rest
}

func (w *teller) give(c rollout.Command) {
	text := string(c.Kind) + " " + strings.Join(c.Servers, " ")
	if c.Kind == rollout.Concurrency {
		text += fmt.Sprint(c.InFlight)
	}
	if c.Kind == rollout.EndBake {
		text = strings.TrimSpace(text + c.Wave)
		if c.Comment != "" {
			text += ", because " + c.Comment
		}
	}
	w.line("command", "%s: %s", c.By, strings.TrimSpace(text))
	said, err := w.command(c)
	if err != nil {
		w.line("refused", "%s", err)
		return
	}
	w.line("answer", "%s", said)
	w.entries()
}

// entries writes what is new in the log of the rollout.
func (w *teller) entries() {
	log := w.read().Log
	require.Less(w.t, len(log), 50, "the log is cut")
	for ; w.logged < len(log); w.logged++ {
		if entry := log[w.logged]; entry.By != "" {
			w.line("log", "%s (by %s)", entry.What, entry.By)
		} else {
			w.line("log", "%s", entry.What)
		}
	}
}

func (w *teller) starts(d engine.Decision) {
	for _, start := range d.Start {
		a := attempt{}
		if left := w.attempts[w.name(start.Server)]; len(left) > 0 {
			a, w.attempts[w.name(start.Server)] = left[0], left[1:]
		}
		a.end, a.after, a.reason = cmp.Or(a.end, rollout.Done), cmp.Or(a.after, usual), cmp.Or(a.reason, "as expected")
		if a.holder != "" || a.refused {
			a.after = time.Second
		}
		next := flight{server: start.Server, at: w.now.Add(a.after), attempt: a}
		if a.suspected > 0 {
			next.suspectedAt = w.now.Add(a.suspected)
		}
		w.flights = append(w.flights, next)
		back := ""
		if start.Rollback {
			back = ", back to its previous image"
		}
		w.line("started", "%s%s", w.name(start.Server), back)
	}
}

// standing writes what an operator sees, when that has changed.
func (w *teller) standing() {
	p := w.restored().Progress()
	why := fmt.Sprintf("%s [slots %d of %d", p.Why, p.Slots, p.SlotsCap)
	if p.SlotsHeldFailed > 0 {
		why += fmt.Sprintf(", %d held by failed", p.SlotsHeldFailed)
	}
	if p.SlotsHeldDown > 0 {
		why += fmt.Sprintf(", %d held by down", p.SlotsHeldDown)
	}
	why += fmt.Sprintf("; failed %d, tolerated %d]", p.Failed, p.Tolerated)
	if p.NeedsHuman {
		why += " NEEDS A HUMAN"
	}
	if why != w.why {
		w.line("why", "%s", why)
	}
	w.why = why
}

func (w *teller) table() {
	s := w.read()
	fmt.Fprintf(&w.out, "\n%s after %s\n", cmp.Or(string(s.End), "not ended"), w.now.Sub(day()))
	for i := range s.Servers {
		p := w.restored().Server(i)
		text := fmt.Sprintf("  %s  %s", p.Name, cmp.Or(string(p.End), string(p.State)))
		if p.Attempts != 1 {
			text += fmt.Sprintf(", %d attempts", p.Attempts)
		}
		if p.Accepted {
			text += ", accepted"
		}
		reason := strings.TrimSuffix(p.Reason, "; before that: as expected")
		if reason = strings.TrimSuffix(reason, "as expected"); reason != "" {
			text += ": " + strings.TrimSuffix(reason, ": ")
		}
		fmt.Fprintln(&w.out, text)
	}
}

func (w *teller) name(server int) string { return w.sim.plan.Servers[server].Name }

func (w *teller) line(what, format string, args ...any) {
	fmt.Fprintf(&w.out, "%s  %-8s %s\n", w.now.Format(time.TimeOnly), what, fmt.Sprintf(format, args...))
}
