package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

// moveOn goes to the next wave when this one is over, baked and approved, and so on until there is a wave
// with something to do. After the last one the rollout ends.
func (e *Engine) moveOn() {
	for e.state.Wave < len(e.plan.Waves) {
		e.noteWaveOver()
		if e.state.WaveOverAt.IsZero() || !e.due(e.bakedAt()) || e.awaitsApproval() {
			return
		}
		if !e.empty(e.state.Wave) { // said only now: until here a retry could open it again
			e.log("", fmt.Sprintf("wave %s is over", e.plan.Waves[e.state.Wave].Name))
		}
		e.state.Wave++
		e.state.WaveOverAt = time.Time{}
	}
	end := rollout.Completed
	for i := range e.state.Servers {
		if e.state.Servers[i].End.Failed() {
			end = rollout.CompletedWithFailures
		}
	}
	e.finish(end)
}

// noteWaveOver notices that the last server of the wave has ended, or that a retry has reopened it.
func (e *Engine) noteWaveOver() {
	w := e.state.Wave
	if w >= len(e.plan.Waves) {
		return
	}
	over := true
	for i := 0; over && i < e.plan.Waves[w].End; i++ {
		over = e.state.Servers[i].State == rollout.Ended
	}
	switch {
	case !over:
		e.state.WaveOverAt, e.state.Approvals[w] = time.Time{}, "" // what was approved is no longer so
		e.state.BakesEnded = slices.DeleteFunc(e.state.BakesEnded, func(b BakeEnd) bool { return b.Wave == w })
	case e.state.WaveOverAt.IsZero():
		e.state.WaveOverAt = e.state.Now
		if e.empty(w) {
			e.log("", fmt.Sprintf("wave %s is empty and skipped", e.plan.Waves[w].Title()))
		}
	}
}

func (e *Engine) empty(wave int) bool { return e.waveStart(wave) == e.plan.Waves[wave].End }

func (e *Engine) waveStart(wave int) int {
	if wave == 0 {
		return 0
	}
	return e.plan.Waves[wave-1].End
}

// bakedAt is when the bake after the current wave ends. An empty wave does not bake.
func (e *Engine) bakedAt() time.Time {
	if e.empty(e.state.Wave) {
		return e.state.WaveOverAt
	}
	if early := e.bakeEnd(e.state.Wave); early != nil {
		return early.At
	}
	return e.state.WaveOverAt.Add(e.plan.Waves[e.state.Wave].Bake)
}

// bakeEnd is how the bake after a wave was ended early. Nil when it was not.
func (e *Engine) bakeEnd(wave int) *BakeEnd {
	i := slices.IndexFunc(e.state.BakesEnded, func(b BakeEnd) bool { return b.Wave == wave })
	if i < 0 {
		return nil
	}
	return &e.state.BakesEnded[i]
}

// isBaking is true while the bake after the current wave lasts.
func (e *Engine) isBaking() bool {
	return e.state.Wave < len(e.plan.Waves) && !e.state.WaveOverAt.IsZero() && !e.due(e.bakedAt())
}

// awaitsApproval is true when somebody has to approve what follows the current wave, if any server does.
func (e *Engine) awaitsApproval() bool {
	w := e.state.Wave
	wave := e.plan.Waves[w]
	return wave.Approval && !e.empty(w) && wave.End < len(e.plan.Servers) && e.state.Approvals[w] == ""
}
