package faults

import (
	"strings"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Blows are all blows. Each can fall at each point.
func Blows() []Blow { return []Blow{Kill, Freeze, Stop, CutOff} }

// Directed is one schedule for each point and each blow, which falls when the point is reached first. Nothing else goes
// wrong but what it takes to get to the point.
func Directed() []Schedule {
	var all []Schedule
	for _, at := range Points() {
		for _, blow := range Blows() {
			all = append(all, directed(Crash{At: at, Nth: 1, Blow: blow, For: min(5*time.Minute, longest(at)), Down: 10 * time.Second}))
		}
	}
	return all
}

func directed(c Crash) Schedule {
	s := Schedule{
		Seed: 1, Workers: 1, Crashes: []Crash{c},
		Cloud: emulator.Options{Seed: 1, Fleet: []emulator.Server{{Name: "web-01", Status: rollout.StatusActive}}},
	}
	fault := func(op string, kind emulator.FaultKind, after int) {
		s.Cloud.Faults = append(s.Cloud.Faults, emulator.Fault{Op: op, Kind: kind, After: after})
	}
	switch c.At {
	case Point{requestDialled, contract.PollJob}: // the connections that there are have to break
		fault(emulator.OpJob, emulator.DropBefore, 0)
	case Point{requestDialled, contract.VerifyServer}:
		s.Cloud.Fleet[0].Status = rollout.StatusShutoff // looked at three times before it is changed
		fault(emulator.OpServer, emulator.DropBefore, 3)
	}
	switch c.At.What {
	case "start", contract.RestorePower: // the change comes to nothing
		fault(emulator.OpChangeOS, emulator.JobFail, 0)
	case "servers": // two of them are looked at together
		s.Cloud.Fleet = append(s.Cloud.Fleet, emulator.Server{Name: "web-02", Status: rollout.StatusActive})
	}
	n := len(s.Cloud.Fleet)
	s.Plan = func(cloud *emulator.Emulator) rollout.Plan {
		return planFor(cloud, shape{
			waves: []rollout.Wave{{Name: "all", End: n}}, inFlight: n, deadline: time.Hour,
			budget: rollout.Budget{Count: new(1), OnBreach: rollout.BreachAbort},
		})
	}
	return s
}

// longest is for how long a process may freeze at a point.
func longest(at Point) time.Duration {
	if !falls(Freeze, at) {
		return 10 * time.Second
	}
	return 15 * time.Minute
}

// falls is true for a blow that schedules draw at a point. Between the guard's look at the clock and a write are a few
// instructions, and docs/never-twice.md promises nothing of a process that stands still there for minutes.
func falls(blow Blow, at Point) bool {
	return blow != Freeze || at.When != requestWritten || !isWrite(at.What)
}

func isWrite(request string) bool {
	return strings.Contains("changeos stop start", request)
}

// Expected is how the servers of a directed schedule end.
func (s Schedule) Expected() map[rollout.ServerEnd]int {
	for _, f := range s.Cloud.Faults {
		if f.Kind == emulator.JobFail {
			return map[rollout.ServerEnd]int{rollout.FailedIntact: 1}
		}
	}
	return map[rollout.ServerEnd]int{rollout.Done: len(s.Cloud.Fleet)}
}
