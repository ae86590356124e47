package rollout

import (
	"strings"
	"time"
)

// Plan is what a rollout will do, server by server, with every number resolved. It is data: apply
// carries out exactly this, or refuses. Planner makes it; the engine follows it.
type Plan struct {
	// Version is the version of this format.
	Version int    `json:"version"`
	Name    string `json:"name"`
	Reason  string `json:"reason,omitempty"`
	Project string `json:"project"`
	// Profile is what the worker that made the plan calls the project, and Edition that of its cloud. They are for
	// people: everything goes by the project.
	Profile string `json:"profile,omitempty"`
	Edition string `json:"edition,omitempty"`
	// MadeAt is when the servers were looked at.
	MadeAt time.Time `json:"made_at"`
	// Change is what is done to every server, with the image pinned by its id.
	Change    Change `json:"change"`
	ImageName string `json:"image_name"`
	// Servers are the ones to change, in the order in which they are started. N is their number.
	Servers []PlannedServer `json:"servers"`
	Skipped []SkippedServer `json:"skipped,omitempty"`
	// Others are the members of a planned server's group that were not selected. They are never touched; while they are
	// down, they count against the caps.
	Others []OtherServer `json:"others,omitempty"`
	Waves  []Wave        `json:"waves"`
	Caps   Caps          `json:"caps"`
	Budget Budget        `json:"budget"`
	// BusyWait is how long a server that another workflow changes is waited for before it is skipped.
	// Zero skips it at once.
	BusyWait time.Duration `json:"busy_wait,omitempty"`
	// Health is what proves that the application of a changed server works. Nil asks nothing beyond the new disk.
	Health *Health `json:"health,omitempty"`
	// Soak is for how long a changed server keeps its slot after it was proven. With Health it has to stay healthy.
	Soak time.Duration `json:"soak,omitempty"`
	// Deadline is how long the whole rollout may take before it pauses. Zero means for ever.
	Deadline time.Duration `json:"deadline,omitempty"`
	// Estimate is how long the rollout takes when every server takes AssumedPerServer, nothing fails and approvals
	// come at once.
	Estimate time.Duration `json:"estimate"`
	Warnings []string      `json:"warnings,omitempty"`
	// Digest is the SHA-256 of everything above, in hex: Plan.Seal sets it, Plan.Verify checks it.
	Digest string `json:"digest"`
}

// Cloud says where the servers are: "profile web, project 0e5f, edition otc".
func (p Plan) Cloud() string { return Cloud(p.Profile, p.Project, p.Edition) }

// Cloud says where servers are. What is not known is left out.
func Cloud(profile, project, edition string) string {
	var parts []string
	for _, part := range [][2]string{{"profile", profile}, {"project", project}, {"edition", edition}} {
		if part[1] != "" {
			parts = append(parts, part[0]+" "+part[1])
		}
	}
	return strings.Join(parts, ", ")
}

// PlanVersion is the Version of the plans that this program makes and carries out.
const PlanVersion = 1

// AssumedPerServer is how long the estimate takes the change of one server to last, from its stop to its proof. It
// is an assumption: clouds and images differ, from one minute to twenty. See docs/rollout.md#estimate.
const AssumedPerServer = 6 * time.Minute

// PlannedServer is a server that will be changed, as it was when the plan was made.
type PlannedServer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Zone string `json:"zone,omitempty"`
	// Group is the value of the tag, or the id of the server group, that caps and budgets go by.
	Group  string `json:"group,omitempty"`
	Status string `json:"status"`
	// LeftStopped is true when it ran before an earlier change that has left it stopped.
	LeftStopped bool `json:"left_stopped,omitempty"`
	// Before is the system disk that will be lost. No other disk may be.
	Before    Fingerprint `json:"before"`
	ImageName string      `json:"image_name,omitempty"` // the name of Before.ImageID, if it is known
	DiskGB    int         `json:"disk_gb,omitempty"`    // of the system disk
	DataDisks int         `json:"data_disks,omitempty"` // they are kept
	// Unhealthy names the health checks that it did not pass when the plan was made.
	Unhealthy string `json:"unhealthy,omitempty"`
}

// SkippedServer was selected and will not be touched.
type SkippedServer struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Zone, Group and Status are as in PlannedServer. They are empty when other servers do not count against the caps.
	Zone   string `json:"zone,omitempty"`
	Group  string `json:"group,omitempty"`
	Status string `json:"status,omitempty"`
}

// OtherServer is a server that the rollout does not touch and that counts against the caps while it is down.
type OtherServer struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Zone   string `json:"zone,omitempty"`
	Group  string `json:"group,omitempty"`
	Status string `json:"status"`
}

// Untouched are the servers that count against the caps while they are down, and that the rollout does not touch: those of
// the selection that are skipped, and other members of the groups.
func (p Plan) Untouched() []OtherServer {
	if !p.Caps.CountOthers {
		return nil
	}
	var all []OtherServer
	for _, s := range p.Skipped {
		all = append(all, OtherServer{ID: s.ID, Name: s.Name, Zone: s.Zone, Group: s.Group, Status: s.Status})
	}
	return append(all, p.Others...)
}

// Wave is a barrier: the next wave starts when every server of this one has ended, the bake is over and
// the approval given. Inside a wave a window slides.
type Wave struct {
	Name string `json:"name"`
	// Select is what its servers have in common, for people: "names web-*; zones eu-1a". Empty for a wave that takes the next
	// servers of all.
	Select string `json:"select,omitempty"`
	// End is the number of servers in this and all waves before: the wave is Servers[previous End:End].
	// A wave that ends where the one before ends is empty; it neither bakes nor asks.
	End      int           `json:"end"`
	Bake     time.Duration `json:"bake,omitempty"`
	Approval bool          `json:"approval,omitempty"`
}

// Title is the name of the wave with what it selects: "db (tags role=db)".
func (w Wave) Title() string {
	if w.Select == "" {
		return w.Name
	}
	return w.Name + " (" + w.Select + ")"
}

// MaxInFlight is the largest cap on servers in flight. Temporal lets a workflow have 2000 pending children and
// 2000 pending activities, and a rollout that reaches that is stuck; clouds let hardly anybody do more at a time.
const MaxInFlight = 500

// MaxServers is the largest plan. It and the state of its servers have to fit into one payload of Temporal,
// 2 MB when compressed; 10,000 servers take 0.8 MB.
const MaxServers = 15_000

// Caps bound how many servers are out of service at a time.
type Caps struct {
	// CountOthers is true when servers count that are down, and not because of the rollout: those of the selection and those
	// of a planned server's group.
	CountOthers bool `json:"count_others,omitempty"`
	// InFlight is the cap on all servers together, from 1 to MaxInFlight.
	InFlight int `json:"in_flight"`
	// Zones and Groups are the caps by zone and by group, sorted by name. Empty means none.
	Zones  []GroupCap `json:"zones,omitempty"`
	Groups []GroupCap `json:"groups,omitempty"`
}

// GroupCap is the cap of one zone or group.
type GroupCap struct {
	Name    string `json:"name"`
	Servers int    `json:"servers"` // planned servers in it
	Cap     int    `json:"cap"`     // at least 1. It may be larger than Servers when other servers count
}

// Budget says how many failed servers are tolerated: the rollout stops when there are more.
type Budget struct {
	// Count is the number of failures tolerated in any case. Nil means that only Share counts.
	Count *int `json:"count,omitempty"`
	// Share is the number that the percentage comes to, of N and rounded down, and MinSample how many
	// servers have to have ended before it counts. Nil means that only Count counts.
	Share     *int `json:"share,omitempty"`
	MinSample int  `json:"min_sample,omitempty"`
	// PerGroup is the number tolerated in any one group. Nil means no such limit.
	PerGroup *int     `json:"per_group,omitempty"`
	OnBreach OnBreach `json:"on_breach"`
	// Strict keeps servers in flight plus failures within the tolerated number plus one, so that nothing is
	// in flight at a breach that could still fail. It goes by the share from the first server on, whatever
	// the sample. Otherwise what is in flight at a breach may still fail.
	Strict bool `json:"strict,omitempty"`
	// SlowStart begins with one server in flight, adds one for each success and falls back to one after
	// a failure. What was started before the failure does not add to it any more.
	SlowStart bool `json:"slow_start,omitempty"`
}

// OnBreach is what happens when the budget is exceeded. In every case nothing more is started.
type OnBreach string

// The answers to a breach.
const (
	BreachPause    OnBreach = "pause"
	BreachAbort    OnBreach = "abort"
	BreachRollback OnBreach = "rollback" // changed servers get their previous image again
)

// Tolerated is the number of failures in force once so many servers have ended.
func (b Budget) Tolerated(ended int) int {
	switch {
	case b.Share == nil && b.Count == nil:
		return 0
	case b.Share == nil || b.Count != nil && ended < b.MinSample:
		return *b.Count
	case ended < b.MinSample:
		// Too few to judge by a share, and nothing else was given: the sample itself may fail whole.
		return b.MinSample
	case b.Count == nil:
		return *b.Share
	}
	return min(*b.Count, *b.Share)
}
