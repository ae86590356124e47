package engine

import (
	"fmt"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// otherLimits say how many servers can be out of service at a time when that is fewer than the cap in force, and because of
// what. Zero when the cap alone decides.
func (e *Engine) otherLimits(t tally) (most int, why string) {
	if e.state.Phase != rollout.PhaseRunning {
		return 0, ""
	}
	most = e.state.Cap
	if byCaps := e.mostByCaps(); byCaps < most {
		most, why = byCaps, e.capsInWords()
	}
	if e.plan.Budget.SlowStart && e.state.Window < most {
		most, why = e.state.Window, "the slow start"
	}
	if e.plan.Budget.Strict && e.tolerated(t)+1 < most {
		most, why = max(0, e.tolerated(t)+1), "strict admission"
	}
	if why == "" {
		return 0, ""
	}
	return most, why
}

// mostByCaps is the answer of MostOutOfService for the cap in force, which takes some time to compute.
func (e *Engine) mostByCaps() int {
	if e.mostFor != e.state.Cap {
		e.most, e.mostFor = e.plan.MostOutOfService(e.state.Cap), e.state.Cap
	}
	return e.most
}

// capsInWords are what hold servers back besides the cap in flight: "the caps by zone (az1 18, az2 18)".
func (e *Engine) capsInWords() string {
	var parts []string
	for _, by := range []struct {
		what string
		caps []rollout.GroupCap
	}{{"zone", e.plan.Caps.Zones}, {"group", e.plan.Caps.Groups}} {
		var names []string
		for _, c := range by.caps {
			if c.Cap < c.Servers {
				names = append(names, fmt.Sprintf("%s %d", quoteEmpty(c.Name), c.Cap))
			}
		}
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("the caps by %s (%s)", by.what, strings.Join(few(names), ", ")))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("the plan has no more than %s", servers(len(e.plan.Servers)))
	}
	return strings.Join(parts, " and ")
}

// refsOf are servers as commands name them, none when they are many.
func (e *Engine) refsOf(chosen []int) []string {
	const most = 5
	if len(chosen) > most {
		return nil
	}
	var refs []string
	for _, i := range chosen {
		ref := e.called(i)
		if len(e.byRef[ref]) > 1 {
			ref = e.plan.Servers[i].ID
		}
		refs = append(refs, ref)
	}
	return refs
}
