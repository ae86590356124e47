package planner

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// warn adds what an operator should know before applying the plan, and only that.
func (p *planner) warn() {
	p.warnOfStopped()
	if len(p.plan.Servers) == 0 {
		p.warning("nothing to change: %s selected and skipped", rollout.Count(len(p.plan.Skipped), "server"))
		return
	}
	p.warnOfWaves()
	p.warnOfCaps()
	p.warnOfDown()
	p.warnOfGroups()
	p.warnOfBudget()
	p.warnOfRollback()
	p.warnOfChange()
	p.warnOfNames()
	if len(p.unproven) > 0 {
		p.warning("that the credentials may %s is unproven until the first server", conjoined(p.unproven))
	}
}

func (p *planner) warnOfCaps() {
	if n := len(p.plan.Servers); n > 1 && p.plan.MostOutOfService(p.plan.Caps.InFlight) == n {
		p.warning("all %d servers may be out of service at once", n)
	}
	if p.plan.Deadline > 0 && p.plan.Estimate > p.plan.Deadline {
		p.warning("the rollout is estimated to take %s and pauses after %s", p.plan.Estimate.Round(time.Minute), p.plan.Deadline)
	}
}

// warnOfRollback tells what rolling back will not do.
func (p *planner) warnOfRollback() {
	if p.plan.Budget.OnBreach != rollout.BreachRollback {
		return
	}
	change := p.plan.Change
	if change.Login != (rollout.Login{}) || change.UserDataFrom != "" {
		p.warning("rolling back makes new disks from the previous images with the login and user data of this rollout, not with those from before")
	} else {
		p.warning("rolling back makes new disks from the previous images: it brings back the image, not what was on the lost disks")
	}
	p.warnOfPreviousImages()
}

// warnOfPreviousImages tells which servers Preflight would refuse to roll back: it asks of the previous image what
// it asks of the planned one.
func (p *planner) warnOfPreviousImages() {
	var reasons []string // each once, in the order of the servers
	servers := map[string][]rollout.InventoryServer{}
	for _, s := range p.chosen {
		reason := p.againstRollback(s)
		if reason == "" {
			continue
		}
		if len(servers[reason]) == 0 {
			reasons = append(reasons, reason)
		}
		servers[reason] = append(servers[reason], s)
	}
	for _, reason := range reasons {
		p.warning("%s cannot be rolled back (%s): %s", rollout.Count(len(servers[reason]), "server"), p.names(servers[reason]), reason)
	}
}

// againstRollback is why the server would not get its previous image, "" when nothing is known against it.
func (p *planner) againstRollback(s rollout.InventoryServer) string {
	previous := p.imageOf(s)
	switch {
	case s.Observation.ImageID == "":
		return "which image it runs is not shown"
	case previous.ID == "":
		return "the previous image is gone"
	}
	change := p.plan.Change
	change.ImageID = previous.ID
	return strings.Join(previous.Objections(change, p.edition), "; ")
}

func (p *planner) warnOfChange() {
	if p.whyAPI != "" {
		p.warning("%s", p.whyAPI)
	}
	for _, doubt := range p.image.Doubts(p.plan.Change) {
		p.warning("%s", doubt)
	}
	for _, warning := range p.userData.Warnings {
		p.warning("%s", warning)
	}
	gone := p.chosenWhere(func(s rollout.InventoryServer) bool { return s.Observation.ImageID != "" && p.imageOf(s).ID == "" })
	if len(gone) > 0 {
		p.warning("the present image of %s is gone, so firmware and architecture were not compared: %s", rollout.Count(len(gone), "server"), p.names(gone))
	}
	hidden := p.chosenWhere(func(s rollout.InventoryServer) bool { return s.Observation.ImageID == "" })
	if len(hidden) > 0 {
		p.warning("which image %s runs is not shown, so firmware and architecture were not compared: %s", rollout.Count(len(hidden), "server"), p.names(hidden))
	}
	if p.plan.Change.WithStopServer {
		p.warning("stop.platform gives up a fence against a change that arrives twice: docs/never-twice.md")
	}
	p.warnOfPrepaid()
}

// warnOfStopped tells of servers that an earlier change has left stopped. Those that are skipped are left so.
func (p *planner) warnOfStopped() {
	left := func(s rollout.InventoryServer) bool { return s.LeftStopped }
	if chosen := p.chosenWhere(left); len(chosen) > 0 && p.plan.Change.Power == rollout.PowerAsBefore {
		p.warning("%s stopped since an earlier change, before which it ran, will be left running; power: off leaves it stopped: %s", rollout.Count(len(chosen), "server"), p.names(chosen))
	}
	var skipped []rollout.InventoryServer
	for _, s := range p.selected {
		if left(s) && slices.ContainsFunc(p.plan.Skipped, func(skip rollout.SkippedServer) bool { return skip.ID == s.ID }) {
			skipped = append(skipped, s)
		}
	}
	if len(skipped) > 0 {
		p.warning("%s on the image already, left stopped by an earlier change: start in the cloud's console: %s", rollout.Count(len(skipped), "server"), p.names(skipped))
	}
}

func (p *planner) warnOfPrepaid() {
	prepaid := p.chosenWhere(func(s rollout.InventoryServer) bool { return s.Prepaid })
	if len(prepaid) == 0 {
		return
	}
	if pay := p.plan.Change.AutoPay; !p.edition.NoAutoPay && (pay == nil || !*pay) {
		p.warning("%s paid by the year or month may wait until somebody pays a price difference, without autoPay: %s", rollout.Count(len(prepaid), "server"), p.names(prepaid))
	}
	if p.image.Type == "shared" {
		p.warning("a shared image for %s paid by the year or month: the documents forbid marketplace images only, the error itself (Ecs.0510) says more: %s", rollout.Count(len(prepaid), "server"), p.names(prepaid))
	}
}

// warnOfNames tells which names do not tell servers apart.
func (p *planner) warnOfNames() {
	servers := map[string]int{}
	for _, s := range p.chosen {
		servers[s.Name]++
	}
	maps.DeleteFunc(servers, func(name string, n int) bool { return name == "" || n == 1 })
	if len(servers) > 0 {
		p.warning("several servers share a name, so commands need their ids: %s", named(slices.Sorted(maps.Keys(servers))))
	}
}

// imageOf is the image the server runs, as far as the inventory knows it.
func (p *planner) imageOf(s rollout.InventoryServer) rollout.InventoryImage {
	return p.images[strings.ToLower(s.Observation.ImageID)]
}

func (p *planner) imageName(s rollout.InventoryServer) string { return p.imageOf(s).Name }
