package planner

import (
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// Problems are all the reasons why there is no plan. It is the only error of Make that an operator can do something
// about.
type Problems []Problem

// Problem is one sentence. Text names ten servers at most, and Whole names all of them.
type Problem struct{ Text, Whole string }

// Error puts each problem on a line of its own.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.Text
	}
	return strings.Join(texts, "\n")
}

// Make plans a rollout of a valid document, whose files have been read into its ids and names. Its error
// is Problems; what it returns beside them is no plan, but says what was to be changed and on which servers, for whoever
// looks for more problems. When every selected server is skipped there is still a plan: one that changes nothing.
func Make(doc document.Rollout, inv rollout.Inventory, now time.Time) (rollout.Plan, error) {
	p := planner{spec: doc.WithDefaults().Spec, edition: inv.Edition, images: imagesByID(inv.Images), unproven: inv.Unproven, userData: inv.UserData}
	p.plan = rollout.Plan{
		Version: rollout.PlanVersion, Name: doc.Metadata.Name, Reason: doc.Metadata.Reason,
		Project: inv.Project, Profile: inv.Profile, Edition: inv.Edition.Name, MadeAt: now.UTC().Truncate(time.Second),
	}
	p.chooseImage(inv.Images)
	p.describeChange()
	if inv.HoldersUnknown != "" {
		p.warning("which servers others change at this moment is not known (%s): when the turn of one comes, the lock on it decides", inv.HoldersUnknown)
	}
	if inv.KeyPairUnknown != "" {
		p.warning("%s", inv.KeyPairUnknown)
	}
	if inv.HealthUnknown != "" {
		p.healthUnknown = inv.HealthUnknown
		p.warning("which servers are healthy now is not known: %s", inv.HealthUnknown)
	}
	if inv.ClockOff != "" {
		p.warning("the worker's clock is %s: set it right (NTP), signatures that are 15 minutes off are refused", inv.ClockOff)
	}
	servers := p.distinct(inv.Servers)
	p.chooseServers(servers)
	p.sortOut()
	p.checkSpread()
	p.cutWaves()
	p.describeServers()
	p.placeUnhealthy()
	p.countOthers(servers)
	p.setCaps()
	p.setBudget()
	p.setTimes()
	if len(p.problems) > 0 {
		return p.plan, p.problems
	}
	p.warn()
	if err := p.plan.Seal(); err != nil {
		return rollout.Plan{}, err
	}
	return p.plan, nil
}

// planner carries a plan in the making. Each step adds its part, and its problems.
type planner struct {
	spec    document.Spec // with every default filled in
	edition rollout.Edition
	// userData is what was found behind the reference to user data.
	userData rollout.InventoryUserData
	// unproven is what the credentials may not be permitted to do.
	unproven []string
	// healthUnknown says why it is not known which servers are healthy.
	healthUnknown string
	// images are those of the inventory by their id in lower case.
	images map[string]rollout.InventoryImage
	// image is the one to install. Nil when it could not be chosen, which is a problem already.
	image *rollout.InventoryImage
	// whyAPI says why api: auto is what it is in this plan.
	whyAPI string
	// selected are the servers that the document selects, sorted by name, then id.
	selected []rollout.InventoryServer
	// young are the names of those that it would select if they were not new.
	young named
	// label is what selected servers are called in sentences.
	label labels
	// chosen are the selected servers that are not skipped. Refused ones are among them, so that the
	// waves are checked as if they were put right.
	chosen   []rollout.InventoryServer
	problems Problems
	plan     rollout.Plan
}
