package planner

import (
	"cmp"
	"fmt"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/spec"
)

// The values of what a document may leave out: docs/rollout.md.
const (
	defaultBusyWait       = 30 * time.Minute
	defaultServerDeadline = time.Hour
	apiAuto               = "auto"
)

// withDefaults fills in what the document leaves out. It changes nothing that the document shares.
func withDefaults(s spec.Spec) spec.Spec {
	s.API = cmp.Or(s.API, apiAuto)
	s.Servers.AlreadyThere = cmp.Or(s.Servers.AlreadyThere, spec.RuleSkip)
	s.Servers.Stopped = cmp.Or(s.Servers.Stopped, spec.RuleChange)
	s.Servers.Locked = cmp.Or(s.Servers.Locked, spec.RuleRefuse)
	s.Servers.Error = cmp.Or(s.Servers.Error, spec.RuleRefuse)
	s.Servers.Unfit = cmp.Or(s.Servers.Unfit, spec.RuleRefuse)
	s.Power = cmp.Or(s.Power, rollout.PowerAsBefore)
	s.Order = cmp.Or(s.Order, spec.OrderZones)
	waves := []spec.Wave{{Name: "all", UpTo: new(rollout.Whole)}}
	if len(s.Waves) > 0 {
		waves = append([]spec.Wave(nil), s.Waves...)
	}
	for i := range waves {
		waves[i].Name = cmp.Or(waves[i].Name, fmt.Sprintf("wave-%d", i+1))
	}
	s.Waves = waves
	if s.InFlight == (spec.Limit{}) {
		s.InFlight.Count = new(1)
	}
	if s.Budget.Tolerate == (spec.Limit{}) {
		s.Budget.Tolerate.Count = new(0)
	}
	s.Budget.OnBreach = cmp.Or(s.Budget.OnBreach, rollout.BreachPause)
	s.Budget.Admission = cmp.Or(s.Budget.Admission, spec.AdmissionReactive)
	if s.Busy.Wait == nil {
		s.Busy.Wait = new(spec.Duration(defaultBusyWait))
	}
	s.ServerDeadline = cmp.Or(s.ServerDeadline, spec.Duration(defaultServerDeadline))
	return s
}
