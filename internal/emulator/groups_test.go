package emulator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

type groups struct {
	Groups []struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Policies []string `json:"policies"`
		Members  []string `json:"members"`
	} `json:"server_groups"`
	Page *struct {
		Next string `json:"next_marker"`
	} `json:"page_info"`
}

func (c cloud) groups(query string) groups {
	c.t.Helper()
	r := c.ask("GET", "/v1/{project}/cloudservers/os-server-groups"+query, "")
	require.Equal(c.t, 200, r.status, r.text)
	var g groups
	require.NoError(c.t, json.Unmarshal([]byte(r.text), &g))
	return g
}

func TestServerGroups(t *testing.T) {
	c := newCloud(t, emulator.Options{Fleet: []emulator.Server{
		{Name: "a", ServerGroup: "x"}, {Name: "b", ServerGroup: "w"}, {Name: "c", ServerGroup: "x"}, {Name: "d"},
	}})
	servers := c.Servers()
	all := c.groups("")
	require.Len(t, all.Groups, 2)
	assert.Nil(t, all.Page, "nobody asked for pages")
	assert.Equal(t, "w", all.Groups[0].Name)
	assert.Equal(t, []string{servers[1].ID}, all.Groups[0].Members)
	assert.Equal(t, []string{servers[0].ID, servers[2].ID}, all.Groups[1].Members)
	assert.Equal(t, []string{"anti-affinity"}, all.Groups[1].Policies)
	text := c.ask("GET", "/v1/{project}/cloudservers/"+servers[0].ID, "").text
	assert.Contains(t, text, `"os:scheduler_hints":{"group":["`+all.Groups[1].ID+`"]}`)

	page := c.groups("?limit=1")
	require.Len(t, page.Groups, 1)
	assert.Equal(t, page.Groups[0].ID, page.Page.Next)
	page = c.groups("?limit=1&marker=" + page.Page.Next)
	require.Len(t, page.Groups, 1)
	assert.Equal(t, "x", page.Groups[0].Name)
	page = c.groups("?limit=1&marker=" + page.Page.Next)
	assert.NotNil(t, page.Groups)
	assert.Empty(t, page.Groups)
	for _, bad := range []string{"?limit=0", "?limit=1001", "?limit=x", "?marker=" + all.Groups[0].ID} {
		assert.Equal(t, "Ecs.0005", c.ask("GET", "/v1/{project}/cloudservers/os-server-groups"+bad, "").code(), bad)
	}

	require.NoError(t, c.Delete(servers[1].ID))
	require.NoError(t, c.Delete(servers[0].ID))
	require.Len(t, c.groups("").Groups, 1)
	assert.Equal(t, []string{servers[2].ID}, c.groups("").Groups[0].Members)
}

// TestGeneratedFleetHasSomethingToPlanWith: every role in every zone, pairs of databases, servers to exclude.
func TestGeneratedFleetHasSomethingToPlanWith(t *testing.T) {
	c := newCloud(t, emulator.Options{Servers: 60})
	zones, groups, exempt := map[string]int{}, map[string]int{}, 0
	for _, s := range c.Servers() {
		role, _, _ := strings.Cut(s.Name, "-")
		zones[role+" "+s.Zone]++
		if role == "db" {
			groups[s.ServerGroup]++
		} else {
			assert.Empty(t, s.ServerGroup)
		}
		for _, tag := range s.Tags {
			if tag == "noreimage" {
				exempt++
			}
		}
	}
	assert.Len(t, zones, 9)
	assert.Len(t, groups, 5)
	for group, members := range groups {
		assert.Equal(t, 2, members, group)
	}
	assert.Equal(t, 3, exempt)
	assert.Len(t, c.list("tags=noreimage").Servers, 3)
}

func TestLargeFleetIsListed(t *testing.T) {
	c := newCloud(t, emulator.Options{Servers: 10_000})
	seen := map[string]bool{}
	for page := 1; page <= 10; page++ {
		p := c.list(fmt.Sprintf("limit=1000&offset=%d", page))
		assert.Equal(t, 10_000, p.Count)
		for _, s := range p.Servers {
			seen[s.ID] = true
		}
	}
	assert.Len(t, seen, 10_000)
}
