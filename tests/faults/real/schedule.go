package real

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout"
)

// fleetSize is how many servers a rollout has.
const fleetSize = 20

// Schedule is everything that a seed decides.
type Schedule struct {
	Seed     uint64
	Cloud    Cloud
	Shape    Shape
	Troubles []Trouble
	Operator Traits
	Death    *Death // of the Temporal server, nil for none
}

// Cloud is how the emulated cloud is and misbehaves.
type Cloud struct {
	Edition  []string // switches, as name=value
	Lag      time.Duration
	Stopped  []int // positions of servers that are stopped from the start
	Deaf     []int // positions of servers whose guests ignore a shutdown
	Faults   []Aimed
	HardStop bool // whether a stop may cut the power
}

// Aimed is a fault for the server at a position of the fleet, -1 for any.
type Aimed struct {
	emulator.Fault
	At int
}

// Shape is what the plan asks for, beyond the servers.
type Shape struct {
	InFlight     int
	Waves        []rollout.Wave
	Budget       rollout.Budget
	Soak         time.Duration
	Power        rollout.Power
	Deadline     time.Duration // of one change
	HistoryLimit int
}

// Death is a SIGKILL of the Temporal server, some time after the rollout began. It strikes all rollouts.
type Death struct {
	At, Down time.Duration
}

// Draw makes the schedule of a seed. Its parts are drawn apart, so that a new kind of trouble leaves the clouds of
// all seeds as they were.
func Draw(seed uint64) Schedule {
	part := func(n uint64) *dice { return newDice(seed, n) }
	s := Schedule{Seed: seed, Cloud: drawCloud(part(1)), Shape: drawShape(part(2)), Troubles: drawTroubles(part(3)), Operator: drawTraits(part(4))}
	if death := part(5); death.chance(0.2) {
		s.Death = &Death{At: death.between(8*time.Second, 70*time.Second), Down: death.between(0, 12*time.Second)}
	}
	return s
}

func drawShape(d *dice) Shape {
	s := Shape{InFlight: d.number(3, 7), Deadline: 40 * time.Second}
	ends := []int{d.number(1, 3), fleetSize}
	if d.chance(0.5) {
		ends = []int{d.number(1, 2), d.number(5, 10), fleetSize}
	}
	for i, end := range ends {
		wave := rollout.Wave{Name: fmt.Sprintf("wave-%d", i+1), End: end}
		if i < len(ends)-1 {
			wave.Approval = d.chance(0.3)
			if d.chance(0.3) {
				wave.Bake = d.between(time.Second, 4*time.Second)
			}
		}
		s.Waves = append(s.Waves, wave)
	}
	tolerated := d.number(0, 4)
	s.Budget = rollout.Budget{
		Count: &tolerated, OnBreach: one(d, rollout.BreachPause, rollout.BreachPause, rollout.BreachAbort, rollout.BreachRollback),
		Strict: d.chance(0.3), SlowStart: d.chance(0.25),
	}
	if d.chance(0.25) {
		s.Soak = d.between(time.Second, 3*time.Second)
	}
	if d.chance(0.2) {
		s.Power = one(d, rollout.PowerOn, rollout.PowerOff)
	}
	if d.chance(0.3) {
		s.HistoryLimit = d.number(60, 200)
	}
	return s
}

// String is the schedule for whoever has to understand a failure.
func (s Schedule) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d\ncloud: %v lag %s, stopped %v, deaf %v, hard stop %t\n", s.Seed, s.Cloud.Edition, s.Cloud.Lag, s.Cloud.Stopped, s.Cloud.Deaf, s.Cloud.HardStop)
	for _, f := range s.Cloud.Faults {
		at := "any"
		if f.At >= 0 {
			at = fmt.Sprint("#", f.At)
		}
		fmt.Fprintf(&text, "  %-10s %s %s %s p=%g after %d times %d delay %s %s\n", f.Op, at, f.Kind, f.Variant, f.Probability, f.After, f.Times, f.Delay, f.Code)
	}
	b := s.Shape.Budget
	fmt.Fprintf(&text, "plan: %d in flight, waves %+v, tolerates %d then %s, strict %t, slow start %t, soak %s, power %q, history limit %d\n",
		s.Shape.InFlight, s.Shape.Waves, *b.Count, b.OnBreach, b.Strict, b.SlowStart, s.Shape.Soak, s.Shape.Power, s.Shape.HistoryLimit)
	fmt.Fprintf(&text, "operator: %+v\n", s.Operator)
	for _, trouble := range s.Troubles {
		fmt.Fprintf(&text, "  after %s: %s for %s\n", trouble.After, trouble.Kind, trouble.For)
	}
	if s.Death != nil {
		fmt.Fprintf(&text, "Temporal dies at %s for %s\n", s.Death.At, s.Death.Down)
	}
	return text.String()
}

// dice is a random source with the questions that schedules ask.
type dice struct{ *rand.Rand }

func newDice(seed, part uint64) *dice { return &dice{rand.New(rand.NewPCG(seed, part))} }

func (d *dice) chance(p float64) bool { return d.Float64() < p }

// number is drawn from low to high, both included.
func (d *dice) number(low, high int) int { return low + d.IntN(high-low+1) }

// between is drawn in steps of a tenth of a second.
func (d *dice) between(low, high time.Duration) time.Duration {
	const step = 100 * time.Millisecond
	return low + time.Duration(d.Int64N(int64((high-low)/step)+1))*step
}

func one[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }
