package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// objection is a reason against changing a server.
type objection struct {
	state state
	// detail distinguishes the servers that have it: " by ORDER", " (20 GB)". It may be empty.
	detail string
}

// state is something that speaks against changing a server. The activity Preflight knows the same ones.
type state int

const (
	alreadyThere state = iota
	noDisk
	locked
	frozen
	spot
	busy
	unfinished
	failed
	stopped
	oddStatus
	smallDisk
	smallMemory
	otherFirmware
	otherProcessor
	prepaidMarket
	states // how many there are
)

// sentence says how a state is told: of one server ("locked"), of many ("locked servers", the noun between
// before and after), what to do about it, and what to say to plan without them.
type sentence struct {
	one, before, after, remedy, rule string
}

func (s state) sentence() sentence {
	const unfit = "servers.unfit: skip"
	switch s {
	case alreadyThere:
		return sentence{one: "runs the image already"}
	case noDisk:
		return sentence{"has no system disk", "", " without a system disk", "a change of OS needs one: it may be lost in a failed change, ask the cloud's support", unfit}
	case locked:
		return sentence{"is locked", "locked ", "", "unlock first, reimage never does", "servers.locked: skip"}
	case frozen:
		return sentence{"is frozen by the account", "frozen ", "", "settle that with the cloud first, for instance an unpaid bill", unfit}
	case spot:
		return sentence{"is a spot server, whose OS the cloud does not change", "spot ", "", "the cloud does not change the OS of those", unfit}
	case busy:
		return sentence{"is busy", "busy ", "", "wait until that is over", unfit}
	case unfinished:
		return sentence{"has an earlier change that may still come", "", " with an earlier change that may still come",
			rollout.MayComeRemedy, unfit}
	case failed:
		return sentence{"is in ERROR", "", " in ERROR", "look what happened", "servers.error: change or skip"}
	case stopped:
		return sentence{"is stopped", "stopped ", "", "start first", "servers.stopped: change or skip"}
	case oddStatus:
		return sentence{"has a status in which the OS cannot be changed", "", " in a status in which the OS cannot be changed", "only running, stopped or failed servers can be changed", unfit}
	case smallDisk:
		return sentence{"has too small a system disk", "", " with too small a system disk", "enlarge the disk or choose a smaller image", unfit}
	case smallMemory:
		return sentence{"has too little memory", "", " with too little memory", "choose a larger flavor or another image", unfit}
	case otherFirmware:
		return sentence{"boots with other firmware", "", " with other firmware than the image needs", "the cloud cannot change that", unfit}
	case otherProcessor:
		return sentence{"is of another processor architecture", "", " of another processor architecture than the image", "choose an image for it", unfit}
	case prepaidMarket:
		return sentence{"is paid by the year or month, for which the cloud refuses a marketplace image", "", " paid by the year or month", "the cloud refuses marketplace images for those (Ecs.0510)", unfit}
	}
	return sentence{}
}

// rule is what the document says to do about the state.
func (p *planner) rule(s state) document.StateRule {
	rules := p.spec.Servers
	switch s {
	case alreadyThere:
		return rules.AlreadyThere
	case locked:
		return rules.Locked
	case failed:
		return rules.Error
	case stopped:
		return rules.Stopped
	}
	return rules.Unfit
}

// sortOut parts the selected servers into those that are skipped and those that are changed, unless there
// is a problem with them. A server that one rule skips is not touched, so no other rule refuses it.
func (p *planner) sortOut() {
	refused := make([]refusal, states)
	for _, s := range p.selected {
		objections := p.objections(s)
		var skip []string
		for _, o := range objections {
			if p.rule(o.state) == document.RuleSkip {
				skip = append(skip, o.state.sentence().one+o.detail)
			}
		}
		if len(skip) > 0 {
			left := rollout.SkippedServer{ID: s.ID, Name: s.Name, Reason: strings.Join(skip, "; ")}
			if *p.spec.CountOthers {
				left.Zone, left.Group, left.Status = s.Zone, p.group(s), s.Observation.Status
			}
			p.plan.Skipped = append(p.plan.Skipped, left)
			continue
		}
		p.chosen = append(p.chosen, s)
		for _, o := range objections {
			if p.rule(o.state) == document.RuleRefuse {
				r := &refused[o.state]
				r.ids, r.names, r.details = append(r.ids, s.ID), append(r.names, p.called(s)), append(r.details, o.detail)
			}
		}
	}
	for s, r := range refused {
		if len(r.names) == 0 {
			continue
		}
		say := state(s).sentence()
		if state(s) == unfinished {
			say.remedy += " " + r.words()
		}
		remark, names := r.told()
		p.problem("%s%s%s: %s; %s, or say %s", rollout.Count(len(names), say.before+"server"), say.after, remark, named(names), say.remedy, say.rule)
	}
}

// refusal is what speaks against several servers: their ids and names, and the detail of each objection.
type refusal struct{ ids, names, details []string }

// words are the servers as a command takes them, unless they are many.
func (r refusal) words() string {
	if len(r.ids) > 5 {
		return "ID..."
	}
	return strings.Join(r.ids, " ")
}

// told says a remark that is true of all of several servers once, and any other detail behind its server.
func (r refusal) told() (remark string, names []string) {
	different := slices.Compact(slices.Clone(r.details))
	if len(r.names) > 1 && len(different) == 1 && strings.HasPrefix(different[0], " (") {
		return different[0], r.names
	}
	for i, name := range r.names {
		names = append(names, name+r.details[i])
	}
	return "", names
}

// objections are all reasons against changing the server, whatever the rules say about them.
func (p *planner) objections(s rollout.InventoryServer) []objection {
	var found []objection
	object := func(when bool, state state, detail string) {
		if when {
			found = append(found, objection{state, detail})
		}
	}
	seen := s.Observation
	object(p.isThere(s), alreadyThere, "")
	object(seen.VolumeID == "" && seen.Status != rollout.StatusBuild, noDisk, fmt.Sprintf(" (status %s)", seen.Status))
	object(s.Locked, locked, prefixed(" by ", s.LockedBy))
	object(s.Frozen, frozen, "")
	object(s.Spot, spot, "")
	object(s.Unfinished != "", unfinished, " ("+s.Unfinished+")")
	switch {
	case !seen.Idle() || s.HeldBy != "":
		object(true, busy, fmt.Sprintf(" (status %s%s%s)", seen.Status, prefixed(", task ", seen.TaskState), prefixed(", ", s.HeldBy)))
	case seen.Status == rollout.StatusError:
		object(true, failed, "")
	case seen.Status == rollout.StatusShutoff:
		object(true, stopped, "")
	case seen.Status != rollout.StatusActive:
		object(true, oddStatus, fmt.Sprintf(" (status %s)", seen.Status))
	}
	if p.image != nil {
		found = append(found, p.misfits(s, *p.image)...)
	}
	return found
}

// misfits are the reasons why the server cannot take the image. What the cloud did not tell is not held
// against it: Preflight looks again before the server is touched.
func (p *planner) misfits(s rollout.InventoryServer, image rollout.InventoryImage) []objection {
	var found []objection
	if s.DiskGB > 0 && image.MinDiskGB > s.DiskGB {
		found = append(found, objection{smallDisk, fmt.Sprintf(" (%d GB, the image needs %d GB)", s.DiskGB, image.MinDiskGB)})
	}
	if s.RAMMB > 0 && image.MinRAMMB > s.RAMMB {
		found = append(found, objection{smallMemory, fmt.Sprintf(" (%d MB, the image needs %d MB)", s.RAMMB, image.MinRAMMB)})
	}
	if present, ok := p.images[strings.ToLower(s.Observation.ImageID)]; ok {
		if has, needs := firmware(present), firmware(image); has != needs {
			found = append(found, objection{otherFirmware, fmt.Sprintf(" (%s, the image needs %s)", has, needs)})
		}
		if present.ARM != image.ARM {
			found = append(found, objection{otherProcessor, fmt.Sprintf(" (%s, the image is for %s)", processor(present), processor(image))})
		}
	}
	switch {
	case s.Prepaid && image.Type == "market":
		found = append(found, objection{prepaidMarket, ""})
	case s.Prepaid && p.imageOf(s).Type == "market":
		found = append(found, objection{prepaidMarket, " (it runs a marketplace image)"})
	}
	return found
}

// isThere is true for a server that runs the image. One that is being rebuilt may show the image before it has it, and
// so may one that somebody holds, of whose change the cloud may show nothing; one in ERROR or without a disk does not run.
func (p *planner) isThere(s rollout.InventoryServer) bool {
	seen := s.Observation
	return p.image != nil && strings.EqualFold(seen.ImageID, p.image.ID) &&
		!seen.Rebuilding() && s.HeldBy == "" && seen.Status != rollout.StatusError && seen.VolumeID != ""
}

// firmware is how the image boots. Old images do not say; they are all BIOS.
func firmware(image rollout.InventoryImage) string { return cmp.Or(image.Firmware, "bios") }

// processor is the architecture that the image runs on.
func processor(image rollout.InventoryImage) string {
	if image.ARM {
		return "ARM"
	}
	return "x86"
}

// prefixed puts a prefix before a text, if there is one.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
