// Package planview writes a plan for people: what will be lost, server by server, before anything is.
package planview

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/reimage/reimage/internal/safetext"
	"github.com/reimage/reimage/internal/timestamp"
	"github.com/reimage/reimage/rollout"
)

// Verb is what happens to each planned server.
const Verb = "! re-image (system disk lost)"

// Print writes the whole plan, however long it is: every line of it is something that is lost.
func Print(w io.Writer, p rollout.Plan) error {
	buffered := bufio.NewWriter(w)
	v := view{w: buffered, plan: p, showIDs: namesRepeat(p)}
	v.header()
	v.waves()
	v.skipped()
	v.limits()
	v.warnings()
	v.totals()
	return buffered.Flush()
}

type view struct {
	w    io.Writer
	plan rollout.Plan
	// showIDs is true when names alone do not tell the servers apart.
	showIDs bool
}

func (v view) printf(format string, args ...any) { safetext.Fprintf(v.w, format, args...) }

func (v view) header() {
	p := v.plan
	v.printf("Plan of rollout %s", p.Name)
	if p.Reason != "" {
		v.printf(": %s", p.Reason)
	}
	v.printf("\nMade %s, digest %.12s\n\n", timestamp.Full(p.MadeAt), p.Digest)
	v.printf("  cloud   %s\n", p.Cloud())
	v.printf("  image   %s (%s), API %s\n", p.ImageName, p.Change.ImageID, string(cmp.Or(p.Change.API, rollout.APIv2)))
	v.printf("  login   %s\n", login(p.Change))
	for _, option := range options(p.Change) {
		v.printf("          %s\n", option)
	}
}

// login says how the new systems are entered.
func login(c rollout.Change) string {
	how := "the credentials of the image"
	switch {
	case c.Login.KeyPair != "":
		how = "key pair " + c.Login.KeyPair
		if c.Login.UserID != "" {
			how += " of user " + c.Login.UserID
		}
	case c.Login.PasswordFrom != "":
		how = "the password in " + string(c.Login.PasswordFrom)
	}
	if c.UserDataFrom != "" {
		how += ", user data in " + string(c.UserDataFrom)
	}
	if c.UserDataDigest != "" {
		how += fmt.Sprintf(" (digest %.12s)", c.UserDataDigest)
	}
	return how
}

// options are what is not as it is without being asked for.
func options(c rollout.Change) []string {
	var said []string
	say := func(when bool, text string) {
		if when {
			said = append(said, text)
		}
	}
	say(c.EncryptionKeyID != "", "system disks are encrypted with key "+c.EncryptionKeyID)
	say(c.BYOL, "the licence comes with the image")
	say(c.AutoPay != nil && *c.AutoPay, "price differences are paid without asking")
	say(c.AllowHardStop, "power is cut when a guest does not shut down")
	say(c.WithStopServer, "the platform stops the servers itself")
	say(c.EvenIfSameImage, "servers that run the image already are changed too")
	say(c.Power == rollout.PowerOn, "servers are left running")
	say(c.Power == rollout.PowerOff, "servers are left stopped")
	return said
}

func (v view) waves() {
	n, begin := len(v.plan.Servers), 0
	for i, w := range v.plan.Waves {
		v.printf("\nWave %d of %d: %s, ", i+1, len(v.plan.Waves), w.Title())
		if w.End == begin {
			v.printf("empty\n")
			continue
		}
		v.printf("%s (%d of %d after it)", rollout.Count(w.End-begin, "server"), w.End, n)
		if w.Bake > 0 {
			v.printf(", then bakes %s", short(w.Bake))
		}
		if w.Approval {
			v.printf(", then waits for approval")
		}
		v.printf("\n")
		v.servers(v.plan.Servers[begin:w.End])
		begin = w.End
	}
}

func (v view) servers(servers []rollout.PlannedServer) {
	table := tabwriter.NewWriter(v.w, 0, 0, 2, ' ', 0)
	after := cmp.Or(v.plan.ImageName, v.plan.Change.ImageID)
	for _, s := range servers {
		lost := s.Before.VolumeID
		if s.DiskGB > 0 {
			lost += fmt.Sprintf(" (%d GB)", s.DiskGB)
		}
		kept := "no data disks"
		if s.DataDisks > 0 {
			kept = "keeps " + rollout.Count(s.DataDisks, "data disk")
		}
		before := cmp.Or(s.ImageName, s.Before.ImageID, "unknown image")
		safetext.Fprintf(table, "  %s\t%s\t%s\t%s\t%s -> %s\tloses %s\t%s\n", Verb, v.name(s.ID, s.Name), s.Zone, s.Status, before, after, lost, kept)
	}
	table.Flush()
}

// name is what the server is called.
func (v view) name(id, name string) string {
	switch {
	case name == "":
		return id
	case v.showIDs:
		return name + " " + id
	}
	return name
}

func (v view) skipped() {
	if len(v.plan.Skipped) == 0 {
		return
	}
	v.printf("\nSkipped: %s\n", rollout.Count(len(v.plan.Skipped), "server"))
	table := tabwriter.NewWriter(v.w, 0, 0, 2, ' ', 0)
	for _, s := range v.plan.Skipped {
		safetext.Fprintf(table, "  - %s\t%s\n", v.name(s.ID, s.Name), s.Reason)
	}
	table.Flush()
}

func (v view) limits() {
	p := v.plan
	if len(p.Servers) == 0 {
		return
	}
	most, held := p.MostOutOfService(p.Caps.InFlight), ""
	if most < min(p.Caps.InFlight, len(p.Servers)) {
		held = fmt.Sprintf(" (%d in flight, less by the caps below)", p.Caps.InFlight)
	}
	v.printf("\nOut of service at a time: at most %d of %d%s\n", most, len(p.Servers), held)
	v.caps("zone", p.Caps.Zones)
	v.caps("group", p.Caps.Groups)
	v.down()
	v.printf("Failure budget: %s\n", budget(p))
	v.health()
	busy := "is skipped at once"
	if p.BusyWait > 0 {
		busy = "is waited for, at most " + short(p.BusyWait)
	}
	v.printf("Busy: a server that somebody else changes %s\n", busy)
	v.printf("Deadline: %s for one server", short(p.Change.WaitDeadline()))
	if p.Deadline > 0 {
		v.printf(", %s for the rollout, which pauses then", short(p.Deadline))
	}
	v.printf("\nEstimate: %s, when each server takes %s, nothing fails and approvals come at once\n",
		short(p.Estimate.Round(time.Minute)), short(rollout.AssumedPerServer))
}

// health says what a server has to pass before it is done.
func (v view) health() {
	p := v.plan
	if p.Health == nil {
		v.printf("Health: not checked, a server is done when it runs the image on a new disk\n")
		if p.Soak > 0 {
			v.printf("Soak: a changed server keeps its slot for %s\n", short(p.Soak))
		}
		return
	}
	v.printf("Health: a server is done when it passes\n")
	for _, c := range p.Health.Checks {
		after := ""
		if c.After > 0 {
			after = ", left alone for " + short(c.After) + " first"
		}
		v.printf("  %s for %s without a break, within %s%s\n", c, short(c.StableFor), short(c.Within), after)
	}
	if p.Soak > 0 {
		v.printf("Soak: a changed server keeps its slot for %s, and has to stay healthy\n", short(p.Soak))
	}
	if p.Health.RequireBefore == rollout.BeforeRefuse {
		v.printf("  a running server that does not pass before its change is not changed\n")
	}
	for _, s := range p.Servers {
		if s.Unhealthy != "" {
			v.printf("  not healthy now: %s (%s)\n", v.name(s.ID, s.Name), s.Unhealthy)
		}
	}
}

// caps lists the caps that hold something back.
func (v view) caps(what string, caps []rollout.GroupCap) {
	table := tabwriter.NewWriter(v.w, 0, 0, 2, ' ', 0)
	for _, c := range caps {
		if c.Cap < c.Servers || what == "zone" {
			safetext.Fprintf(table, "  %s %s\tat most %d of %d\n", what, cmp.Or(c.Name, "(none)"), c.Cap, c.Servers)
		}
	}
	table.Flush()
}

// down names the servers that are down already and count against the caps.
func (v view) down() {
	if !v.plan.Caps.CountOthers {
		v.printf("  servers that are down for another reason do not count (countOthers: false)\n")
		return
	}
	table := tabwriter.NewWriter(v.w, 0, 0, 2, ' ', 0)
	row := func(id, name, status, what string) {
		if rollout.IsDown(status) {
			safetext.Fprintf(table, "  down already\t%s\t%s\t%s\n", v.name(id, name), status, what)
		}
	}
	for _, s := range v.plan.Servers {
		row(s.ID, s.Name, s.Status, "counts, and comes first in its wave")
	}
	for _, s := range v.plan.Untouched() {
		row(s.ID, s.Name, s.Status, "counts, and is not changed")
	}
	table.Flush()
}

// budget says how many failures are tolerated, and what the next one does.
func budget(p rollout.Plan) string {
	b := p.Budget
	early, atLast := b.Tolerated(0), b.Tolerated(max(len(p.Servers), b.MinSample))
	text := rollout.Count(early, "failure") + " tolerated"
	if early != atLast {
		text += fmt.Sprintf(" until %s have ended, then %d", rollout.Count(b.MinSample, "server"), atLast)
	}
	if b.PerGroup != nil {
		text += fmt.Sprintf(", %d in any one group", *b.PerGroup)
	}
	switch b.OnBreach {
	case rollout.BreachAbort:
		text += "; one more aborts the rollout"
	case rollout.BreachRollback:
		text += "; one more gives changed servers their previous image again"
	default:
		text += "; one more pauses the rollout"
	}
	if b.Strict {
		text += "; strict admission"
	}
	if b.SlowStart {
		text += "; slow start"
	}
	return text
}

func (v view) warnings() {
	if len(v.plan.Warnings) == 0 {
		return
	}
	v.printf("\nWarnings:\n")
	for _, warning := range v.plan.Warnings {
		v.printf("  * %s\n", warning)
	}
}

func (v view) totals() {
	n, kept := len(v.plan.Servers), 0
	for _, s := range v.plan.Servers {
		kept += s.DataDisks
	}
	stay := "stay"
	if kept == 1 {
		stay = "stays"
	}
	v.printf("\n%d to re-image, %d skipped; %s will be lost, %s %s\n", n, len(v.plan.Skipped), rollout.Count(n, "system disk"), rollout.Count(kept, "data disk"), stay)
}
