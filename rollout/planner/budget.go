package planner

import (
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// setBudget resolves how many failures are tolerated.
func (p *planner) setBudget() {
	b, tolerate := p.spec.Budget, p.spec.Budget.Tolerate
	budget := rollout.Budget{
		Count: tolerate.Count, MinSample: b.MinSample, PerGroup: b.PerGroup, OnBreach: b.OnBreach,
		Strict: b.Admission == document.AdmissionStrict, SlowStart: b.SlowStart,
	}
	if tolerate.Percent != nil {
		budget.Share = new(tolerate.Percent.Floor(len(p.chosen)))
	}
	p.plan.Budget = budget
}

// warnOfBudget tells where the budget protects less, or more, than it seems.
func (p *planner) warnOfBudget() {
	b, n, inFlight := p.plan.Budget, len(p.plan.Servers), p.plan.MostOutOfService(p.plan.Caps.InFlight)
	// Before the sample is complete more may be tolerated than at last, never after.
	early, atLast := b.Tolerated(0), b.Tolerated(max(n, b.MinSample))
	if percent := p.spec.Budget.Tolerate.Percent; b.Share != nil && *b.Share == 0 && *percent > 0 {
		p.warning("tolerate %s of %s is none: the first failure counts as a breach", percent, rollout.Count(n, "server"))
	}
	if b.Share != nil && b.MinSample > n {
		p.warning("minSample is %d of %s, so the percentage of failures never counts", b.MinSample, rollout.Count(n, "server"))
	}
	switch most := max(early, atLast); {
	case most >= n:
		p.warning("%s tolerated among %s: there is no budget, every server may fail", rollout.Count(most, "failure"), rollout.Count(n, "server"))
	case most >= inFlight:
		p.warning("%s tolerated and %d in flight: failed servers that are out of service can hold every slot, and then the rollout waits for somebody", rollout.Count(most, "failure"), inFlight)
	}
	if b.Strict && atLast+1 < inFlight {
		p.warning("strict admission with %s tolerated changes %d at a time, fewer than the %d in flight", rollout.Count(atLast, "failure"), atLast+1, inFlight)
	}
}
