package emulator

import (
	"maps"
	"slices"
)

// maxGroups is the largest page of GET cloudservers/os-server-groups, and the default.
const maxGroups = 1000

type groupList struct {
	Groups []serverGroupView `json:"server_groups"`
	Page   *pageView         `json:"page_info,omitempty"` // only when a limit asked for pages
}

type serverGroupView struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Policies []string `json:"policies"`
	Members  []string `json:"members"`
	Metadata struct{} `json:"metadata"`
}

// pageView holds the id of the last group of the page, also of the last page.
type pageView struct {
	NextMarker string `json:"next_marker"`
}

func (e *Emulator) groupID(name string) string { return e.seed.uuid("server group", name) }

// listGroups is GET cloudservers/os-server-groups. A group exists as long as a server names it.
func (e *Emulator) listGroups(c *call) answer {
	limit, ok := numberOf(c.query.Get("limit"), maxGroups, 1)
	marker := c.query.Get("marker")
	if !ok || limit > maxGroups || marker != "" && !c.query.Has("limit") {
		return refuse("Ecs.0005", "limit must be a number from 1 to 1000; marker needs limit").answer(c.requestID)
	}
	members := map[string][]string{}
	for _, m := range e.machines {
		if m.ServerGroup != "" {
			members[m.ServerGroup] = append(members[m.ServerGroup], m.ID)
		}
	}
	names := slices.Sorted(maps.Keys(members))
	list := groupList{Groups: []serverGroupView{}}
	begun := marker == ""
	for _, name := range names {
		id := e.groupID(name)
		if begun && len(list.Groups) < limit {
			list.Groups = append(list.Groups, serverGroupView{ID: id, Name: name, Policies: []string{"anti-affinity"}, Members: members[name]})
		}
		begun = begun || id == marker
	}
	if n := len(list.Groups); n > 0 && c.query.Has("limit") {
		list.Page = &pageView{list.Groups[n-1].ID}
	}
	return jsonAnswer(200, list)
}
