package real

import "time"

// TroubleKind is what can happen to workers and their connections.
type TroubleKind string

// The troubles.
const (
	Kill         TroubleKind = "worker killed"            // SIGKILL; the next one starts after a while
	Absence      TroubleKind = "all workers killed"       // and nobody works for a while
	Terminate    TroubleKind = "worker told to stop"      // SIGTERM, while another one starts
	Join         TroubleKind = "worker joined"            // several work at once
	Freeze       TroubleKind = "worker frozen and thawed" // SIGSTOP, longer than every timeout; it wakes beside a successor
	CloudCut     TroubleKind = "cloud cut off"
	CloudSlow    TroubleKind = "cloud slowed"
	CloudHole    TroubleKind = "cloud black-holed"
	TemporalCut  TroubleKind = "Temporal cut off"
	TemporalSlow TroubleKind = "Temporal slowed"
	TemporalHole TroubleKind = "Temporal black-holed"
)

// Trouble is one of them, so long after the one before, and for how long.
type Trouble struct {
	Kind       TroubleKind
	After, For time.Duration
}

// drawTroubles draws what happens to one rollout's workers in its first minute or two.
func drawTroubles(d *dice) []Trouble {
	var all []Trouble
	for range d.number(2, 7) {
		t := Trouble{After: d.between(time.Second, 10*time.Second), Kind: one(d,
			Kill, Kill, Kill, Absence, Terminate, Join, Freeze, Freeze,
			CloudCut, CloudSlow, CloudHole, CloudHole, TemporalCut, TemporalSlow, TemporalHole,
		)}
		t.For = t.Kind.lasts(d)
		all = append(all, t)
	}
	return all
}

func (k TroubleKind) lasts(d *dice) time.Duration {
	switch k {
	case Kill:
		return d.between(0, 5*time.Second)
	case Absence:
		return d.between(time.Second, 10*time.Second)
	case Freeze:
		// Longer than the heartbeat timeout (20 s), the request timeout (3 s) and the settle time (5 s); some less, and
		// some longer than the deadline of a change (40 s), too.
		switch roll := d.Float64(); {
		case roll < 0.25:
			return d.between(4*time.Second, 12*time.Second)
		case roll > 0.8:
			return d.between(41*time.Second, 54*time.Second)
		}
		return d.between(21*time.Second, 34*time.Second)
	case TemporalHole, TemporalCut:
		if d.chance(0.3) {
			return d.between(21*time.Second, 28*time.Second) // a worker that counts as dead and is not
		}
		return d.between(time.Second, 8*time.Second)
	case Terminate, Join:
		return 0
	}
	return d.between(time.Second, 8*time.Second)
}
