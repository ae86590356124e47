// Package spec is the specification of a rollout: the YAML document that an operator writes. It knows the
// form and the rules of the document and nothing of the cloud; package planner makes a plan of it.
package spec

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

// The only document this program reads.
const (
	APIVersion = "reimage/v1"
	Kind       = "Rollout"
)

// Rollout is a whole document.
type Rollout struct {
	APIVersion string   `yaml:"apiVersion" json:"apiVersion"`
	Kind       string   `yaml:"kind" json:"kind"`
	Metadata   Metadata `yaml:"metadata" json:"metadata"`
	Spec       Spec     `yaml:"spec" json:"spec"`
}

// Metadata names the rollout.
type Metadata struct {
	// Name is how every command calls the rollout: lower case letters, digits and dashes, at most 63.
	Name string `yaml:"name" json:"name"`
	// Reason is shown with the plan and in reports: a ticket, a CVE.
	Reason string `yaml:"reason" json:"reason,omitempty"`
}

// Spec says which servers get which image, and how carefully.
type Spec struct {
	// Select chooses the servers.
	Select Selection `yaml:"select" json:"select"`
	// Image is what the new system disks are made from.
	Image Image `yaml:"image" json:"image"`
	// API is the change OS operation: v2 for images with Cloud-Init, v1 for the others, auto for v2. No
	// fact of the cloud tells reliably, so auto is proven by the first wave and not by a guess per image.
	API string `yaml:"api" json:"api,omitempty"`
	// Login is how the new systems are entered. Without it the credentials of the image stay.
	Login Login `yaml:"login" json:"login,omitzero"`
	// UserDataFrom refers to Cloud-Init user data, as the worker sees it: env:NAME or file:PATH.
	UserDataFrom rollout.SecretRef `yaml:"userDataFrom" json:"userDataFrom,omitempty"`
	// Disk says how the new system disk is made.
	Disk Disk `yaml:"disk" json:"disk,omitzero"`
	// BYOL uses the licence that comes with the image.
	BYOL bool `yaml:"byol" json:"byol,omitempty"`
	// AutoPay pays a price difference of yearly or monthly servers without asking.
	AutoPay *bool `yaml:"autoPay" json:"autoPay,omitempty"`
	// Servers says what to do with servers in particular states.
	Servers States `yaml:"servers" json:"servers,omitzero"`
	// Stop says how running servers are stopped.
	Stop Stop `yaml:"stop" json:"stop,omitzero"`
	// Power is the state the servers are left in: as-before, on or off.
	Power rollout.Power `yaml:"power" json:"power,omitempty"`
	// Order is how the servers are lined up: zones (interleaved, then by name), name, or id.
	Order Order `yaml:"order" json:"order,omitempty"`
	// Waves are carried out one after the other. Without any there is one wave of all servers.
	Waves []Wave `yaml:"waves" json:"waves,omitempty"`
	// InFlight caps the servers that are out of service at a time. The default is 1.
	InFlight Limit `yaml:"inFlight" json:"inFlight,omitzero"`
	// PerZone caps the same in each availability zone.
	PerZone Limit `yaml:"perZone" json:"perZone,omitzero"`
	// PerGroup caps the same in each group of servers.
	PerGroup Group `yaml:"perGroup" json:"perGroup,omitzero"`
	// Budget says how many failures are tolerated. The default is none.
	Budget Budget `yaml:"budget" json:"budget,omitzero"`
	// Busy says what to do with a server that another rollout or command is changing.
	Busy Busy `yaml:"busy" json:"busy,omitzero"`
	// Soak is for how long a changed server keeps its slot after it was proven. The default is 0s.
	Soak Duration `yaml:"soak" json:"soak,omitempty"`
	// ServerDeadline bounds the wait for the change of one server. The default is 1h, the most 24h.
	ServerDeadline Duration `yaml:"serverDeadline" json:"serverDeadline,omitempty"`
	// Deadline bounds the whole rollout, which pauses when it passes. The default is none.
	Deadline Duration `yaml:"deadline" json:"deadline,omitempty"`
}

// Selection chooses servers. A server is chosen when any of ids, names, tags or file names it, and
// nothing in exclude does.
type Selection struct {
	// IDs of servers.
	IDs []string `yaml:"ids" json:"ids,omitempty"`
	// Names of servers; * stands for any text and ? for any character.
	Names []string `yaml:"names" json:"names,omitempty"`
	// Tags as key=value, or as key for any value. A server is chosen when it has all of them.
	Tags []string `yaml:"tags" json:"tags,omitempty"`
	// File holds ids or names, one a line; # begins a comment. Its path counts from the document. It is
	// read by the command, so that a worker never opens an operator's files.
	File string `yaml:"file" json:"file,omitempty"`
	// Exclude takes servers out again: any of the same.
	Exclude Exclusion `yaml:"exclude" json:"exclude,omitzero"`
	// Expect is how many servers the selection must come to; anything else is refused.
	Expect Expect `yaml:"expect" json:"expect,omitzero"`
}

// Exclusion takes servers out of a selection. A server is out when any entry of any list names it.
type Exclusion struct {
	// IDs of servers.
	IDs []string `yaml:"ids" json:"ids,omitempty"`
	// Names of servers; * stands for any text and ? for any character.
	Names []string `yaml:"names" json:"names,omitempty"`
	// Tags as key=value or key; any one of them is enough.
	Tags []string `yaml:"tags" json:"tags,omitempty"`
	// File holds ids or names, one a line.
	File string `yaml:"file" json:"file,omitempty"`
}

// Expect guards a selection against a slip of the pen.
type Expect struct {
	// Count is the exact number. It excludes min and max.
	Count *int `yaml:"count" json:"count,omitempty"`
	// Min is the smallest number.
	Min *int `yaml:"min" json:"min,omitempty"`
	// Max is the largest number.
	Max *int `yaml:"max" json:"max,omitempty"`
}

// Image names the image by its id, or by its name, which has to be that of exactly one active image.
type Image struct {
	// ID of the image.
	ID string `yaml:"id" json:"id,omitempty"`
	// Name of the image. The plan pins the id it stands for.
	Name string `yaml:"name" json:"name,omitempty"`
}

// Login is how the new systems are entered: with a key pair or with a password, never both.
type Login struct {
	// KeyPair is the name of a key pair.
	KeyPair string `yaml:"keyPair" json:"keyPair,omitempty"`
	// KeyOwner is the id of the user who owns the key pair.
	KeyOwner string `yaml:"keyOwner" json:"keyOwner,omitempty"`
	// PasswordFrom refers to the password, as the worker sees it: env:NAME or file:PATH.
	PasswordFrom rollout.SecretRef `yaml:"passwordFrom" json:"passwordFrom,omitempty"`
}

// Disk says how the new system disk is made.
type Disk struct {
	// EncryptWith is the id of the KMS key that encrypts the disk.
	EncryptWith string `yaml:"encryptWith" json:"encryptWith,omitempty"`
}

// States says what to do with servers in particular states.
type States struct {
	// AlreadyThere: skip servers that run the image already (default), or change them.
	AlreadyThere StateRule `yaml:"alreadyThere" json:"alreadyThere,omitempty"`
	// Stopped: change servers that are stopped (default), skip or refuse them.
	Stopped StateRule `yaml:"stopped" json:"stopped,omitempty"`
	// Locked: refuse to plan with locked servers (default) or skip them. reimage never unlocks.
	Locked StateRule `yaml:"locked" json:"locked,omitempty"`
	// Error: refuse to plan with servers in ERROR (default), skip or change them.
	Error StateRule `yaml:"error" json:"error,omitempty"`
	// Unfit: refuse to plan with servers that cannot take the image, or whose OS the cloud does not change
	// (default), or skip them.
	Unfit StateRule `yaml:"unfit" json:"unfit,omitempty"`
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
	AllowHard bool `yaml:"allowHard" json:"allowHard,omitempty"`
	// Platform lets the cloud stop the server itself; it gives up a fence (docs/never-twice.md).
	Platform bool `yaml:"platform" json:"platform,omitempty"`
}

// Order is how the servers are lined up. Every order is total, so the same servers line up the same way.
type Order string

// The orders.
const (
	OrderZones Order = "zones" // one of each zone in turn, by name within
	OrderName  Order = "name"
	OrderID    Order = "id"
)

// Wave is a part of the servers. Exactly one of count, percent and upTo says how many.
type Wave struct {
	// Name of the wave. The default is wave-1, wave-2, ...
	Name string `yaml:"name" json:"name,omitempty"`
	// Count is this many more servers, or what is left of them.
	Count *int `yaml:"count" json:"count,omitempty"`
	// Percent is this share of all planned servers more, rounded up.
	Percent *rollout.Percent `yaml:"percent" json:"percent,omitempty"`
	// UpTo is the share of all planned servers that this and the waves before come to, rounded up.
	UpTo *rollout.Percent `yaml:"upTo" json:"upTo,omitempty"`
	// Bake is how long to wait after the wave.
	Bake Duration `yaml:"bake" json:"bake,omitempty"`
	// Approval waits for somebody to approve after the wave and its bake. Not for the last wave.
	Approval bool `yaml:"approval" json:"approval,omitempty"`
}

// Limit is a number of servers, given as a count, as a share, or as both: then the smaller one counts. A
// share rounds down, but to at least 1.
type Limit struct {
	// Count of servers, at least 1.
	Count *int `yaml:"count" json:"count,omitempty"`
	// Percent of the planned servers (in the zone or group, for caps by zone or group).
	Percent *rollout.Percent `yaml:"percent" json:"percent,omitempty"`
}

// Group is a limit for each group of servers.
type Group struct {
	// Tag is the key of the tag whose value names the group of a server.
	Tag string `yaml:"tag" json:"tag,omitempty"`
	// ServerGroup takes the server group of the cloud as the group. It excludes tag.
	ServerGroup bool `yaml:"serverGroup" json:"serverGroup,omitempty"`
	// Count of servers, at least 1.
	Count *int `yaml:"count" json:"count,omitempty"`
	// Percent of the planned servers in the group.
	Percent *rollout.Percent `yaml:"percent" json:"percent,omitempty"`
}

// Budget says how many failed servers are tolerated. The rollout stops when there are more.
type Budget struct {
	// Tolerate is the number of failures, as a count, a share of the planned servers rounded down, or
	// both: then the smaller one counts. The default is a count of 0.
	Tolerate Limit `yaml:"tolerate" json:"tolerate,omitzero"`
	// MinSample is how many servers have to have ended before the percentage counts.
	MinSample int `yaml:"minSample" json:"minSample,omitempty"`
	// PerGroup is how many failures are tolerated in any one group. It needs perGroup of the spec to say
	// what a group is.
	PerGroup *int `yaml:"perGroup" json:"perGroup,omitempty"`
	// OnBreach is what to do then: pause (default), abort or rollback.
	OnBreach rollout.OnBreach `yaml:"onBreach" json:"onBreach,omitempty"`
	// Admission is reactive (default: what is in flight at a breach may still fail) or strict (so few are
	// in flight that the budget cannot be exceeded).
	Admission Admission `yaml:"admission" json:"admission,omitempty"`
	// SlowStart begins with one server in flight and falls back to one after a failure.
	SlowStart bool `yaml:"slowStart" json:"slowStart,omitempty"`
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
	// Wait is how long to wait for it before it is skipped. The default is 30m; 0s skips it at once.
	Wait *Duration `yaml:"wait" json:"wait,omitempty"`
}

// Duration is a time such as 90s, 30m or 24h.
type Duration time.Duration
