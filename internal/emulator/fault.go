package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/internal/spelling"
)

// What a fault can be aimed at: one of these, or "*" for all of them.
const (
	OpChangeOS     = "changeos"
	OpReinstallOS  = "reinstallos"
	OpStop         = "stop"
	OpStart        = "start"
	OpReboot       = "reboot"
	OpJob          = "job"
	OpServer       = "server"  // detail of one server
	OpServers      = "servers" // the list
	OpServerGroups = "server_groups"
	OpBlockDevice  = "block_device"
	OpImage        = "image"
	OpToken        = "token"
	OpProject      = "project" // look-ups of the project and of its domain
	OpMetadata     = "metadata"

	OpKeyPair        = "key_pair"         // look-ups of key pairs at the compute API
	OpAccountKeyPair = "account_key_pair" // and at the key pair service
	OpApplication    = "app"              // the application on a server

	// The load balancer service.
	OpELBPools            = "elb_pools"   // the list, and one
	OpELBMembers          = "elb_members" // lists of members, and one
	OpELBMemberUpdate     = "elb_member_update"
	OpELBMemberAdd        = "elb_member_add"
	OpELBMemberRemove     = "elb_member_remove"
	OpELBListeners        = "elb_listeners"
	OpELBLoadBalancers    = "elb_load_balancers"
	OpELBHealthMonitors   = "elb_health_monitors"
	OpELBMasterSlavePools = "elb_master_slave_pools"

	OpAny = "*"
)

// FaultKind says what goes wrong.
type FaultKind string

// Faults of the connection.
const (
	DropBefore FaultKind = "drop_before" // the request was read, nothing is done, the connection is reset
	DropAfter  FaultKind = "drop_after"  // carried out, then the connection is reset instead of an answer
	HangBefore FaultKind = "hang_before" // nothing is done, no answer until the client goes away
	HangAfter  FaultKind = "hang_after"  // carried out, no answer until the client goes away
	CutBody    FaultKind = "cut_body"    // carried out, the connection is closed after half of the answer
	Latency    FaultKind = "latency"     // carried out, answered Delay later
	AcceptLate FaultKind = "accept_late" // the connection is reset at once; the write is judged and carried out Delay later
	Repeat     FaultKind = "repeat"      // a gateway delivers the write twice, and shows only the second answer
	RepeatLate FaultKind = "repeat_late" // carried out and answered; a copy is judged, and carried out if it may be, Delay later
)

// Faults of the answer.
const (
	Throttle        FaultKind = "throttle"          // 429 APIGW.0308, nothing is done
	Throttle1503    FaultKind = "throttle_1503"     // Common.1503, flow control, nothing is done
	ServerError     FaultKind = "server_error"      // 500 Common.0001, nothing is done
	BadGatewayHTML  FaultKind = "bad_gateway_html"  // 502 with an HTML page, nothing is done
	BadGatewayAfter FaultKind = "bad_gateway_after" // 502 with an HTML page, although it is carried out
	Flow202         FaultKind = "flow_202"          // 202 with Common.0024, nothing is done
	NoJobID         FaultKind = "no_job_id"         // carried out, answered 200 {}
	Refuse          FaultKind = "refuse"            // Code, Status, Message; nothing is done
	RefuseAfter     FaultKind = "refuse_after"      // the same, although it is carried out
	StatusLies      FaultKind = "status_lies"       // a read of members shows ONLINE whatever their health, or by Variant
	OldView         FaultKind = "old_view"          // a read of servers shows them as they were Delay ago, whatever newer reads have shown
)

// Faults of the work that an accepted write starts.
const (
	JobFail      FaultKind = "job_fail"       // the job ends in FAIL; a change of OS by Variant
	JobStuck     FaultKind = "job_stuck"      // the job runs for ever, the server stays where it begins; by Variant
	JobStuckDone FaultKind = "job_stuck_done" // the server gets there, the job runs for ever
	JobForgotten FaultKind = "job_forgotten"  // the job query answers unknown from the start; with op job: just this query
	Lag          FaultKind = "lag"            // the server view stays Delay behind the job's SUCCESS
	LagStart     FaultKind = "lag_start"      // the server view shows nothing of the write until Delay after its acceptance
	VolumeGap    FaultKind = "volume_gap"     // during the swap the server shows no boot volume, or two, by Variant
	Vanish       FaultKind = "vanish"         // the server is deleted in the middle
)

// Faults of an application. One strikes when the application starts, or while it runs when the rule is added. It stays
// until the application stops, its disk is changed, or the rule is removed.
const (
	AppDead       FaultKind = "app_dead"         // refuses connections
	AppSlow       FaultKind = "app_slow"         // answers Delay late
	AppFlaps      FaultKind = "app_flaps"        // healthy for half of Delay, then 503 or, by Variant, refused connections for as long
	AppDiesInSoak FaultKind = "app_dies_in_soak" // healthy for Delay, 503 ever after
	AppError      FaultKind = "app_error"        // answers 500
)

// Variants of JobFail and of JobStuck for a change of OS, and of VolumeGap.
const (
	VariantIntact  = "intact"  // default: the old disk is kept, the server is as before
	VariantChanged = "changed" // a new disk, but ERROR
	VariantLost    = "lost"    // ERROR without a system disk
	VariantNone    = "none"    // default: no boot volume
	VariantTwo     = "two"     // the old and the new one
	VariantOffline = "offline" // of StatusLies: OFFLINE
	VariantFlaps   = "flaps"   // of StatusLies: ONLINE for half of Delay, then OFFLINE for as long
	VariantRefuse  = "refuse"  // of AppFlaps: connections are refused, in place of 503
	// VariantPendingPayment: the job waits for a payment that is made Delay later, or never when that is 0. Until
	// then the server is not touched and free for other writes. The latter is a guess.
	VariantPendingPayment = "pending_payment"
)

// Fault is one rule. The first rule that matches a request and is due strikes: one of the connection or the answer,
// and one of the work that the request starts.
type Fault struct {
	Op          string        // what it is aimed at, see the Op constants
	Server      string        // id or name of one that there is; empty is any. A request without a server matches only empty
	Image       string        // of the faults of an application: id or name of the image that it runs; empty is any
	Kind        FaultKind     //
	Variant     string        // of JobFail, JobStuck, VolumeGap, StatusLies and AppFlaps
	After       int           // let the first n matching requests pass
	Times       int           // then strike n times; 0 is once, -1 always
	Probability float64       // 0 is always when it matches, else drawn from the seed, the rule and the match
	Delay       time.Duration // of Latency, AcceptLate, RepeatLate, OldView, Lag, LagStart, of applications, and until a payment; in emulated time
	RetryAfter  time.Duration // of Throttle and Throttle1503: header Retry-After in whole seconds; 0 is no header
	Status      int           // overrides the HTTP status of a fault that answers an error
	Code        string        // overrides its code, or the job's error_code
	Message     string        // overrides its text, or the job's fail_reason
	Echo        string        // the name of a spelling (package spelling) in which that text goes on to repeat the body of the request
}

type faultPhase int

const (
	phaseBefore      faultPhase = iota + 1 // something else happens in place of the request
	phaseAfter                             // the request is carried out, its answer suffers
	phaseWork                              // the work that an accepted write starts suffers
	phaseApplication                       // an application suffers; no request is involved
)

// ApplicationFaultKinds are all kinds that strike an application.
func ApplicationFaultKinds() []FaultKind {
	return []FaultKind{AppDead, AppSlow, AppFlaps, AppDiesInSoak, AppError}
}

// ELBFaultKinds are all kinds that strike only requests to the load balancer service.
func ELBFaultKinds() []FaultKind { return []FaultKind{StatusLies} }

func knownFaultKinds() []FaultKind {
	return slices.Concat(FaultKinds(), ELBFaultKinds(), ApplicationFaultKinds())
}

// FaultKinds are all kinds that strike requests about servers.
func FaultKinds() []FaultKind {
	return []FaultKind{
		DropBefore, DropAfter, HangBefore, HangAfter, CutBody, Latency, AcceptLate, Repeat, RepeatLate,
		Throttle, Throttle1503, ServerError, BadGatewayHTML, BadGatewayAfter, Flow202, NoJobID, Refuse, RefuseAfter, OldView,
		JobFail, JobStuck, JobStuckDone, JobForgotten, Lag, LagStart, VolumeGap, Vanish,
	}
}

func (k FaultKind) phase() faultPhase {
	switch k {
	case DropAfter, HangAfter, CutBody, Latency, BadGatewayAfter, NoJobID, RefuseAfter, Repeat, RepeatLate, OldView, StatusLies:
		return phaseAfter
	case JobFail, JobStuck, JobStuckDone, JobForgotten, Lag, LagStart, VolumeGap, Vanish:
		return phaseWork
	case AppDead, AppSlow, AppFlaps, AppDiesInSoak, AppError:
		return phaseApplication
	}
	return phaseBefore
}

func ops() []string {
	return []string{
		OpChangeOS, OpReinstallOS, OpStop, OpStart, OpReboot, OpJob, OpServer, OpServers, OpServerGroups, OpBlockDevice, OpImage, OpToken,
		OpProject, OpMetadata, OpKeyPair, OpAccountKeyPair, OpApplication,
		OpELBPools, OpELBMembers, OpELBMemberUpdate, OpELBMemberAdd, OpELBMemberRemove, OpELBListeners, OpELBLoadBalancers,
		OpELBHealthMonitors, OpELBMasterSlavePools, OpAny,
	}
}

func isELB(op string) bool { return strings.HasPrefix(op, "elb_") }

func isELBWrite(op string) bool {
	return op == OpELBMemberUpdate || op == OpELBMemberAdd || op == OpELBMemberRemove
}

func isWrite(op string) bool {
	return replacesDisk(op) || op == OpStop || op == OpStart || op == OpReboot
}

func replacesDisk(op string) bool { return op == OpChangeOS || op == OpReinstallOS }

// appliesTo tells whether the kind means anything for the operation. A rule with op "*" passes over the others.
func (k FaultKind) appliesTo(op string) bool {
	switch {
	case op == OpApplication, k.phase() == phaseApplication:
		return op == OpApplication && k.phase() == phaseApplication
	case k == StatusLies:
		return op == OpELBMembers || op == OpELBMasterSlavePools
	case k == VolumeGap:
		return replacesDisk(op)
	case k == JobForgotten:
		return isWrite(op) || op == OpJob
	case k == OldView:
		return op == OpServer || op == OpServers || op == OpBlockDevice
	case k.phase() == phaseWork, k == NoJobID:
		return isWrite(op)
	case k == RefuseAfter, k == Flow202, k == AcceptLate, k == Repeat, k == RepeatLate:
		return isWrite(op) || isELBWrite(op)
	}
	return true
}

// validate returns every problem of the rule at once.
func (f Fault) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !slices.Contains(knownFaultKinds(), f.Kind) {
		problem("kind %q is not known; known are %s", f.Kind, list(knownFaultKinds()))
	}
	if f.Image != "" && f.Kind.phase() != phaseApplication {
		problem("image goes with the kinds %s", list(ApplicationFaultKinds()))
	}
	switch {
	case !slices.Contains(ops(), f.Op):
		problem("op %q is not known; known are %s", f.Op, list(ops()))
	case f.Op != OpAny && !f.Kind.appliesTo(f.Op):
		problem("kind %s does not apply to op %s", f.Kind, f.Op)
	}
	variants := f.Kind.variants()
	if f.Variant != "" && !slices.Contains(variants, f.Variant) {
		problem("variant %q of kind %s is not known; known are %s", f.Variant, f.Kind, list(variants))
	}
	if f.After < 0 || f.Times < -1 {
		problem("after must not be below 0, times not below -1")
	}
	if !(f.Probability >= 0 && f.Probability <= 1) {
		problem("probability %v is not between 0 and 1", f.Probability)
	}
	if f.Delay < 0 || f.RetryAfter < 0 {
		problem("delay and retry_after must not be negative")
	}
	if needsDelay := []FaultKind{Latency, AcceptLate, RepeatLate, OldView, Lag, LagStart, AppSlow, AppFlaps, AppDiesInSoak}; f.Delay == 0 && slices.Contains(needsDelay, f.Kind) {
		problem("kind %s needs a delay", f.Kind)
	}
	if f.Kind == StatusLies && f.Variant == VariantFlaps && f.Delay == 0 {
		problem("variant %s needs a delay", f.Variant)
	}
	if (f.Kind == Refuse || f.Kind == RefuseAfter) && f.Code == "" {
		problem("kind %s needs a code", f.Kind)
	}
	if f.Echo != "" && spelling.Of(f.Echo) == nil {
		problem("echo %q is not known; known are %s", f.Echo, list(spelling.Names()))
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		problem("status %d is not an HTTP status", f.Status)
	}
	return errors.Join(problems...)
}

func (k FaultKind) variants() []string {
	switch k {
	case JobFail:
		return []string{VariantIntact, VariantChanged, VariantLost}
	case JobStuck:
		return []string{VariantPendingPayment}
	case VolumeGap:
		return []string{VariantNone, VariantTwo}
	case StatusLies:
		return []string{VariantOffline, VariantFlaps}
	case AppFlaps:
		return []string{VariantRefuse}
	}
	return nil
}

func list[T ~string](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, ", ")
}

// writtenFault is a Fault in JSON and YAML: durations are texts such as "90s".
type writtenFault struct {
	Op          string    `json:"op" yaml:"op"`
	Server      string    `json:"server,omitempty" yaml:"server"`
	Image       string    `json:"image,omitempty" yaml:"image"`
	Kind        FaultKind `json:"kind" yaml:"kind"`
	Variant     string    `json:"variant,omitempty" yaml:"variant"`
	After       int       `json:"after,omitempty" yaml:"after"`
	Times       int       `json:"times,omitempty" yaml:"times"`
	Probability float64   `json:"probability,omitempty" yaml:"probability"`
	Delay       string    `json:"delay,omitempty" yaml:"delay"`
	RetryAfter  string    `json:"retry_after,omitempty" yaml:"retry_after"`
	Status      int       `json:"status,omitempty" yaml:"status"`
	Code        string    `json:"code,omitempty" yaml:"code"`
	Message     string    `json:"message,omitempty" yaml:"message"`
	Echo        string    `json:"echo,omitempty" yaml:"echo"`
}

func (w writtenFault) fault() (Fault, error) {
	delay, errDelay := durationOf("delay", w.Delay)
	retryAfter, errRetry := durationOf("retry_after", w.RetryAfter)
	f := Fault{
		Op: w.Op, Server: w.Server, Image: w.Image, Kind: w.Kind, Variant: w.Variant, After: w.After, Times: w.Times,
		Probability: w.Probability, Delay: delay, RetryAfter: retryAfter, Status: w.Status, Code: w.Code, Message: w.Message,
		Echo: w.Echo,
	}
	return f, errors.Join(errDelay, errRetry)
}

func durationOf(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a duration such as 90s", field, text)
	}
	return d, nil
}

// MarshalJSON writes durations as texts such as "1m30s".
func (f Fault) MarshalJSON() ([]byte, error) {
	text := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	return json.Marshal(writtenFault{
		Op: f.Op, Server: f.Server, Image: f.Image, Kind: f.Kind, Variant: f.Variant, After: f.After, Times: f.Times,
		Probability: f.Probability, Delay: text(f.Delay), RetryAfter: text(f.RetryAfter), Status: f.Status, Code: f.Code,
		Message: f.Message, Echo: f.Echo,
	})
}
