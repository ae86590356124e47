package planner

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
)

// Compare says, a line each, in what a new plan differs from an old one: "+" for what joins, "-" for what
// leaves and "~" for what is not the same. Empty means that both plans do the same to the same servers.
func Compare(old, new rollout.Plan) []string {
	c := comparison{old: old, new: new, label: labelsOf(new)}
	for name, n := range labelsOf(old) {
		c.label[name] = max(c.label[name], n)
	}
	c.servers()
	c.waves()
	c.settings("", settings(old), settings(new))
	c.settings("zone ", caps(old.Caps.Zones), caps(new.Caps.Zones))
	c.settings("group ", caps(old.Caps.Groups), caps(new.Caps.Groups))
	return c.lines
}

type comparison struct {
	old, new rollout.Plan
	label    labels
	lines    []string
}

func (c *comparison) line(format string, args ...any) {
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
}

// change adds a line for something that is not the same.
func (c *comparison) change(what, before, after string) {
	if before != after {
		c.line("~ %s %s -> %s", what, cmp.Or(before, "none"), cmp.Or(after, "none"))
	}
}

// servers compares in the order of the new plan; those that leave come first, in the order of the old one.
func (c *comparison) servers() {
	before, after := plannedByID(c.old), plannedByID(c.new)
	wasSkipped, isSkipped := skippedByID(c.old), skippedByID(c.new)
	for _, s := range c.old.Servers {
		if _, stays := after[s.ID]; !stays {
			c.line("- %s leaves (%s)", c.label.of(s.ID, s.Name), cmp.Or(isSkipped[s.ID], "gone or no longer selected"))
		}
	}
	for _, s := range c.new.Servers {
		name := c.label.of(s.ID, s.Name)
		was, stays := before[s.ID]
		if !stays {
			c.line("+ %s joins%s", name, prefixed(", was skipped: ", wasSkipped[s.ID]))
			continue
		}
		now := after[s.ID]
		c.change(name+" name", was.Name, now.Name)
		c.change(name+" disk", was.Before.VolumeID, now.Before.VolumeID)
		c.change(name+" image", was.Before.ImageID, now.Before.ImageID)
		c.change(name+" status", was.Status, now.Status)
		c.change(name+" disk size in GB", strconv.Itoa(was.DiskGB), strconv.Itoa(now.DiskGB))
		c.change(name+" data disks", strconv.Itoa(was.DataDisks), strconv.Itoa(now.DataDisks))
		c.change(name+" zone", was.Zone, now.Zone)
		c.change(name+" group", was.Group, now.Group)
		c.change(name+" wave", was.wave, now.wave)
	}
	if !sameOrder(ids(c.old), ids(c.new)) {
		c.line("~ the order of the servers is another")
	}
}

// placed is a planned server with the name of its wave.
type placed struct {
	rollout.PlannedServer
	wave string
}

func plannedByID(plan rollout.Plan) map[string]placed {
	byID := make(map[string]placed, len(plan.Servers))
	begin := 0
	for _, w := range plan.Waves {
		for _, s := range plan.Servers[begin:w.End] {
			byID[s.ID] = placed{s, w.Name}
		}
		begin = w.End
	}
	return byID
}

// skippedByID are the reasons why servers are skipped.
func skippedByID(plan rollout.Plan) map[string]string {
	byID := make(map[string]string, len(plan.Skipped))
	for _, s := range plan.Skipped {
		byID[s.ID] = s.Reason
	}
	return byID
}

func ids(plan rollout.Plan) []string {
	var ids []string
	for _, s := range plan.Servers {
		ids = append(ids, s.ID)
	}
	return ids
}

// waves compares the waves by name. Waves that changed places are found by the order of their names.
func (c *comparison) waves() {
	before, after := waves(c.old), waves(c.new)
	c.settings("wave ", before, after)
	if !sameOrder(names(before), names(after)) {
		c.change("order of waves", strings.Join(names(before), ", "), strings.Join(names(after), ", "))
	}
}

// setting is one thing that a plan fixes, in words.
type setting struct{ name, value string }

func names(settings []setting) []string {
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	return names
}

// settings compares two lists by name.
func (c *comparison) settings(what string, before, after []setting) {
	old, new := valuesByName(before), valuesByName(after)
	for _, s := range before {
		if _, stays := new[s.name]; !stays {
			c.line("- %s%s (%s)", what, s.name, s.value)
		}
	}
	for _, s := range after {
		was, stays := old[s.name]
		if !stays {
			c.line("+ %s%s (%s)", what, s.name, s.value)
			continue
		}
		c.change(what+s.name+":", was, s.value)
	}
}

func valuesByName(settings []setting) map[string]string {
	values := make(map[string]string, len(settings))
	for _, s := range settings {
		values[s.name] = s.value
	}
	return values
}

func waves(plan rollout.Plan) []setting {
	var all []setting
	begin := 0
	for _, w := range plan.Waves {
		value := rollout.Count(w.End-begin, "server") + prefixed(", select ", w.Select)
		if w.Bake > 0 {
			value += ", bake " + w.Bake.String()
		}
		if w.Approval {
			value += ", approval"
		}
		all = append(all, setting{w.Name, value})
		begin = w.End
	}
	return all
}

func caps(caps []rollout.GroupCap) []setting {
	var all []setting
	for _, g := range caps {
		all = append(all, setting{cmp.Or(g.Name, "(none)"), fmt.Sprintf("%d of %d", g.Cap, g.Servers)})
	}
	return all
}

// settings are all single values of a plan that decide what is done.
func settings(plan rollout.Plan) []setting {
	change, budget := plan.Change, plan.Budget
	return []setting{
		{"rollout", plan.Name},
		{"reason", plan.Reason},
		{"project", plan.Project},
		{"image", strings.TrimSpace(plan.ImageName + " " + change.ImageID)},
		{"api", string(change.API)},
		{"key pair", change.Login.KeyPair},
		{"key owner", change.Login.UserID},
		{"password from", string(change.Login.PasswordFrom)},
		{"user data from", string(change.UserDataFrom)},
		{"user data digest", change.UserDataDigest},
		{"byol", strconv.FormatBool(change.BYOL)},
		{"encrypted", optional(change.Encrypted)},
		{"encryption key", change.EncryptionKeyID},
		{"auto pay", optional(change.AutoPay)},
		{"stopped by the platform", strconv.FormatBool(change.WithStopServer)},
		{"hard stop allowed", strconv.FormatBool(change.AllowHardStop)},
		{"power", string(change.Power)},
		{"even if on the image", strconv.FormatBool(change.EvenIfSameImage)},
		{"server deadline", change.Deadline.String()},
		{"in flight", strconv.Itoa(plan.Caps.InFlight)},
		{"count others", strconv.FormatBool(plan.Caps.CountOthers)},
		{"tolerated failures", optional(budget.Count)},
		{"tolerated failures by percentage", optional(budget.Share)},
		{"minimum sample", strconv.Itoa(budget.MinSample)},
		{"tolerated failures by group", optional(budget.PerGroup)},
		{"on breach", string(budget.OnBreach)},
		{"strict admission", strconv.FormatBool(budget.Strict)},
		{"slow start", strconv.FormatBool(budget.SlowStart)},
		{"wait for busy servers", plan.BusyWait.String()},
		{"soak", plan.Soak.String()},
		{"health", health(plan.Health)},
		{"deadline", orNone(plan.Deadline)},
	}
}

// health shows every setting of every check.
func health(h *rollout.Health) string {
	if h == nil {
		return ""
	}
	return fmt.Sprintf("%+v", *h)
}

func optional[T bool | int](value *T) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(*value)
}

func orNone(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
