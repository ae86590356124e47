package ecs_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// marked answers a list whose pages begin behind a marker.
func marked(member string, entries int, entry func(id string) string) http.HandlerFunc {
	ids := numberedIDs(0, entries)
	return func(w http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		first := slices.Index(ids, r.URL.Query().Get("marker")) + 1
		var page []string
		for _, id := range ids[first:min(first+limit, len(ids))] {
			page = append(page, entry(id))
		}
		fmt.Fprintf(w, `{%q:[%s],"page_info":{"next_marker":"x"}}`, member, strings.Join(page, ","))
	}
}

func TestImagesByName(t *testing.T) {
	cloud := newCloud(t, marked("images", 1001, func(id string) string {
		return `{"id":"` + id + `","name":"base 1+","status":"active"}`
	}))
	got, err := clientOf(t, cloud).ImagesByName(context.Background(), "base 1+")
	require.NoError(t, err)
	assert.Len(t, got, 1001)
	require.Len(t, cloud.seen(), 3)
	assert.Equal(t, "/v2/cloudimages?limit=500&name=base%201%2B", cloud.seen()[0].target)
	assert.Equal(t, "/v2/cloudimages?limit=500&marker="+numberedID(499)+"&name=base%201%2B", cloud.seen()[1].target)
}

// TestImagesOfOtherNames: an edition may take the name for a pattern, or ignore it.
func TestImagesOfOtherNames(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"images":[{"id":"`+imageID+`","name":"base-1","status":"queued"},{"id":"`+otherID+`","name":"base-10"},
		{"id":"x","name":"base-1"},7]}`))
	got, err := clientOf(t, cloud).ImagesByName(context.Background(), "base-1")
	require.NoError(t, err)
	assert.Equal(t, []ecs.Image{{ID: imageID, Name: "base-1", Status: "queued"}}, got)
	got, err = clientOf(t, cloud).ImagesByName(context.Background(), "base")
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestImagesByNameThatCannotBeAsked(t *testing.T) {
	cloud := newCloud(t, answering(200, `{"images":[]}`))
	for _, name := range []string{"", "a\nb"} {
		_, err := clientOf(t, cloud).ImagesByName(context.Background(), name)
		assertClass(t, ecs.ClassInvalid, err)
	}
	assert.Empty(t, cloud.seen())
}

func TestServerGroups(t *testing.T) {
	cloud := newCloud(t, marked("server_groups", 1500, func(id string) string {
		return `{"id":"` + id + `","name":"g","policies":["anti-affinity"],"members":["` + serverID + `","not an id",7,null],"metadata":{}}`
	}))
	got, err := clientOf(t, cloud).ServerGroups(context.Background())
	require.NoError(t, err)
	require.Len(t, got, 1500)
	assert.Equal(t, ecs.ServerGroup{ID: numberedID(0), Name: "g", Policies: []string{"anti-affinity"}, Members: []string{serverID}}, got[0])
	require.Len(t, cloud.seen(), 2)
	assert.Equal(t, "/v1/"+projectID+"/cloudservers/os-server-groups?limit=1000", cloud.seen()[0].target)
	assert.Equal(t, "/v1/"+projectID+"/cloudservers/os-server-groups?limit=1000&marker="+numberedID(999), cloud.seen()[1].target)
}

func TestServerGroupsThatCannotBeRead(t *testing.T) {
	for body, want := range map[string]ecs.Class{
		`{}`:                               ecs.ClassUnclear,
		`{"server_groups":{}}`:             ecs.ClassUnclear,
		`{"server_groups":[{}]}`:           ecs.ClassUnclear,
		`{"server_groups":[{"id":"a/b"}]}`: ecs.ClassUnclear,
		`{"server_groups":[]}`:             "",
		`{"server_groups":null}`:           "",
	} {
		groups, err := clientOf(t, newCloud(t, answering(200, body))).ServerGroups(context.Background())
		assert.Empty(t, groups)
		if want == "" {
			assert.NoError(t, err, body)
			continue
		}
		assertClass(t, want, err)
	}
}

// TestAListThatRepeatsItself: a service that ignores the marker.
func TestAListThatRepeatsItself(t *testing.T) {
	page := make([]string, 1000)
	for i, id := range numberedIDs(0, 1000) {
		page[i] = `{"id":"` + id + `"}`
	}
	cloud := newCloud(t, answering(200, `{"server_groups":[`+strings.Join(page, ",")+`]}`))
	_, err := clientOf(t, cloud).ServerGroups(context.Background())
	assertClass(t, ecs.ClassUnclear, err)
	assert.ErrorContains(t, err, "the list does not end")
	assert.Len(t, cloud.seen(), 2)
}
