package planner

import (
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// cutWaves turns the waves of the document into numbers of servers. The last has to reach them all.
func (p *planner) cutWaves() {
	n, end, last := len(p.chosen), 0, -1 // last is the last wave with servers
	for i, w := range p.spec.Waves {
		begin := end
		end = waveEnd(w, begin, n)
		if end > begin {
			last = i
		}
		p.plan.Waves = append(p.plan.Waves, rollout.Wave{Name: w.Name, End: end, Bake: time.Duration(w.Bake), Approval: w.Approval})
	}
	if last >= 0 && p.plan.Waves[last].Approval {
		p.plan.Waves[last].Approval = false
		p.warning("wave %s is the last with servers: its approval would approve nothing and is left out", p.plan.Waves[last].Name)
	}
	if end < n {
		p.problem("the waves come to %d of %s and leave out %d: %s; let the last wave be upTo: 100%%", end, rollout.Count(n, "server"), n-end, p.names(p.chosen[end:]))
	}
}

// waveEnd is where a wave ends that begins at begin, of n servers: docs/rollout.md#rounding. A wave never
// ends before it begins: then it is empty.
func waveEnd(w document.Wave, begin, n int) int {
	switch {
	case w.Count != nil:
		return min(n, begin+*w.Count)
	case w.Percent != nil:
		return min(n, begin+w.Percent.Ceil(n))
	case w.UpTo != nil:
		return max(begin, w.UpTo.Ceil(n))
	}
	return begin
}

// warnOfWaves tells where the waves are not what they seem.
func (p *planner) warnOfWaves() {
	waves, n := p.plan.Waves, len(p.plan.Servers)
	if n > 1 && len(waves) > 1 && waves[0].End == n {
		p.warning("the first wave, %s, is all %d servers: nothing is tried on a few first", waves[0].Name, n)
	}
	if n > 10 && len(waves) == 1 {
		p.warning("there is one wave of all %d servers: a small first wave would show a bad image on a few", n)
	}
	var empty []string
	begin := 0
	for _, w := range waves {
		if w.End == begin {
			empty = append(empty, w.Name)
		}
		begin = w.End
	}
	if len(empty) > 0 {
		verb := "wave %s is empty and is passed over: it neither bakes nor asks"
		if len(empty) > 1 {
			verb = "waves %s are empty and are passed over: they neither bake nor ask"
		}
		p.warning("%s", fmt.Sprintf(verb, named(empty)))
	}
}
