package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
)

// Schedule is one rollout with everything that goes wrong on its way. Its seed decides all of it.
type Schedule struct {
	Seed    uint64
	Cloud   emulator.Options
	Plan    func(cloud *emulator.Emulator) rollout.Plan
	Crashes []Crash
	// Workers is how many worker processes there are.
	Workers int
	// SignIn has them work as a user with a password, by tokens, and not with an access key.
	SignIn bool
	// LackFor is for how long every other worker process lacks the secret of the change.
	LackFor  time.Duration
	Operator operator
	// Hands are what others do beside the rollout.
	Hands []Hand
}

// Point is a moment at which a worker process can die or freeze: between something that the cloud can see and
// something that Temporal can see.
type Point struct {
	// When is the kind of moment, What the activity or the request it is about.
	When, What string
}

// The moments of an activity, and of a request.
const (
	attemptBegins   = "attempt begins"
	attemptBeats    = "heartbeat"
	attemptBeaten   = "heartbeat delivered"
	attemptReturned = "result not yet reported"
	attemptAsks     = "Temporal about to be asked"
	attemptAnswered = "Temporal has confirmed"
	requestDialled  = "connection opened"
	requestDecided  = "clock about to be compared"
	requestWritten  = "request about to be written"
	requestSent     = "request sent, not answered"
	requestAnswered = "answer arrived, not read"
)

// Points are all crash points.
func Points() []Point {
	var all []Point
	for _, what := range []string{
		contract.Preflight, contract.StopIfNeeded, contract.SubmitChangeOS, contract.PollJob,
		contract.VerifyServer, contract.RestorePower,
	} {
		for _, when := range []string{attemptBegins, attemptBeats, attemptBeaten, attemptReturned, requestDialled} {
			all = append(all, Point{when, what})
		}
	}
	for _, what := range []string{contract.StopIfNeeded, contract.SubmitChangeOS, contract.RestorePower} {
		for _, when := range []string{attemptAsks, attemptAnswered, requestDecided} {
			all = append(all, Point{when, what})
		}
	}
	for _, what := range []string{"changeos", "stop", "start", "job", "server", "servers", "block_device", "image"} {
		for _, when := range []string{requestWritten, requestSent, requestAnswered} {
			all = append(all, Point{when, what})
		}
	}
	return all
}

// Blow is what happens to a worker process.
type Blow string

// The blows.
const (
	Kill   Blow = "SIGKILL"
	Freeze Blow = "SIGSTOP" // and SIGCONT later
	Stop   Blow = "SIGTERM"
	CutOff Blow = "cut off from Temporal" // and not from the cloud, for a while
)

// Crash is a blow to a worker process.
type Crash struct {
	At     Point
	Server string // on whose behalf the point is reached; empty is any
	Nth    int    // the how manyth time
	Blow
	For  time.Duration // how long it is frozen, or cut off
	Down time.Duration // until there is another process
}

// NewSchedule draws the schedule of a seed.
func NewSchedule(seed uint64) Schedule {
	d := draw{rand.New(rand.NewPCG(seed, 0x7e1a))}
	s := Schedule{Seed: seed, Workers: 1 + d.IntN(2), Cloud: d.cloud(seed), Operator: d.operator()}
	if d.chance(0.4) {
		s.Cloud.Faults, s.Crashes = d.trap(s.Cloud.Fleet)
	}
	if d.chance(0.06) {
		s.Cloud.Faults = append(s.Cloud.Faults, d.order(s.Cloud.Fleet)...)
	}
	s.Cloud.Faults = append(s.Cloud.Faults, d.faults(s.Cloud.Fleet)...)
	if isLagging(s.Cloud) { // with a view that goes back the lag would be longer than any that is allowed
		s.Cloud.Faults = slices.DeleteFunc(s.Cloud.Faults, func(f emulator.Fault) bool { return f.Kind == emulator.OldView })
	}
	for range d.few(4) {
		s.Crashes = append(s.Crashes, d.crash(s.Cloud.Fleet))
	}
	if d.chance(0.3) {
		s.Hands = d.hands(s.Cloud.Fleet)
	}
	shape := d.shape(len(s.Cloud.Fleet), s.Cloud.Edition.StoppedOnly)
	if digit := seed % 10; digit == 0 || digit == 1 || digit == 8 { // the seeds of most mutants keep what they draw
		shape.countOthers = true
		d.others(&s)
	}
	s.Plan = func(cloud *emulator.Emulator) rollout.Plan { return planFor(cloud, shape) }
	echo(s.Cloud.Faults, seed)
	if seed%10 == 3 { // drawn by nothing, so that what the other seeds draw stays
		s.LackFor = 20 * time.Minute
	}
	return s
}

// echo has whatever the cloud writes about a change repeat what it was sent, each time in another spelling.
func echo(faults []emulator.Fault, seed uint64) {
	names := spelling.Names()
	for i := range faults {
		if faults[i].Op == emulator.OpChangeOS || faults[i].Op == emulator.OpAny {
			faults[i].Echo = names[(seed+uint64(i))%uint64(len(names))]
		}
	}
}

func showsServers(op string) bool {
	return op == emulator.OpServer || op == emulator.OpServers || op == emulator.OpBlockDevice
}

func isLagging(cloud emulator.Options) bool {
	return cloud.Timing.Lag > 0 || slices.ContainsFunc(cloud.Faults, func(f emulator.Fault) bool {
		return f.Kind == emulator.Lag || f.Kind == emulator.LagStart
	})
}

type draw struct{ *rand.Rand }

func (d draw) chance(p float64) bool { return d.Float64() < p }

func (d draw) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)+1))
}

// few is 0 to most, small numbers more often.
func (d draw) few(most int) int { return min(d.IntN(most+1), d.IntN(most+1)) }

func pick[T any](d draw, from ...T) T { return from[d.IntN(len(from))] }

// cloud draws a small fleet in an edition of the cloud.
func (d draw) cloud(seed uint64) emulator.Options {
	o := emulator.Options{Seed: seed, Edition: emulator.Edition{
		RebuildView: pick(d, "rebuild", "rebuild", "shutoff"), BusyCode: pick(d, "Ecs.0603", "Ecs.0100"), UnknownJob: pick(d, "400", "404"),
		JobShape: pick(d, "flat", "sub_jobs"),
	}}
	o.Edition.ThrottleWith503 = pick(d, false, true)
	o.Edition.PowerStateShutdown = pick(d, 4, 3)
	o.Edition.NoHardOverSoft, o.Edition.StartedIsSuccess, o.Edition.StoppedOnly = d.chance(0.5), d.chance(0.5), d.chance(0.3)
	if d.chance(0.4) {
		o.Timing.Lag = d.between(time.Second, 90*time.Second)
	}
	switch {
	case d.chance(0.2): // slower than a settle time
		o.Timing.ChangeOS = emulator.Span{Median: d.between(3*time.Minute, 20*time.Minute)}
	case d.chance(0.3): // over before anybody looks again
		o.Timing.ChangeOS = emulator.Span{Median: d.between(5*time.Second, 40*time.Second)}
	}
	if d.chance(0.2) {
		lead := d.between(time.Second, 20*time.Second)
		o.Timing.Lead = emulator.Span{Median: lead, Spread: lead}
	}
	if d.chance(0.15) {
		o.CallsPerSecond = 2 + d.IntN(5)
	}
	for i := range 1 + d.few(5) {
		server := emulator.Server{
			Name: fmt.Sprintf("web-%02d", i+1), Zone: pick(d, "eu-1a", "eu-1b"), IgnoresACPI: d.chance(0.05),
			Status: pick(d, rollout.StatusActive, rollout.StatusActive, rollout.StatusActive, rollout.StatusShutoff),
		}
		if d.chance(0.05) {
			server.Status = rollout.StatusError
		}
		o.Fleet = append(o.Fleet, server)
	}
	return o
}

// faults draws what the cloud does wrong. A change that waits for a payment happens to servers that are paid by
// the year, as the cloud's documents say.
func (d draw) faults(fleet []emulator.Server) []emulator.Fault {
	writes := []emulator.FaultKind{
		emulator.DropBefore, emulator.DropAfter, emulator.HangBefore, emulator.HangAfter, emulator.CutBody, emulator.AcceptLate, emulator.NoJobID,
		emulator.Repeat, emulator.Repeat, emulator.RepeatLate, emulator.RepeatLate,
		emulator.BadGatewayAfter, emulator.BadGatewayHTML, emulator.ServerError, emulator.Flow202, emulator.Throttle, emulator.Throttle1503, emulator.Refuse, emulator.RefuseAfter,
		emulator.JobFail, emulator.JobFail, emulator.JobFail, emulator.JobStuck, emulator.JobStuckDone, emulator.JobForgotten, emulator.Lag, emulator.LagStart,
		emulator.VolumeGap, emulator.Vanish, emulator.Latency,
	}
	reads := []emulator.FaultKind{
		emulator.DropBefore, emulator.DropAfter, emulator.HangBefore, emulator.CutBody, emulator.BadGatewayHTML, emulator.ServerError, emulator.Throttle, emulator.Throttle1503,
		emulator.Latency, emulator.Refuse, emulator.OldView, emulator.OldView,
	}
	var all []emulator.Fault
	for range d.few(5) {
		f := emulator.Fault{Op: emulator.OpChangeOS, Kind: pick(d, writes...), After: d.few(3), Times: 1 + d.few(2), Delay: d.between(time.Second, 29*time.Second)}
		switch {
		case d.chance(0.2):
			f.Op = pick(d, emulator.OpStop, emulator.OpStart)
		case d.chance(0.25):
			f.Op, f.Kind = pick(d, emulator.OpServer, emulator.OpJob, emulator.OpBlockDevice, emulator.OpServers, emulator.OpImage, emulator.OpAny), pick(d, reads...)
		}
		if f.Op != emulator.OpImage && d.chance(0.5) { // an image is nobody's
			f.Server = fleet[d.IntN(len(fleet))].Name
		}
		d.detail(&f)
		if f.Op != emulator.OpChangeOS && f.Kind == emulator.VolumeGap {
			continue
		}
		if f.Kind == emulator.OldView && !showsServers(f.Op) {
			continue
		}
		if f.Kind == emulator.RepeatLate && f.Op != emulator.OpChangeOS {
			continue // nothing helps against a late copy of a stop: docs/never-twice.md
		}
		if f.Variant == emulator.VariantPendingPayment {
			for i := range fleet {
				fleet[i].ChargingMode = "1"
			}
		}
		all = append(all, f)
	}
	return all
}

// trap is what it takes to be tempted to wipe a server twice: nobody knows what became of a request, and the
// server looks as if nothing had come of it.
func (d draw) trap(fleet []emulator.Server) (faults []emulator.Fault, crashes []Crash) {
	victim := &fleet[d.IntN(len(fleet))]
	lost := emulator.Fault{Op: emulator.OpChangeOS, Server: victim.Name, Times: 1 + d.few(2)}
	switch {
	case d.chance(0.3):
		crashes = append(crashes, Crash{
			At:     pick(d, Point{requestSent, "changeos"}, Point{requestAnswered, "changeos"}, Point{attemptReturned, contract.SubmitChangeOS}),
			Server: victim.Name, Nth: 1, Blow: Kill, Down: d.between(0, 20*time.Second),
		})
	case d.chance(0.3): // it wakes up beside a successor, whose change has come to nothing
		crashes = append(crashes, Crash{
			At:     pick(d, Point{attemptBeaten, contract.SubmitChangeOS}, Point{requestDecided, contract.SubmitChangeOS}),
			Server: victim.Name, Nth: 1, Blow: Freeze, For: d.between(150*time.Second, 6*time.Minute),
		})
	case d.chance(0.3):
		lost.Kind, lost.Delay = emulator.AcceptLate, d.between(time.Second, 29*time.Second)
		faults = append(faults, lost)
	default:
		lost.Kind = pick(d, emulator.DropAfter, emulator.HangAfter, emulator.CutBody, emulator.NoJobID, emulator.BadGatewayAfter, emulator.Repeat)
		faults = append(faults, lost)
	}
	job := emulator.Fault{Op: emulator.OpChangeOS, Server: victim.Name, Kind: emulator.JobFail, Variant: emulator.VariantIntact, Times: 1 + d.few(2)}
	if d.chance(0.25) {
		victim.ChargingMode = "1" // paid by the year
		job.Kind, job.Variant, job.Delay = emulator.JobStuck, emulator.VariantPendingPayment, pick(d, 0, d.between(time.Minute, 90*time.Minute))
	}
	return append(faults, job), crashes
}

// order is a change that waits for its payment longer than anybody waits for it, and a cloud that may forget its job.
func (d draw) order(fleet []emulator.Server) []emulator.Fault {
	buyer := &fleet[d.IntN(len(fleet))]
	buyer.ChargingMode = "1" // paid by the year
	faults := []emulator.Fault{{
		Op: emulator.OpChangeOS, Server: buyer.Name, Kind: emulator.JobStuck, Variant: emulator.VariantPendingPayment,
		Times: 1 + d.few(2), Delay: pick(d, 0, d.between(time.Hour, 10*time.Hour)),
	}}
	if d.chance(0.5) {
		faults = append(faults, emulator.Fault{Op: emulator.OpJob, Server: buyer.Name, Kind: emulator.JobForgotten, After: d.few(4), Times: pick(d, 1, -1)})
	}
	return faults
}

func (d draw) detail(f *emulator.Fault) {
	switch f.Kind {
	case emulator.JobFail:
		if f.Op == emulator.OpChangeOS {
			f.Variant = pick(d, emulator.VariantIntact, emulator.VariantIntact, emulator.VariantChanged, emulator.VariantLost)
		}
	case emulator.JobStuck:
		if f.Op == emulator.OpChangeOS && d.chance(0.5) {
			f.Variant = emulator.VariantPendingPayment
		}
	case emulator.VolumeGap:
		f.Variant = pick(d, emulator.VariantNone, emulator.VariantTwo)
	case emulator.Refuse:
		d.refusal(f)
	case emulator.RefuseAfter:
		f.Code = "Ecs.9999" // of no table: it proves nothing
	case emulator.Throttle:
		f.Times = 1 + d.few(30) // a storm
		f.RetryAfter = pick(d, 0, 5*time.Second)
	case emulator.Lag, emulator.LagStart:
		f.Delay = d.between(time.Second, 90*time.Second)
	case emulator.RepeatLate:
		f.Delay = d.between(time.Second, 5*time.Minute)
	case emulator.OldView:
		f.Delay, f.Times = d.between(time.Second, 90*time.Second), 1+d.few(12)
		if d.chance(0.5) {
			f.Times, f.Probability = -1, 0.3
		}
	case emulator.Latency:
		f.Delay = d.between(time.Second, 40*time.Second)
	}
}

// refusal draws why: the server, the credentials, or a permission that they lack.
func (d draw) refusal(f *emulator.Fault) {
	isRead := !slices.Contains([]string{emulator.OpChangeOS, emulator.OpStop, emulator.OpStart}, f.Op)
	switch {
	case !isRead && d.chance(0.7):
		f.Code = pick(d, "Ecs.0603", "Ecs.0100", "Ecs.0073", "Ecs.0605", "Ecs.0202", "Ecs.9999")
		return
	case d.chance(0.5):
		f.Code, f.Status = pick(d, "APIGW.0301", "APIGW.0307"), 401
	default:
		f.Code, f.Status = pick(d, "Pdp.0001", "APIGW.0302"), 403
	}
	f.Times = 1 + d.few(30) // until somebody mends it
}

// others adds servers that the rollout does not touch. Some are switched on or off while it runs.
func (d draw) others(s *Schedule) {
	for i := range d.few(3) {
		other := emulator.Server{
			Name: fmt.Sprintf("%s%02d", otherPrefix, i+1), Zone: pick(d, "eu-1a", "eu-1b"),
			Status: pick(d, rollout.StatusActive, rollout.StatusShutoff, rollout.StatusShutoff, rollout.StatusError),
		}
		s.Cloud.Fleet = append(s.Cloud.Fleet, other)
		if d.chance(0.3) {
			s.Hands = append(s.Hands, Hand{Deed: pick(d, PowerOn, PowerOff), Server: other.Name, After: d.between(0, 15*time.Minute)})
		}
	}
}

// otherPrefix begins the names of servers that the rollout does not touch.
const otherPrefix = "other-"

func (d draw) hands(fleet []emulator.Server) (all []Hand) {
	for range 1 + d.few(2) {
		hand := Hand{Deed: pick(d, Deeds()...), After: d.between(0, 15*time.Minute)}
		if hand.Deed != Cancel || d.chance(0.7) {
			hand.Server = fleet[d.IntN(len(fleet))].Name
		}
		if hand.Deed != Cancel && d.chance(0.5) {
			hand.After, hand.Before = 0, pick(d, contract.StopIfNeeded, contract.SubmitChangeOS, contract.VerifyServer, contract.RestorePower)
		}
		all = append(all, hand)
	}
	return all
}

func (d draw) crash(fleet []emulator.Server) Crash {
	points := Points()
	c := Crash{At: points[d.IntN(len(points))], Nth: 1 + d.few(4), Blow: pick(d, Kill, Kill, Freeze, Stop, CutOff), Down: d.between(0, 40*time.Second)}
	if d.chance(0.5) { // where it matters most
		c.At = pick(d,
			Point{requestWritten, "changeos"}, Point{requestSent, "changeos"}, Point{requestAnswered, "changeos"}, Point{attemptBegins, contract.SubmitChangeOS},
			Point{attemptBeats, contract.SubmitChangeOS}, Point{attemptReturned, contract.SubmitChangeOS}, Point{requestDialled, contract.SubmitChangeOS},
			Point{attemptAsks, contract.SubmitChangeOS}, Point{attemptAnswered, contract.SubmitChangeOS})
	}
	switch c.At.What {
	case "servers": // a list is nobody's
	case "start": // there are few
		c.Nth = 1
	default:
		c.Server = fleet[d.IntN(len(fleet))].Name
	}
	if d.chance(0.1) {
		c.Down = d.between(time.Minute, 45*time.Minute) // nobody restarts it for a while
	}
	c.For = d.between(5*time.Second, 2*time.Minute)
	if d.chance(0.3) {
		c.For = d.between(2*time.Minute, 15*time.Minute)
	}
	if !falls(c.Blow, c.At) {
		c.Blow = Kill
	}
	return c
}

// shape is what a plan for a fleet looks like.
type shape struct {
	waves    []rollout.Wave
	inFlight int
	budget   rollout.Budget
	soak     time.Duration
	deadline time.Duration // of a server
	hardStop bool
	power    rollout.Power
	// platformStop leaves the stop to the cloud.
	platformStop  bool
	zones, groups []rollout.GroupCap
	// countOthers counts servers against the caps that are down for another reason.
	countOthers bool
}

// groupNames are the groups of the servers, in turn.
var groupNames = []string{"blue", "green"}

func (d draw) shape(n int, stoppedOnly bool) shape {
	s := shape{
		platformStop: !stoppedOnly && d.chance(0.1),
		inFlight:     1 + d.IntN(n), deadline: d.between(25*time.Minute, time.Hour), hardStop: d.chance(0.5),
		power: pick(d, rollout.PowerAsBefore, rollout.PowerAsBefore, rollout.PowerOn, rollout.PowerOff),
		budget: rollout.Budget{
			Count: new(d.few(2)), OnBreach: pick(d, rollout.BreachPause, rollout.BreachPause, rollout.BreachAbort, rollout.BreachRollback),
			Strict: d.chance(0.3), SlowStart: d.chance(0.3),
		},
	}
	if d.chance(0.3) {
		s.soak = d.between(10*time.Second, 5*time.Minute)
	}
	if d.chance(0.25) { // by a share, alone or with the count
		s.budget.Share, s.budget.MinSample = new(d.few(2)), 1+d.IntN(n)
		if d.chance(0.5) {
			s.budget.Count = nil
		}
	}
	if d.chance(0.3) {
		s.groups = d.caps(groupNames...)
		if d.chance(0.5) {
			s.budget.PerGroup = new(d.few(1))
		}
	}
	if d.chance(0.2) {
		s.zones = d.caps("eu-1a", "eu-1b")
	}
	end := 0
	for i := range 2 {
		if end < n && d.chance(0.5) {
			end += 1 + d.IntN(n-end)
			s.waves = append(s.waves, rollout.Wave{Name: fmt.Sprintf("wave-%d", i+1), End: end, Bake: d.between(0, 10*time.Minute), Approval: d.chance(0.3)})
		}
	}
	s.waves = append(s.waves, rollout.Wave{Name: "rest", End: n})
	return s
}

func (d draw) caps(names ...string) (all []rollout.GroupCap) {
	for _, name := range names {
		all = append(all, rollout.GroupCap{Name: name, Cap: 1 + d.few(2)})
	}
	return all
}

func planFor(cloud *emulator.Emulator, s shape) rollout.Plan {
	plan := rollout.Plan{
		Version: rollout.PlanVersion, Name: "campaign", Project: emulator.DefaultProjectID, MadeAt: cloud.Now(), ImageName: emulator.TargetImageName,
		Change: rollout.Change{
			Deadline: s.deadline, AllowHardStop: s.hardStop, Power: s.power, WithStopServer: s.platformStop,
			Login: rollout.Login{PasswordFrom: "env:" + rootPasswordName},
		},
		Waves: slices.Clone(s.waves), Caps: rollout.Caps{InFlight: s.inFlight, Zones: s.zones, Groups: s.groups, CountOthers: s.countOthers}, Budget: s.budget, Soak: s.soak, BusyWait: 10 * time.Minute,
	}
	for _, image := range cloud.Images() {
		if image.Name == emulator.TargetImageName {
			plan.Change.ImageID = image.ID
		}
	}
	for i, server := range cloud.Servers() {
		if strings.HasPrefix(server.Name, otherPrefix) {
			addOther(&plan, server, i)
			continue
		}
		plan.Servers = append(plan.Servers, rollout.PlannedServer{
			ID: server.ID, Name: server.Name, Zone: server.Zone, Group: groupNames[i%len(groupNames)], Status: server.Status,
			Before: rollout.Fingerprint{ImageID: server.ImageID, VolumeID: server.SystemVolumeID},
		})
	}
	return plan
}

// addOther adds a server that the rollout does not touch: a skipped one, or another member of a group.
func addOther(plan *rollout.Plan, server emulator.Server, i int) {
	group := groupNames[i%len(groupNames)]
	if i%3 == 0 {
		plan.Skipped = append(plan.Skipped, rollout.SkippedServer{
			ID: server.ID, Name: server.Name, Reason: "it is not to be changed", Zone: server.Zone, Group: group, Status: server.Status,
		})
		return
	}
	plan.Others = append(plan.Others, rollout.OtherServer{ID: server.ID, Name: server.Name, Zone: server.Zone, Group: group, Status: server.Status})
}
