package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

const (
	maxWaves    = 100
	maxWaveName = 63 // bytes
	maxBake     = 30 * day
)

// waves checks each wave, and that they rise and reach all servers as far as that can be told without
// knowing how many there are.
func (c *checker) waves(waves []document.Wave, groups document.Group) {
	const path = "spec.waves"
	if len(waves) > maxWaves {
		c.reject(path, "there are %d waves, more than %d", len(waves), maxWaves)
		return
	}
	var reached rollout.Percent // at least, by the percentages so far
	sound, counted := true, false
	names := make(map[string]int)
	for i, wave := range waves {
		at := fmt.Sprintf("%s[%d]", path, i)
		if name := document.WaveName(wave, i); names[name] > 0 {
			c.reject(at+".name", "%s is the name of wave %d already", quote(name), names[name])
		} else {
			names[name] = i + 1
		}
		c.wave(at, wave, groups)
		isLast := i == len(waves)-1
		switch {
		case !c.oneSize(at, wave, isLast):
			sound = false
		case wave.Select != nil || wave.Count != nil || wave.HasNoSize(): // how many servers these are is not known here
			counted = true
		case wave.Percent != nil:
			reached = min(rollout.Whole, reached+*wave.Percent)
		case *wave.UpTo < reached:
			c.reject(at+".upTo", "%s is less than the %s that the waves before come to: upTo counts from the first server on", *wave.UpTo, reached)
			sound = false
		default:
			reached = *wave.UpTo
		}
	}
	if len(waves) == 0 {
		return
	}
	last, at := waves[len(waves)-1], fmt.Sprintf("%s[%d]", path, len(waves)-1)
	if last.Select != nil {
		c.reject(at+".select", "the last wave has what no wave before it has: leave select out, or end with a wave that has none")
	}
	if last.Approval {
		c.reject(at+".approval", "nothing comes after the last wave that could be approved")
	}
	switch {
	case last.UpTo != nil && *last.UpTo > 0 && *last.UpTo < rollout.Whole: // whatever the waves before come to
		c.reject(at+".upTo", "the last wave goes up to %s of the servers and leaves out the rest: write upTo: 100%%", *last.UpTo)
	case last.UpTo == nil && sound && !counted && reached < rollout.Whole: // counts may reach all
		c.rejectFields(path, sizesOf(path, waves), "the waves come to %s of the servers and never reach all: end with a wave of upTo: 100%%", reached)
	}
}

// sizesOf are the fields that say how many servers the waves have.
func sizesOf(path string, waves []document.Wave) (fields []string) {
	for i := range waves {
		fields = append(fields, within(fmt.Sprintf("%s[%d]", path, i), "count", "percent", "upTo")...)
	}
	return fields
}

func (c *checker) wave(path string, wave document.Wave, groups document.Group) {
	if name := wave.Name; len(name) > maxWaveName || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		c.reject(path+".name", "%s is longer than %d bytes, or has blanks at its ends or line breaks", quote(name), maxWaveName)
	}
	c.atMost(path+".bake", wave.Bake, maxBake)
	if wave.Select != nil {
		c.waveSelection(path+".select", *wave.Select, groups)
	}
}

// oneSize checks that a wave says in exactly one way how many servers it has, and more than none. The last wave, and one
// that selects its servers, need not.
func (c *checker) oneSize(path string, wave document.Wave, isLast bool) bool {
	before := len(c.problems)
	sizes := 0
	if wave.Count != nil {
		sizes++
		c.atLeast(path+".count", wave.Count, 1)
	}
	for _, share := range []struct {
		name  string
		value *rollout.Percent
	}{{"percent", wave.Percent}, {"upTo", wave.UpTo}} {
		if share.value == nil {
			continue
		}
		sizes++
		if *share.value == 0 {
			c.reject(path+"."+share.name, "0%% is no server at all")
		}
		if wave.Select != nil && !isLast {
			c.rejectFields(path+"."+share.name, within(path, "select", share.name), "a share is one of all planned servers and not of those that select matches: give count, or leave the size out for all of them")
		}
	}
	switch {
	case sizes == 0 && wave.Select == nil && !isLast:
		c.rejectFields(path, within(path, "count", "percent", "upTo", "select"), "has no size: give count, percent or upTo, or select its servers")
	case sizes > 1:
		c.rejectFields(path, within(path, "count", "percent", "upTo"), "count, percent and upTo exclude each other: give one")
	}
	return len(c.problems) == before
}

// waveSelection checks what servers a wave selects.
func (c *checker) waveSelection(path string, s document.WaveSelection, groups document.Group) {
	if len(s.Names)+len(s.Tags)+len(s.Zones)+len(s.Groups) == 0 {
		c.rejectFields(path, within(path, "names", "tags", "zones", "groups"), "is empty: give names, tags, zones or groups")
	}
	c.servers(path, nil, s.Names, s.Tags)
	c.plainNames(path+".zones", "zone", s.Zones)
	c.plainNames(path+".groups", "group", s.Groups)
	if len(s.Groups) > 0 && !groups.IsGiven() {
		c.rejectFields(path+".groups", append(within("spec", "perGroup.tag", "perGroup.serverGroup"), path+".groups"), needsGroups)
	}
}

const needsGroups = "needs spec.perGroup to say what a group is: its tag or serverGroup"

// plainNames checks names of zones or groups, which are no patterns.
func (c *checker) plainNames(path, noun string, names []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case strings.TrimSpace(name) != name || name == "":
			c.reject(at, "%s is empty or has blanks at its ends", quote(name))
		case rollout.IsPattern(name):
			c.reject(at, "%s is no %s: patterns stand for names of servers only", quote(name), noun)
		}
	}
}

// spread checks the keys whose values take turns.
func (c *checker) spread(keys []document.SpreadKey, groups document.Group) {
	for i, key := range keys {
		at := fmt.Sprintf("spec.spread[%d]", i)
		tag, isTag := key.Tag()
		switch {
		case slices.Contains(keys[:i], key):
			c.reject(at, "%s stands there already", quote(string(key)))
		case isTag:
			if wrong := wrongTag(tag); wrong != "" || strings.Contains(tag, "=") {
				c.reject(at, "%s is not tag: and the key of a tag", quote(string(key)))
			}
		case key == document.SpreadGroup && !groups.IsGiven():
			c.rejectFields(at, within("spec", "spread", "perGroup.tag", "perGroup.serverGroup"), needsGroups)
		case key != document.SpreadZone && key != document.SpreadGroup:
			c.reject(at, "%s is not known here: write zone, group, or tag:KEY", quote(string(key)))
		}
	}
}

func (c *checker) caps(s document.Spec) {
	c.limit("spec.inFlight", s.InFlight)
	c.limit("spec.perZone", s.PerZone)
	g, path := s.PerGroup, "spec.perGroup"
	limit := document.Limit{Count: g.Count, Percent: g.Percent}
	c.limit(path, limit)
	switch {
	case g == (document.Group{}):
		return
	case g.Tag == "" && !g.ServerGroup:
		c.rejectFields(path, within(path, "tag", "serverGroup"), "does not say what a group is: give tag or serverGroup: true")
	case g.Tag != "" && g.ServerGroup:
		c.rejectFields(path, within(path, "tag", "serverGroup"), "tag and serverGroup exclude each other: give one")
	case limit == (document.Limit{}) && s.Budget.PerGroup == nil && !s.UsesGroups():
		c.rejectFields(path, append(within(path, "count", "percent"), "spec.budget.perGroup", "spec.spread", "spec.waves"), "names groups and nothing that counts or chooses by them: give count, percent, budget.perGroup, waves[].select.groups, or spread: [group]")
	}
	if strings.ContainsAny(g.Tag, "= \t\n") {
		c.reject(path+".tag", "%s is not the key of a tag: its values make the groups", quote(g.Tag))
	}
}

// limit checks a cap. Caps of zero are refused: whoever wants nothing to start pauses.
func (c *checker) limit(path string, l document.Limit) {
	const pause = "starts nothing: the least is 1; to hold a rollout, pause it"
	if l.Count != nil && *l.Count < 1 {
		c.reject(path+".count", "a cap of %d "+pause, *l.Count)
	}
	if l.Percent != nil && *l.Percent == 0 {
		c.reject(path+".percent", "a cap of 0%% "+pause)
	}
}

func (c *checker) budget(b document.Budget, groups document.Group) {
	const path = "spec.budget"
	c.atLeast(path+".tolerate.count", b.Tolerate.Count, 0)
	switch {
	case b.MinSample < 0:
		c.reject(path+".minSample", "%d is less than 0", b.MinSample)
	case b.MinSample > 0 && b.Tolerate.Percent == nil:
		c.rejectFields(path+".minSample", within(path, "minSample", "tolerate.percent"), "says when a percentage counts, and tolerate has none")
	}
	c.atLeast(path+".perGroup", b.PerGroup, 0)
	if b.PerGroup != nil && !groups.IsGiven() {
		c.rejectFields(path+".perGroup", within("spec", "budget.perGroup", "perGroup.tag", "perGroup.serverGroup"), needsGroups)
	}
}
