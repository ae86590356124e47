package planner

import (
	"iter"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

// matcher tells which servers a list of ids, names and tags means, and which entries mean none.
type matcher struct {
	ids, names map[string]*entry // ids in lower case; names without * and ?
	globs      []*entry
	tags       []*entry
}

// entry is an id, a name or a tag of a document.
type entry struct {
	text string
	used bool
}

func newMatcher(ids, names, tags []string) *matcher {
	m := &matcher{ids: map[string]*entry{}, names: map[string]*entry{}}
	for _, id := range ids {
		m.ids[strings.ToLower(id)] = &entry{text: id}
	}
	for _, name := range names {
		if rollout.IsPattern(name) {
			m.globs = append(m.globs, &entry{text: name})
		} else {
			m.names[name] = &entry{text: name}
		}
	}
	for _, text := range tags {
		m.tags = append(m.tags, &entry{text: text})
	}
	return m
}

// named is true when an id, a name or a glob means the server. Every entry that does is marked as used.
func (m *matcher) named(s rollout.InventoryServer) bool {
	found := false
	for _, e := range []*entry{m.ids[strings.ToLower(s.ID)], m.names[s.Name]} {
		if e != nil {
			e.used, found = true, true
		}
	}
	for _, g := range m.globs {
		if rollout.MatchName(g.text, s.Name) {
			g.used, found = true, true
		}
	}
	return found
}

// parts are zones or groups by their names, to narrow a choice.
type parts map[string]*entry

func newParts(names []string) parts {
	p := parts{}
	for _, name := range names {
		p[name] = &entry{text: name}
	}
	return p
}

// has is true for a name of the list, which is marked as used, and for every name when the list is empty.
func (p parts) has(name string) bool {
	e := p[name]
	if e != nil {
		e.used = true
	}
	return e != nil || len(p) == 0
}

// hasID is true when an id of the list is that of the server. It marks nothing.
func (m *matcher) hasID(s rollout.InventoryServer) bool { return m.ids[strings.ToLower(s.ID)] != nil }

// allTags is true when the server has every tag of the list, and there is one at least. They are marked as used together.
func (m *matcher) allTags(s rollout.InventoryServer) bool {
	lacks := func(t *entry) bool { return !parseTag(t.text).on(s) }
	if len(m.tags) == 0 || slices.ContainsFunc(m.tags, lacks) {
		return false
	}
	for _, t := range m.tags {
		t.used = true
	}
	return true
}

// anyTag is true when the server has one of the tags. Every one that it has is marked as used.
func (m *matcher) anyTag(s rollout.InventoryServer) bool {
	found := false
	for _, t := range m.tags {
		if parseTag(t.text).on(s) {
			t.used, found = true, true
		}
	}
	return found
}

// unused are the entries that meant no server, sorted.
func unused(entries iter.Seq[*entry]) []string {
	var texts []string
	for e := range entries {
		if !e.used {
			texts = append(texts, e.text)
		}
	}
	slices.Sort(texts)
	return texts
}

// tag is "key=value", or "key" for any value.
type tag struct {
	key, value string
	anyValue   bool
}

func parseTag(text string) tag {
	key, value, ok := strings.Cut(text, "=")
	return tag{key: key, value: value, anyValue: !ok}
}

func (t tag) on(s rollout.InventoryServer) bool {
	return slices.ContainsFunc(s.Tags, func(text string) bool {
		has := parseTag(text) // here a missing value is an empty one
		return has.key == t.key && (t.anyValue || has.value == t.value)
	})
}
