package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// Drift names every planned server that is no longer as it was when the plan was made, in the order of the
// plan, and, without a server id, why the image or the edition of the cloud no longer allows the change. Empty
// means that the plan can be carried out.
func Drift(plan rollout.Plan, inv rollout.Inventory) []rollout.Drift {
	var drift []rollout.Drift
	ofImage := func(what ...string) {
		for _, w := range what {
			drift = append(drift, rollout.Drift{Name: plan.ImageName, What: w})
		}
	}
	if image, ok := imagesByID(inv.Images)[strings.ToLower(plan.Change.ImageID)]; ok {
		ofImage(image.Objections(plan.Change, inv.Edition)...)
	} else {
		ofImage(fmt.Sprintf("image %s (%s) is gone", plan.ImageName, plan.Change.ImageID))
	}
	ofImage(inv.Edition.Objections(plan.Change)...) // whoever runs the worker may have named another one since
	servers := make(map[string]rollout.InventoryServer, len(inv.Servers))
	for _, s := range inv.Servers {
		servers[s.ID] = s
	}
	label := labelsOf(plan)
	for _, planned := range plan.Servers {
		now, ok := servers[planned.ID]
		changes := []string{"is gone"}
		if ok && now.Observation.Exists {
			changes = changesOf(planned, now)
		}
		if len(changes) > 0 {
			what := label.of(planned.ID, planned.Name) + " " + strings.Join(changes, ", ")
			drift = append(drift, rollout.Drift{ServerID: planned.ID, Name: planned.Name, What: what})
		}
	}
	return drift
}

// changesOf are the ways in which a server is not as it was planned.
func changesOf(planned rollout.PlannedServer, now rollout.InventoryServer) []string {
	var changes []string
	changed := func(when bool, format string, args ...any) {
		if when {
			changes = append(changes, fmt.Sprintf(format, args...))
		}
	}
	was, is := planned.Before, now.Observation.Fingerprint
	changed(is.VolumeID == "", "has no system disk any more (it was %s)", was.VolumeID)
	changed(is.VolumeID != "" && is.VolumeID != was.VolumeID, "has another system disk: %s, not %s", is.VolumeID, was.VolumeID)
	changed(is.ImageID != was.ImageID, "runs another image: %s, not %s", cmp.Or(is.ImageID, "none"), cmp.Or(was.ImageID, "none"))
	changed(now.Observation.Rebuilding(), "gets a new system disk at this moment")
	changed(now.Observation.Status == rollout.StatusError && planned.Status != rollout.StatusError, "is in ERROR now")
	// No server with one of these is ever planned.
	changed(now.Locked, "is locked now%s", prefixed(" by ", now.LockedBy))
	changed(now.Spot, "is a spot server now")
	changed(now.Unfinished != "", "has an earlier change that may still come: %s; %s %s", now.Unfinished, rollout.MayComeRemedy, planned.ID)
	changed(now.Frozen, "is frozen by the account now")
	return changes
}

// labelsOf are what the servers of a plan are called.
func labelsOf(plan rollout.Plan) labels {
	l := labels{}
	for _, s := range plan.Servers {
		l.add(s.Name)
	}
	for _, s := range plan.Skipped {
		l.add(s.Name)
	}
	return l
}

// sameOrder is true when the ids that both lists have stand in the same order in both.
func sameOrder(a, b []string) bool {
	return slices.Equal(common(a, b), common(b, a))
}

// common are the ids of a that b has too, in the order of a.
func common(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(id string) bool { return !in[id] })
}
