package faults

import (
	"time"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// Calm is a rollout in which nothing goes wrong, on a cloud that bears so many calls per second and takes so long
// for a change of OS.
func Calm(servers, inFlight, callsPerSecond int, change emulator.Span) Schedule {
	return Schedule{
		Seed: 1, Workers: 1,
		Cloud: emulator.Options{
			Seed: 1, Servers: servers, CallsPerSecond: callsPerSecond, Timing: emulator.Timing{ChangeOS: change},
		},
		Plan: func(cloud *emulator.Emulator) rollout.Plan {
			return planFor(cloud, shape{
				waves: []rollout.Wave{{Name: "all", End: servers}}, inFlight: inFlight, deadline: time.Hour,
				budget: rollout.Budget{Count: new(int), OnBreach: rollout.BreachPause},
			})
		},
	}
}
