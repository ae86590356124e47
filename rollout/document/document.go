// Package document has the types of the specification of a rollout: the document that an operator writes in YAML, or that a
// program puts together. Package spec reads and checks it.
//
// The yaml tags of the types are the names of the fields. A field without omitempty must be given, and one
// tagged "one" knows these words, of which the first is the default. What reads a document, the rules and
// the schema in docs all go by these tags, and the schema shows the comments.
package document

import (
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// The only document this program reads.
const (
	APIVersion = "reimage/v1"
	Kind       = "Rollout"
)

// Rollout is a whole document.
type Rollout struct {
	// APIVersion is the version of this form.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" one:"reimage/v1"`
	// Kind of document.
	Kind string `yaml:"kind" json:"kind" one:"Rollout"`
	// Metadata names the rollout.
	Metadata Metadata `yaml:"metadata" json:"metadata"`
	// Spec says which servers get which image, and how carefully.
	Spec Spec `yaml:"spec" json:"spec"`
}

// Metadata names the rollout.
type Metadata struct {
	// Name is how every command calls the rollout: lower case letters, digits and dashes, at most 63.
	Name string `yaml:"name" json:"name"`
	// Reason is shown with the plan and in reports: a ticket, a CVE.
	Reason string `yaml:"reason,omitempty" json:"reason,omitempty"`
}

// Spec says which servers get which image, and how carefully.
type Spec struct {
	// Profile is the cloud, region and project, by the name that the workers have for it. Without it they
	// use their only one, or the one called default.
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty"`
	// Select chooses the servers.
	Select Selection `yaml:"select" json:"select"`
	// Image is what the new system disks are made from.
	Image Image `yaml:"image" json:"image"`
	// API is the change OS operation: v2 for images with Cloud-Init, v1 for the others. auto is v2, and the plan
	// says why, or refuses it for an image whose facts contradict each other.
	API string `yaml:"api,omitempty" json:"api,omitempty" one:"auto v1 v2"`
	// Login is how the new systems are entered. Without it the credentials of the image stay.
	Login Login `yaml:"login,omitempty" json:"login,omitzero"`
	// UserDataFrom refers to Cloud-Init user data, as the worker sees it: env:REIMAGE_SECRET_NAME or file:PATH.
	UserDataFrom rollout.SecretRef `yaml:"userDataFrom,omitempty" json:"userDataFrom,omitempty"`
	// Disk says how the new system disk is made.
	Disk Disk `yaml:"disk,omitempty" json:"disk,omitzero"`
	// BYOL uses the licence that comes with the image.
	BYOL bool `yaml:"byol,omitempty" json:"byol,omitempty"`
	// AutoPay pays a price difference of yearly or monthly servers without asking.
	AutoPay *bool `yaml:"autoPay,omitempty" json:"autoPay,omitempty"`
	// Servers says what to do with servers in particular states.
	Servers States `yaml:"servers,omitempty" json:"servers,omitzero"`
	// Stop says how running servers are stopped.
	Stop Stop `yaml:"stop,omitempty" json:"stop,omitzero"`
	// Power is the state the servers are left in: as-before, on or off.
	Power rollout.Power `yaml:"power,omitempty" json:"power,omitempty" one:"as-before on off"`
	// Order is how the servers are lined up: zones (interleaved, then by name), name, or id.
	Order Order `yaml:"order,omitempty" json:"order,omitempty" one:"zones name id"`
	// Spread lets the values of these keys take turns, so that a small wave has one server of each: zone, group, or
	// tag:KEY. Servers of the same values keep their order.
	Spread []SpreadKey `yaml:"spread,omitempty" json:"spread,omitempty"`
	// Waves are carried out one after the other. Without any there is one wave of all servers.
	Waves []Wave `yaml:"waves,omitempty" json:"waves,omitempty"`
	// InFlight caps the servers that are out of service at a time. The default is 1.
	InFlight Limit `yaml:"inFlight,omitempty" json:"inFlight,omitzero"`
	// PerZone caps the same in each availability zone.
	PerZone Limit `yaml:"perZone,omitempty" json:"perZone,omitzero"`
	// PerGroup caps the same in each group of servers.
	PerGroup Group `yaml:"perGroup,omitempty" json:"perGroup,omitzero"`
	// CountOthers counts servers against these caps that are down for another reason: those of the selection, and
	// those of a group whose servers are changed. The default is true.
	CountOthers *bool `yaml:"countOthers,omitempty" json:"countOthers,omitempty"`
	// Budget says how many failures are tolerated. The default is none.
	Budget Budget `yaml:"budget,omitempty" json:"budget,omitzero"`
	// Busy says what to do with a server that another rollout or command is changing.
	Busy Busy `yaml:"busy,omitempty" json:"busy,omitzero"`
	// Health says what proves that the application of a changed server works. Without it a server is done when it runs the
	// image on a new disk.
	Health Health `yaml:"health,omitempty" json:"health,omitzero"`
	// Soak is for how long a changed server keeps its slot after it was proven. With health it has to stay healthy
	// for as long. The default is 0s, the most 24h.
	Soak Duration `yaml:"soak,omitempty" json:"soak,omitempty"`
	// ServerDeadline bounds the wait for the change of one server. The default is 1h, the most 24h.
	ServerDeadline Duration `yaml:"serverDeadline,omitempty" json:"serverDeadline,omitempty"`
	// Deadline bounds the whole rollout, which pauses when it passes. The default is none, the most 365d.
	Deadline Duration `yaml:"deadline,omitempty" json:"deadline,omitempty"`
}

// CountsMembers is true when members of groups count that are not selected, so that they have to be known.
func (s Spec) CountsMembers() bool {
	limited := s.PerGroup.Count != nil || s.PerGroup.Percent != nil
	return limited && (s.CountOthers == nil || *s.CountOthers)
}

// UsesGroups is true when waves or the order of the servers go by their groups.
func (s Spec) UsesGroups() bool {
	selects := func(w Wave) bool { return w.Select != nil && len(w.Select.Groups) > 0 }
	return slices.ContainsFunc(s.Waves, selects) || slices.Contains(s.Spread, SpreadGroup)
}

// Selection chooses servers. A server is chosen when any of ids, names, tags or file names it, it is in one of
// the zones where there are any, and nothing in exclude names it.
type Selection struct {
	// IDs of servers.
	IDs []string `yaml:"ids,omitempty" json:"ids,omitempty"`
	// Names of servers; * stands for any text and ? for any character.
	Names []string `yaml:"names,omitempty" json:"names,omitempty"`
	// Tags as key=value, or as key for any value (key= is the empty value). A server is chosen when it has
	// all of them.
	Tags []string `yaml:"tags,omitempty" json:"tags,omitempty"`
	// File holds ids or names, one a line; # begins a comment. Its path counts from the document. It is
	// read by the command, so that a worker never opens an operator's files.
	File string `yaml:"file,omitempty" json:"file,omitempty"`
	// Zones narrow the selection to servers in one of these availability zones.
	Zones []string `yaml:"zones,omitempty" json:"zones,omitempty"`
	// Exclude takes servers out again: any of the same.
	Exclude Exclusion `yaml:"exclude,omitempty" json:"exclude,omitzero"`
	// Expect is how many servers the selection must come to; anything else is refused.
	Expect Expect `yaml:"expect,omitempty" json:"expect,omitzero"`
}

// OnlyIDs is true when ids alone choose the servers, so that no other server has to be known. Files have to
// have been read into ids and names.
func (s Selection) OnlyIDs() bool { return len(s.IDs) > 0 && len(s.Names) == 0 && len(s.Tags) == 0 }

// Exclusion takes servers out of a selection. A server is out when any entry of any list names it.
type Exclusion struct {
	// IDs of servers.
	IDs []string `yaml:"ids,omitempty" json:"ids,omitempty"`
	// Names of servers; * stands for any text and ? for any character.
	Names []string `yaml:"names,omitempty" json:"names,omitempty"`
	// Tags as key=value or key; any one of them is enough.
	Tags []string `yaml:"tags,omitempty" json:"tags,omitempty"`
	// File holds ids or names, one a line.
	File string `yaml:"file,omitempty" json:"file,omitempty"`
}

// Expect guards a selection against a slip of the pen.
type Expect struct {
	// Count is the exact number. It excludes min and max.
	Count *int `yaml:"count,omitempty" json:"count,omitempty"`
	// Min is the smallest number.
	Min *int `yaml:"min,omitempty" json:"min,omitempty"`
	// Max is the largest number.
	Max *int `yaml:"max,omitempty" json:"max,omitempty"`
}

// Image names the image by its id, or by its name, which has to be that of exactly one active image.
type Image struct {
	// ID of the image.
	ID string `yaml:"id,omitempty" json:"id,omitempty"`
	// Name of the image. The plan pins the id it stands for.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
}

// Login is how the new systems are entered: with a key pair or with a password, never both.
type Login struct {
	// KeyPair is the name of a key pair.
	KeyPair string `yaml:"keyPair,omitempty" json:"keyPair,omitempty"`
	// KeyOwner is the id of the user who owns the key pair.
	KeyOwner string `yaml:"keyOwner,omitempty" json:"keyOwner,omitempty"`
	// PasswordFrom refers to the password, as the worker sees it: env:REIMAGE_SECRET_NAME or file:PATH.
	PasswordFrom rollout.SecretRef `yaml:"passwordFrom,omitempty" json:"passwordFrom,omitempty"`
}

// Disk says how the new system disk is made.
type Disk struct {
	// EncryptWith is the id of the KMS key that encrypts the disk.
	EncryptWith string `yaml:"encryptWith,omitempty" json:"encryptWith,omitempty"`
}

// States says what to do with servers in particular states.
type States struct {
	// AlreadyThere: skip servers that run the image already (default), or change them.
	AlreadyThere StateRule `yaml:"alreadyThere,omitempty" json:"alreadyThere,omitempty" one:"skip change"`
	// Stopped: change servers that are stopped (default), skip or refuse them.
	Stopped StateRule `yaml:"stopped,omitempty" json:"stopped,omitempty" one:"change skip refuse"`
	// Locked: refuse to plan with locked servers (default) or skip them. reimage never unlocks.
	Locked StateRule `yaml:"locked,omitempty" json:"locked,omitempty" one:"refuse skip"`
	// Error: refuse to plan with servers in ERROR (default), skip or change them.
	Error StateRule `yaml:"error,omitempty" json:"error,omitempty" one:"refuse skip change"`
	// Unfit: refuse to plan with servers that cannot take the image, whose OS the cloud does not change, or that
	// are busy or in an odd status (default), or skip them.
	Unfit StateRule `yaml:"unfit,omitempty" json:"unfit,omitempty" one:"refuse skip"`
}

// StateRule is change, skip or refuse.
type StateRule string

// The rules. Refuse makes the whole plan fail and names the servers.
const (
	RuleChange StateRule = "change"
	RuleSkip   StateRule = "skip"
	RuleRefuse StateRule = "refuse"
)

// Stop says how running servers are stopped.
type Stop struct {
	// AllowHard cuts the power when the guest does not shut down in time.
	AllowHard bool `yaml:"allowHard,omitempty" json:"allowHard,omitempty"`
	// Platform lets the cloud stop the server itself; it gives up a fence (docs/never-twice.md).
	Platform bool `yaml:"platform,omitempty" json:"platform,omitempty"`
}

// Order is how the servers are lined up. Every order is total, so the same servers line up the same way.
type Order string

// The orders.
const (
	OrderZones Order = "zones" // one of each zone in turn, by name within
	OrderName  Order = "name"
	OrderID    Order = "id"
)

// SpreadKey is a property of servers whose values take turns: zone, group, or tag: and the key of a tag.
type SpreadKey string

// The keys. SpreadTag is the beginning of one, which the key of the tag follows.
const (
	SpreadZone  SpreadKey = "zone"
	SpreadGroup SpreadKey = "group"
	SpreadTag   string    = "tag:"
)

// Tag is the key of the tag, and false for a key that is no tag's.
func (k SpreadKey) Tag() (string, bool) { return strings.CutPrefix(string(k), SpreadTag) }

// Wave is a part of the servers. One of count, percent and upTo says how many. With select it is the servers that
// match, or the first count of them. The last wave is what is left when it says nothing.
type Wave struct {
	// Name of the wave. The default is wave-1, wave-2, ...
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// Select makes the wave of the servers that match and that no wave before has. Not for the last wave, which has the rest.
	Select *WaveSelection `yaml:"select,omitempty" json:"select,omitempty"`
	// Count is this many more servers, or what is left of them.
	Count *int `yaml:"count,omitempty" json:"count,omitempty"`
	// Percent is this share of all planned servers more, rounded up.
	Percent *rollout.Percent `yaml:"percent,omitempty" json:"percent,omitempty"`
	// UpTo is the share of all planned servers that this and the waves before come to, rounded up.
	UpTo *rollout.Percent `yaml:"upTo,omitempty" json:"upTo,omitempty"`
	// Bake is how long to wait after the wave, at most 30d. The default is 0s.
	Bake Duration `yaml:"bake,omitempty" json:"bake,omitempty"`
	// Approval waits for somebody to approve after the wave and its bake. Not for the last wave.
	Approval bool `yaml:"approval,omitempty" json:"approval,omitempty"`
}

// WaveSelection chooses servers of the plan for a wave. Names and tags choose as they do in a selection: a server matches
// when names or tags name it, or when there are neither. Zones and groups narrow that.
type WaveSelection struct {
	// Names of servers; * stands for any text and ? for any character.
	Names []string `yaml:"names,omitempty" json:"names,omitempty"`
	// Tags as key=value, or as key for any value. A server matches when it has all of them.
	Tags []string `yaml:"tags,omitempty" json:"tags,omitempty"`
	// Zones are availability zones, of which a server is in one.
	Zones []string `yaml:"zones,omitempty" json:"zones,omitempty"`
	// Groups are groups as perGroup makes them, of which a server is in one.
	Groups []string `yaml:"groups,omitempty" json:"groups,omitempty"`
}

// Health says what proves that the application of a server works.
type Health struct {
	// Checks all have to pass at the same time. At most 10.
	Checks []HealthCheck `yaml:"checks,omitempty" json:"checks,omitempty"`
	// RequireBefore is what follows when a running server is not healthy before its change: warn (default) names it in
	// the plan, refuse makes no plan and changes no such server, off does not check.
	RequireBefore rollout.RequireBefore `yaml:"requireBefore,omitempty" json:"requireBefore,omitempty" one:"warn refuse off"`
	// Unhealthy is where such servers stand in their wave: first (default: to change them costs least) or last.
	Unhealthy UnhealthyOrder `yaml:"unhealthy,omitempty" json:"unhealthy,omitempty" one:"first last"`
}

// UnhealthyOrder is where servers stand in their wave that are not healthy before their change.
type UnhealthyOrder string

// The places.
const (
	UnhealthyFirst UnhealthyOrder = "first"
	UnhealthyLast  UnhealthyOrder = "last"
)

// HealthCheck is one probe, sent by the worker to an address that the cloud shows of the server.
type HealthCheck struct {
	// Type: tcp (a connection is accepted), http or https (a GET request is answered), ssh (a banner is sent).
	Type rollout.HealthCheckType `yaml:"type" json:"type" one:"tcp http https ssh"`
	// Port is 80, 443 and 22 for http, https and ssh. tcp has no default.
	Port int `yaml:"port,omitempty" json:"port,omitempty"`
	// Address is the kind of address that is probed: fixed (default) or floating.
	Address rollout.AddressType `yaml:"address,omitempty" json:"address,omitempty" one:"fixed floating"`
	// Path of the request, of http and https. The default is /.
	Path string `yaml:"path,omitempty" json:"path,omitempty"`
	// Status that has to be answered. The default is any from 200 to 299; redirects are not followed.
	Status int `yaml:"status,omitempty" json:"status,omitempty"`
	// Contains is a text of at most 200 bytes that the first 64 KB of the body have to hold.
	Contains string `yaml:"contains,omitempty" json:"contains,omitempty"`
	// Host is the Host header, and the name that the certificate is verified for. The default is the address.
	Host string `yaml:"host,omitempty" json:"host,omitempty"`
	// CA are the certificates that https trusts, in PEM. The default are those of the worker.
	CA string `yaml:"ca,omitempty" json:"ca,omitempty"`
	// Insecure accepts every certificate.
	Insecure bool `yaml:"insecure,omitempty" json:"insecure,omitempty"`
	// After is for how long the server is left alone after the proof of its new disk. The default is 0s, the most 24h.
	After Duration `yaml:"after,omitempty" json:"after,omitempty"`
	// StableFor is for how long the check has to pass without a break. The default is 10s, the most 24h.
	StableFor Duration `yaml:"stableFor,omitempty" json:"stableFor,omitempty"`
	// Within is when the check fails that did not, counted from the proof too. The default is 5m, the most 24h.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// IsSet is true for a document that asks for health.
func (h Health) IsSet() bool { return len(h.Checks) > 0 }

// Check is the check as the plan has it, with its defaults.
func (c HealthCheck) Check() rollout.HealthCheck {
	return rollout.HealthCheck{
		Type: c.Type, Port: c.Port, Address: c.Address, Path: c.Path, Status: c.Status, Contains: c.Contains, Host: c.Host, CA: c.CA,
		Insecure: c.Insecure, After: c.After.Std(), StableFor: c.StableFor.Std(), Within: c.Within.Std(),
	}.WithDefaults()
}

// PlannedHealth is what the plan has of it, nil when none is asked for.
func (s Spec) PlannedHealth() *rollout.Health {
	if !s.Health.IsSet() {
		return nil
	}
	health := &rollout.Health{RequireBefore: s.Health.RequireBefore}
	for _, c := range s.Health.Checks {
		health.Checks = append(health.Checks, c.Check())
	}
	return health
}

// Limit is a number of servers, given as a count, as a share, or as both: then the smaller one counts. A
// share rounds down, but to at least 1.
type Limit struct {
	// Count of servers, at least 1. Of failures also 0.
	Count *int `yaml:"count,omitempty" json:"count,omitempty"`
	// Percent of the planned servers (in the zone or group, for caps by zone or group).
	Percent *rollout.Percent `yaml:"percent,omitempty" json:"percent,omitempty"`
}

// Group is a limit for each group of servers.
type Group struct {
	// Tag is the key of the tag whose value names the group of a server.
	Tag string `yaml:"tag,omitempty" json:"tag,omitempty"`
	// ServerGroup takes the server group of the cloud as the group. It excludes tag.
	ServerGroup bool `yaml:"serverGroup,omitempty" json:"serverGroup,omitempty"`
	// Count of servers, at least 1.
	Count *int `yaml:"count,omitempty" json:"count,omitempty"`
	// Percent of the planned servers in the group.
	Percent *rollout.Percent `yaml:"percent,omitempty" json:"percent,omitempty"`
}

// IsGiven is true when it says what a group is.
func (g Group) IsGiven() bool { return g.Tag != "" || g.ServerGroup }

// Budget says how many failed servers are tolerated. The rollout stops when there are more.
type Budget struct {
	// Tolerate is the number of failures, as a count, a share of the planned servers rounded down, or
	// both: then the smaller one counts. The default is a count of 0.
	Tolerate Limit `yaml:"tolerate,omitempty" json:"tolerate,omitzero"`
	// MinSample is how many servers have to have ended before the percentage counts.
	MinSample int `yaml:"minSample,omitempty" json:"minSample,omitempty"`
	// PerGroup is how many failures are tolerated in any one group. It needs perGroup of the spec to say
	// what a group is.
	PerGroup *int `yaml:"perGroup,omitempty" json:"perGroup,omitempty"`
	// OnBreach is what to do then: pause (default), abort or rollback.
	OnBreach rollout.OnBreach `yaml:"onBreach,omitempty" json:"onBreach,omitempty" one:"pause abort rollback"`
	// Admission is reactive (default: what is in flight at a breach may still fail) or strict (so few are
	// in flight that the budget cannot be exceeded).
	Admission Admission `yaml:"admission,omitempty" json:"admission,omitempty" one:"reactive strict"`
	// SlowStart begins with one server in flight and falls back to one after a failure.
	SlowStart bool `yaml:"slowStart,omitempty" json:"slowStart,omitempty"`
}

// Admission is how many servers are let in with regard to the budget.
type Admission string

// The admissions.
const (
	AdmissionReactive Admission = "reactive"
	AdmissionStrict   Admission = "strict"
)

// Busy says what to do with a server that somebody else is changing.
type Busy struct {
	// Wait is how long to wait for it before it is skipped. The default is 30m, the most 7d; 0s skips it at once.
	Wait *Duration `yaml:"wait,omitempty" json:"wait,omitempty"`
}
