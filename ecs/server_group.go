package ecs

import (
	"context"
	"errors"
	"net/url"
	"slices"
)

// groupsPage is the largest page of server groups.
const groupsPage = 1000

// ServerGroup is a group of servers that the cloud places by a policy: anti-affinity keeps them on
// different hosts, so they are meant not to fail together.
type ServerGroup struct {
	ID, Name string
	Policies []string
	Members  []string // ids of servers
}

// ServerGroups reads all server groups of the project.
func (c *Client) ServerGroups(ctx context.Context) ([]ServerGroup, error) {
	pages := markedPages[ServerGroup]{
		size:   groupsPage,
		decode: decodeServerGroups,
		id:     func(g ServerGroup) string { return g.ID },
		call: func(page url.Values) request {
			address := withQuery(c.cloudServer("v1", "os-server-groups"), page)
			return request{op: "list", resource: "server groups", action: ActionListGroups, url: address, list: true}
		},
	}
	return pages.read(ctx, c)
}

func decodeServerGroups(body []byte) ([]ServerGroup, error) {
	var answer struct {
		Groups list[struct {
			ID       text       `json:"id"`
			Name     text       `json:"name"`
			Policies list[text] `json:"policies"`
			Members  list[text] `json:"members"`
		}] `json:"server_groups"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if !hasList(body, "server_groups") {
		return nil, errors.New("the answer lists no server groups")
	}
	var groups []ServerGroup
	for _, g := range answer.Groups {
		if !isToken(string(g.ID)) {
			return nil, errors.New("the answer lists a server group without an id that can be used")
		}
		groups = append(groups, ServerGroup{
			ID: string(g.ID), Name: string(g.Name), Policies: plain(g.Policies),
			Members: slices.DeleteFunc(plain(g.Members), func(id string) bool { return !isUUID(id) }),
		})
	}
	return groups, nil
}

func plain(texts []text) []string {
	var strings []string
	for _, t := range texts {
		strings = append(strings, string(t))
	}
	return strings
}
