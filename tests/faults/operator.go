package faults

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// operator is the human of a schedule. It looks at the rollout now and then, helps where one is needed, and now and
// then does something uncalled for.
type operator struct {
	seed     uint64
	helped   int
	gaveUp   bool
	told     int
	nextLook time.Time
	draws    *rand.Rand
	whims    []whim
}

// whim is a command that nobody needs.
type whim struct {
	after   time.Duration
	command rollout.Command
}

func (d draw) operator() operator {
	o := operator{seed: d.Uint64()}
	for range d.few(2) {
		c := rollout.Command{Kind: pick(d, rollout.Pause, rollout.Pause, rollout.Concurrency, rollout.Skip, rollout.Abort)}
		switch c.Kind {
		case rollout.Concurrency:
			c.InFlight = 1 + d.IntN(4)
		case rollout.Skip:
			c.Servers = []string{"web-02"}
		}
		o.whims = append(o.whims, whim{d.between(0, 20*time.Minute), c})
	}
	return o
}

const (
	lookEvery = 30 * time.Second
	// patience is how often the operator helps before giving up on what still fails.
	patience = 6
)

// act is called at every tick.
func (o *operator) act(w *world) {
	now := time.Now()
	if now.Before(o.nextLook) {
		return
	}
	o.nextLook = now.Add(lookEvery)
	if o.draws == nil {
		o.draws = rand.New(rand.NewPCG(o.seed, 1))
	}
	var p rollout.Progress
	if err := w.query(api.ProgressQuery, &p); err != nil || p.Phase == rollout.PhaseEnded || w.wordsOnTheirWay() {
		return
	}
	for i := 0; i < len(o.whims); i++ {
		if now.Sub(p.StartedAt) >= o.whims[i].after {
			o.tell(w, o.whims[i].command)
			o.whims = append(o.whims[:i], o.whims[i+1:]...)
			return
		}
	}
	if p.NeedsHuman {
		o.help(w, p)
	} else if slices.Contains(p.Accepts, rollout.EndBake) && o.draws.Float64() < 0.02 {
		o.tell(w, rollout.Command{Kind: rollout.EndBake, Comment: "it has shown enough"})
	}
}

// help does one thing that the rollout waits for.
func (o *operator) help(w *world, p rollout.Progress) {
	o.helped++
	accepts := map[rollout.CommandKind]bool{}
	for _, kind := range p.Accepts {
		accepts[kind] = true
	}
	switch {
	case accepts[rollout.Approve]:
		o.tell(w, rollout.Command{Kind: rollout.Approve})
	case p.Phase == rollout.PhaseRunning && p.SlotsHeldDown > 0 && o.makeRoom(w):
	case p.Phase == rollout.PhasePaused && len(p.InFlight) == 0 && len(p.Failures) > 0 && o.draws.Float64() < 0.5 && w.forget(p.Failures[0]):
	case len(p.Failures) > 0 && o.helped <= patience && o.draws.Float64() < 0.5:
		o.tell(w, rollout.Command{Kind: rollout.Retry, Servers: []string{p.Failures[0].ID}})
		o.tell(w, rollout.Command{Kind: rollout.Resume})
	case len(p.Failures) > 0:
		o.tell(w, rollout.Command{Kind: rollout.Accept})
		o.tell(w, rollout.Command{Kind: rollout.Resume})
	case accepts[rollout.Resume]:
		o.tell(w, rollout.Command{Kind: rollout.Resume})
	case o.helped > 20*patience:
		o.gaveUp = true
		o.tell(w, rollout.Command{Kind: rollout.Abort})
	}
}

// makeRoom helps a rollout that waits for servers that are down: it starts them by hand, or skips what waits for them.
func (o *operator) makeRoom(w *world) bool {
	var page api.ServersAnswer
	if err := w.query(api.ServersQuery, &page, api.ServersPage{Limit: api.MaxServersPage}); err != nil {
		return false
	}
	if o.draws.Float64() < 0.8 && w.startDown(page.Servers) {
		return true
	}
	var waiting []string
	for _, s := range page.Servers {
		if s.State == rollout.Pending && s.Attempts == 0 {
			waiting = append(waiting, s.ID)
		}
	}
	if len(waiting) == 0 {
		return w.startDown(page.Servers)
	}
	o.tell(w, rollout.Command{Kind: rollout.Skip, Servers: waiting[:1]})
	return true
}

func (o *operator) tell(w *world, c rollout.Command) {
	c.By = "the operator"
	o.told++
	_ = w.env.UpdateWorkflowByID(api.RolloutID(w.plan.Name), string(c.Kind), strconv.Itoa(o.told), &testsuite.TestUpdateCallback{
		OnReject: func(error) {}, OnAccept: func() {}, OnComplete: func(any, error) {},
	}, c) // one that comes too late is refused, which is as good
}
