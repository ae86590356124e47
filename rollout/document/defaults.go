package document

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/reimage/reimage/rollout"
)

const defaultBusyWait = 30 * time.Minute

// WithDefaults is the document with everything filled in that it leaves out: docs/rollout.md. It shares
// nothing that it changes.
func (r Rollout) WithDefaults() Rollout {
	s := &r.Spec
	s.API = cmp.Or(s.API, APIAuto)
	s.Servers.AlreadyThere = cmp.Or(s.Servers.AlreadyThere, RuleSkip)
	s.Servers.Stopped = cmp.Or(s.Servers.Stopped, RuleChange)
	s.Servers.Locked = cmp.Or(s.Servers.Locked, RuleRefuse)
	s.Servers.Error = cmp.Or(s.Servers.Error, RuleRefuse)
	s.Servers.Unfit = cmp.Or(s.Servers.Unfit, RuleRefuse)
	s.Power = cmp.Or(s.Power, rollout.PowerAsBefore)
	s.Order = cmp.Or(s.Order, OrderZones)
	s.Waves = slices.Clone(s.Waves)
	for i := range s.Waves {
		s.Waves[i].Name = WaveName(s.Waves[i], i)
	}
	if len(s.Waves) == 0 {
		s.Waves = []Wave{{Name: "all"}}
	}
	if last := &s.Waves[len(s.Waves)-1]; last.HasNoSize() && last.Select == nil {
		last.UpTo = new(rollout.Whole)
	}
	if s.InFlight == (Limit{}) {
		s.InFlight.Count = new(1)
	}
	if s.CountOthers == nil {
		s.CountOthers = new(true)
	}
	if s.Budget.Tolerate == (Limit{}) {
		s.Budget.Tolerate.Count = new(0)
	}
	s.Budget.OnBreach = cmp.Or(s.Budget.OnBreach, rollout.BreachPause)
	s.Budget.Admission = cmp.Or(s.Budget.Admission, AdmissionReactive)
	if s.Busy.Wait == nil {
		s.Busy.Wait = new(Duration(defaultBusyWait))
	}
	s.Health.RequireBefore = cmp.Or(s.Health.RequireBefore, rollout.BeforeWarn)
	s.Health.Unhealthy = cmp.Or(s.Health.Unhealthy, UnhealthyFirst)
	s.ServerDeadline = cmp.Or(s.ServerDeadline, Duration(rollout.DefaultDeadline))
	return r
}

// HasNoSize is true for a wave that does not say how many servers it has.
func (w Wave) HasNoSize() bool { return w.Count == nil && w.Percent == nil && w.UpTo == nil }

// WaveName is the name of the wave at a position, given or not.
func WaveName(wave Wave, i int) string {
	if wave.Name != "" {
		return wave.Name
	}
	return fmt.Sprintf("wave-%d", i+1)
}
