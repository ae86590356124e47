package real

import (
	"time"

	"github.com/reimage/reimage/internal/emulator"
)

// How long a fault may take, in emulated time, thirty times as fast as the clock. The workers are told of a lag of
// at most 3 s and of requests that take at most 3 s, by the clock; what goes beyond would be a cloud that reimage
// does not promise anything for.
const (
	longestLag  = 90 * time.Second
	longestLate = 80 * time.Second
)

// drawCloud draws an edition, a lag and faults. About a third of the servers are struck by a fault of their own,
// some requests of all of them by one of the weather.
func drawCloud(d *dice) Cloud {
	c := Cloud{HardStop: d.chance(0.5)}
	for _, option := range []string{
		"rebuild_view=shutoff", "busy_code=Ecs.0100", "unknown_job=404", "job_shape=sub_jobs", "throttle_with_503=true",
		"started_is_success=true", "no_hard_over_soft=true", "power_state_shutdown=3", "no_temporary=true", "job_type=rebuildServer",
	} {
		if d.chance(0.25) {
			c.Edition = append(c.Edition, option)
		}
	}
	if d.chance(0.4) {
		c.Lag = d.between(time.Second, longestLag)
	}
	at := d.Perm(fleetSize)
	stopped := d.number(0, 4)
	c.Stopped = at[:stopped]
	if c.HardStop && d.chance(0.5) {
		c.Deaf = at[fleetSize-1:]
	}
	for _, server := range d.Perm(fleetSize)[:d.number(2, 8)] {
		c.Faults = append(c.Faults, Aimed{drawBlow(d, c.HardStop), server})
	}
	if d.chance(0.6) {
		c.Faults = append(c.Faults, drawTrap(d, d.IntN(fleetSize))...)
	}
	for range d.number(0, 3) {
		c.Faults = append(c.Faults, Aimed{drawWeather(d), -1})
	}
	return c
}

// drawBlow draws a fault for one server: mostly of the request that destroys its disk.
func drawBlow(d *dice, hardStop bool) emulator.Fault {
	if d.chance(0.7) {
		return drawChangeBlow(d)
	}
	f := emulator.Fault{Op: one(d, emulator.OpStop, emulator.OpStart), Times: d.number(1, 2)}
	kinds := []emulator.FaultKind{
		emulator.DropBefore, emulator.DropAfter, emulator.HangBefore, emulator.HangAfter, emulator.CutBody, emulator.NoJobID,
		emulator.BadGatewayAfter, emulator.AcceptLate, emulator.JobFail, emulator.JobStuckDone, emulator.JobForgotten,
		emulator.Lag, emulator.LagStart, emulator.Vanish, emulator.Refuse, emulator.Flow202, emulator.Latency,
	}
	if hardStop && f.Op == emulator.OpStop { // without, a server that never stops stopping keeps its rollout for a day
		kinds = append(kinds, emulator.JobStuck)
	}
	return finish(d, f, one(d, kinds...))
}

// drawTrap draws what it takes to be tempted to wipe a server twice: nobody knows what became of the request, and the
// server looks as if nothing had come of it.
func drawTrap(d *dice, server int) []Aimed {
	lost := emulator.Fault{Op: emulator.OpChangeOS, Times: d.number(1, 2)}
	lost = finish(d, lost, one(d,
		emulator.DropAfter, emulator.HangAfter, emulator.CutBody, emulator.NoJobID, emulator.BadGatewayAfter, emulator.AcceptLate, emulator.Repeat,
	))
	work := emulator.Fault{Op: emulator.OpChangeOS, Times: d.number(1, 2), Kind: emulator.JobFail, Variant: emulator.VariantIntact}
	if d.chance(0.25) {
		work.Kind, work.Variant = emulator.JobStuck, emulator.VariantPendingPayment
	}
	return []Aimed{{lost, server}, {work, server}}
}

// drawChangeBlow weighs the kinds by what they can do: lost answers are what makes clouds be asked twice.
func drawChangeBlow(d *dice) emulator.Fault {
	f := emulator.Fault{Op: emulator.OpChangeOS, Times: 1}
	if d.chance(0.2) {
		f.Times = 2
	}
	return finish(d, f, one(d,
		emulator.DropBefore, emulator.DropBefore, emulator.DropAfter, emulator.DropAfter, emulator.DropAfter,
		emulator.HangBefore, emulator.HangAfter, emulator.HangAfter, emulator.CutBody, emulator.CutBody, emulator.Latency,
		emulator.AcceptLate, emulator.AcceptLate, emulator.AcceptLate, emulator.Repeat, emulator.Repeat, emulator.RepeatLate,
		emulator.Throttle, emulator.Throttle1503, emulator.Flow202, emulator.ServerError, emulator.BadGatewayHTML,
		emulator.BadGatewayAfter, emulator.BadGatewayAfter, emulator.NoJobID, emulator.NoJobID, emulator.Refuse,
		emulator.JobFail, emulator.JobFail, emulator.JobFail, emulator.JobStuck, emulator.JobStuckDone, emulator.JobForgotten,
		emulator.Lag, emulator.Lag, emulator.LagStart, emulator.LagStart, emulator.VolumeGap, emulator.VolumeGap, emulator.Vanish,
	))
}

// finish gives a fault what its kind needs.
func finish(d *dice, f emulator.Fault, kind emulator.FaultKind) emulator.Fault {
	f.Kind = kind
	switch kind {
	case emulator.Latency:
		f.Delay = d.between(20*time.Second, 120*time.Second) // beyond 90 s the worker has gone
	case emulator.AcceptLate:
		f.Delay = d.between(5*time.Second, longestLate)
	case emulator.RepeatLate:
		f.Delay = d.between(time.Second, 5*time.Minute)
	case emulator.Lag, emulator.LagStart:
		f.Delay = d.between(5*time.Second, longestLag)
	case emulator.Refuse:
		f.Code = one(d, "Ecs.0603", "Ecs.0100", "Ecs.0615", "Ecs.0021", "Ecs.0219", "Ecs.7777")
	case emulator.JobFail:
		if f.Op == emulator.OpChangeOS {
			f.Variant = one(d, emulator.VariantIntact, emulator.VariantIntact, emulator.VariantChanged, emulator.VariantLost)
		}
	case emulator.JobStuck:
		if f.Op == emulator.OpStop {
			f.Times = 1 // when the hard stop sticks too, reimage tries for a day to give the server its power back
		}
		if f.Op == emulator.OpChangeOS && d.chance(0.5) {
			f.Variant = emulator.VariantPendingPayment
		}
	case emulator.VolumeGap:
		f.Variant = one(d, emulator.VariantNone, emulator.VariantTwo)
	}
	return f
}

// drawWeather draws a fault that any request can meet: now and then, or as a storm.
func drawWeather(d *dice) emulator.Fault {
	if d.chance(0.3) {
		// A storm is as long as it takes to strike so often. Where the cloud does not say how long to stay away, each
		// strike costs its server 20 s, so those storms are short: a canary is alone in them.
		storm := emulator.Fault{Op: emulator.OpAny, Kind: one(d, emulator.Throttle, emulator.Throttle1503), After: d.number(20, 400), Times: d.number(3, 6)}
		if d.chance(0.6) {
			storm.Times, storm.RetryAfter = d.number(10, 40), time.Duration(d.number(1, 2))*time.Second
		}
		return storm
	}
	f := emulator.Fault{
		Op: one(d, emulator.OpAny, emulator.OpServer, emulator.OpJob, emulator.OpBlockDevice), Times: -1, Probability: d.Float64() * 0.03,
		Kind: one(d, emulator.DropBefore, emulator.DropAfter, emulator.CutBody, emulator.Latency, emulator.Throttle, emulator.ServerError,
			emulator.BadGatewayHTML, emulator.BadGatewayAfter, emulator.HangBefore, emulator.HangAfter),
	}
	if f.Kind == emulator.Latency {
		f.Delay = d.between(5*time.Second, 60*time.Second)
	}
	return f
}
