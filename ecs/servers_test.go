package ecs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func numberedID(n int) string { return fmt.Sprintf("616fb98f-46ca-475e-917e-%012d", n) }

// numberedIDs are the ids from first to below end.
func numberedIDs(first, end int) []string {
	var ids []string
	for n := first; n < end; n++ {
		ids = append(ids, numberedID(n))
	}
	return ids
}

func idsOf(servers []ecs.Server) []string {
	var ids []string
	for _, s := range servers {
		ids = append(ids, s.ID)
	}
	return ids
}

// fleet answers lists like the cloud: pages are counted, so they shift when the fleet changes.
type fleet struct {
	ids      []string
	requests int
	// before changes the fleet before the request of that number, counted from 1.
	before func(f *fleet, request int)
	// tags is how many of them each server has.
	tags int
	// hidden are servers that are there and not in the list.
	hidden []string
}

func (f *fleet) answer(w http.ResponseWriter, r *http.Request) {
	f.requests++
	if f.before != nil {
		f.before(f, f.requests)
	}
	if ids := r.URL.Query().Get("server_id"); ids != "" {
		f.byID(w, strings.Split(ids, ","))
		return
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	first := min((page-1)*limit, len(f.ids))
	tags := strings.Repeat("0,", f.tags) + "0"
	var entries []string
	for _, id := range f.ids[first:min(first+limit, len(f.ids))] {
		entries = append(entries, `{"id":"`+id+`","name":"s","status":"ACTIVE","tags":[`+tags+`]}`)
	}
	fmt.Fprintf(w, `{"count":%d,"servers":[%s]}`, len(f.ids), strings.Join(entries, ","))
}

func (f *fleet) byID(w http.ResponseWriter, ids []string) {
	var entries []string
	for _, id := range ids {
		if slices.Contains(f.ids, id) || slices.Contains(f.hidden, id) {
			entries = append(entries, `{"id":"`+id+`","status":"ACTIVE"}`)
		} else {
			entries = append(entries, `{"id":"`+id+`","fault":{"message":"Instance could not be found.","code":404}}`)
		}
	}
	fmt.Fprintf(w, `{"count":%d,"servers":[%s]}`, len(ids), strings.Join(entries, ","))
}

func (f *fleet) hide(position int) {
	f.hidden = append(f.hidden, f.ids[position])
	f.remove(position)
}
func (f *fleet) remove(position int) {
	f.ids = slices.Delete(slices.Clone(f.ids), position, position+1)
}
func (f *fleet) insert(position int) {
	f.ids = slices.Insert(slices.Clone(f.ids), position, numberedID(900000+f.requests))
}

func TestServersReadsEveryPage(t *testing.T) {
	pages := []string{"limit=1000&offset=1", "limit=950&offset=2", "limit=925&offset=3"} // each reaches back by fifty
	for servers, asked := range map[int]int{0: 1, 1: 1, 999: 1, 1000: 1, 1001: 2, 1900: 2, 1901: 3, 2500: 3} {
		f := &fleet{ids: numberedIDs(0, servers)}
		cloud := newCloud(t, f.answer)
		got, err := clientOf(t, cloud).Servers(context.Background(), ecs.ServerQuery{})
		require.NoError(t, err)
		assert.Equal(t, f.ids, slices.Concat([]string{}, idsOf(got)))
		require.Len(t, cloud.seen(), asked, "%d servers", servers)
		for i, request := range cloud.seen() {
			assert.Equal(t, fmt.Sprintf("/v1/%s/cloudservers/detail?%s", projectID, pages[i]), request.target)
		}
	}
}

// TestListOfServersAsTheOfficialSDKSendsIt: the capture is of the second page of a hundred servers. Servers that have
// much to tell are read by the hundred, and the second page begins five of them earlier.
func TestListOfServersAsTheOfficialSDKSendsIt(t *testing.T) {
	want, _ := captured(t, "list-servers")
	f := &fleet{ids: numberedIDs(0, 300), tags: 1000}
	cloud := newCloud(t, f.answer)
	c := config(cloud.URL)
	c.Credentials, c.EnterpriseProject = capturedKey(want), ecs.AllEnterpriseProjects
	_, err := newClient(t, c).Servers(context.Background(), ecs.ServerQuery{
		Tags: []string{"env=prod", "role=w b+1"}, NotTags: []string{"__type_baremetal"}, Status: "ACTIVE",
	})
	require.NoError(t, err)
	require.Len(t, cloud.seen(), 5)
	assert.Contains(t, cloud.seen()[0].target, "limit=1000&")
	assert.Equal(t, want.RequestURI, strings.Replace(cloud.seen()[2].target, "limit=95&", "limit=100&", 1))
}

// TestPagesThatShift: a server that goes while the list is read moves another one to a page that was read already.
func TestPagesThatShift(t *testing.T) {
	const once, again = 3, 6
	tests := map[string]struct {
		before   func(f *fleet, request int)
		requests int
	}{
		"none":                {func(*fleet, int) {}, once},
		"one goes":            {func(f *fleet, n int) { at(n == 2, f.remove, 0) }, again + 1},
		"one comes":           {func(f *fleet, n int) { at(n == 2, f.insert, 0) }, again},
		"one comes at an end": {func(f *fleet, n int) { at(n == 3, f.insert, 2500) }, again},
		"one goes, then one comes: the sum is right": {func(f *fleet, n int) {
			at(n == 2, f.remove, 0)
			at(n == 3, f.insert, 2499)
		}, again + 1},
		"one goes as another comes": {func(f *fleet, n int) {
			at(n == 2, f.remove, 1500)
			at(n == 2, f.insert, 0)
		}, again},
		"one goes as another comes later in the list: every count is right": {func(f *fleet, n int) {
			at(n == 2, f.remove, 0)
			at(n == 2, f.insert, 2000)
		}, again + 1},
		"one goes in either reading": {func(f *fleet, n int) { at(n == 2 || n == 5, f.remove, 1400) }, again + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fleet{ids: numberedIDs(0, 2500), before: test.before}
			got, err := clientOf(t, newCloud(t, f.answer)).Servers(context.Background(), ecs.ServerQuery{})
			require.NoError(t, err)
			assert.Equal(t, test.requests, f.requests)
			assert.ElementsMatch(t, f.ids, idsOf(got))
		})
	}
}

// TestPagesThatShiftAllTheTime: what is there from the beginning to the end is found, and what went before the second
// reading began is not.
func TestPagesThatShiftAllTheTime(t *testing.T) {
	for name, change := range map[string]func(f *fleet, request int){
		"at the beginning": func(f *fleet, n int) {
			at(n%2 == 0, f.remove, 3)
			at(n%2 == 1, f.insert, 0)
		},
		"in the middle": func(f *fleet, n int) {
			f.remove(700)
			at(n%2 == 0, f.insert, 1600)
			at(n%2 == 1, f.insert, 500)
		},
		"they go at the beginning and come at the end": func(f *fleet, n int) {
			f.remove(10 * n)
			f.insert(2499)
		},
	} {
		f := &fleet{ids: numberedIDs(0, 2500)}
		var lists [][]string
		f.before = func(f *fleet, n int) {
			change(f, n)
			lists = append(lists, f.ids)
		}
		got, err := clientOf(t, newCloud(t, f.answer)).Servers(context.Background(), ecs.ServerQuery{})
		require.NoError(t, err, name)
		require.Len(t, lists, 7, "%s: two readings, and what became of those that only the first one has", name)
		found := map[string]bool{}
		for _, id := range idsOf(got) {
			assert.False(t, found[id], "twice: %s", id)
			found[id] = true
		}
		for _, id := range lists[0] {
			stayed := !slices.ContainsFunc(lists, func(list []string) bool { return !slices.Contains(list, id) })
			assert.True(t, found[id] || !stayed, "%s: %s was there all the time", name, id)
			assert.False(t, found[id] && !slices.Contains(lists[3], id), "%s: %s is gone", name, id)
		}
	}
}

// TestMoreGoThanPagesReachBack: the next page reaches back further. A list that never fits together is not believed.
func TestMoreGoThanPagesReachBack(t *testing.T) {
	f := &fleet{ids: numberedIDs(0, 2500)}
	f.before = func(f *fleet, n int) {
		if n == 2 {
			f.ids = f.ids[130:]
		}
	}
	got, err := clientOf(t, newCloud(t, f.answer)).Servers(context.Background(), ecs.ServerQuery{})
	require.NoError(t, err)
	assert.ElementsMatch(t, f.ids, idsOf(got))

	f = &fleet{ids: numberedIDs(0, 2500)}
	f.before = func(f *fleet, n int) { f.ids = numberedIDs(n*10_000, n*10_000+2500) } // another fleet each time
	got, err = clientOf(t, newCloud(t, f.answer)).Servers(context.Background(), ecs.ServerQuery{})
	assertClass(t, ecs.ClassTransient, err)
	assert.ErrorContains(t, err, "name the servers by their ids")
	assert.Nil(t, got)
	assert.Less(t, f.requests, 25)
}

// TestAServerThatOnlyTheFirstReadingHas is asked for: the order of a list may be another one than we think.
func TestAServerThatOnlyTheFirstReadingHas(t *testing.T) {
	f := &fleet{ids: numberedIDs(0, 2500)}
	f.before = func(f *fleet, n int) {
		at(n == 2, f.insert, 0)
		at(n == 4, f.hide, 700)
		at(n == 4, f.remove, 800)
	}
	hidden := f.ids[699] // behind the one that came
	got, err := clientOf(t, newCloud(t, f.answer)).Servers(context.Background(), ecs.ServerQuery{})
	require.NoError(t, err)
	assert.ElementsMatch(t, append(slices.Clone(f.ids), hidden), idsOf(got))
	assert.Equal(t, 7, f.requests, "both at once")
}

func at(when bool, do func(int), position int) {
	if when {
		do(position)
	}
}

func TestListsThatAreNoProof(t *testing.T) {
	one := `{"id":"` + serverID + `","status":"ACTIVE"}`
	for body, want := range map[string]ecs.Class{
		`{}`:                        ecs.ClassUnclear,
		``:                          ecs.ClassUnclear,
		`{"count":0}`:               ecs.ClassUnclear,
		`{"servers":[]}`:            ecs.ClassUnclear,
		`{"servers":[` + one + `]}`: ecs.ClassUnclear,
		`{"count":-1,"servers":[]}`: ecs.ClassUnclear,
		`{"count":1,"servers":{}}`:  ecs.ClassUnclear,
		`{"count":1,"servers":[{"id":"../x","status":"ACTIVE"}]}`:                                         ecs.ClassUnclear,
		`{"count":1,"servers":[{"id":"` + serverID + `"}]}`:                                               ecs.ClassUnclear,
		`{"count":1001,"servers":[` + one + strings.Repeat(","+one, 1000) + `]}`:                          ecs.ClassUnclear,
		`{"count":1,"servers":[` + one[:len(one)-1] + `,"tags":[0` + strings.Repeat(",0", 1<<18) + `]}]}`: ecs.ClassUnclear,
		`{"count":2,"servers":[` + one + `]}`:                                                             ecs.ClassTransient,
		`{"count":2,"servers":[` + one + `,` + one + `]}`:                                                 ecs.ClassTransient,
		`{"count":2,"servers":[` + one + `,7]}`:                                                           ecs.ClassTransient,
		`{"count":0,"servers":[` + one + `]}`:                                                             ecs.ClassTransient,
		`{"count":100001,"servers":[` + one + `]}`:                                                        ecs.ClassPermanent,
		`{"count":"1","servers":[` + one + `],"request_id":"r","x":[]}`:                                   "",
		`{"count":0,"servers":null}`:                                                                      "",
	} {
		_, err := clientOf(t, newCloud(t, answering(200, body))).Servers(context.Background(), ecs.ServerQuery{})
		if want == "" {
			assert.NoError(t, err, body)
			continue
		}
		assertClass(t, want, err)
	}
}

// TestAPageOfLargeServers: a hundred servers with all the user data a server may have.
func TestAPageOfLargeServers(t *testing.T) {
	data := strings.Repeat("x", 44<<10)
	page := func(servers int) string {
		var entries []string
		for _, id := range numberedIDs(0, servers) {
			entries = append(entries, `{"id":"`+id+`","status":"ACTIVE","OS-EXT-SRV-ATTR:user_data":"`+data+`"}`)
		}
		return fmt.Sprintf(`{"count":%d,"servers":[%s]}`, servers, strings.Join(entries, ","))
	}
	got, err := clientOf(t, newCloud(t, answering(200, page(100)))).Servers(context.Background(), ecs.ServerQuery{})
	require.NoError(t, err)
	assert.Len(t, got, 100)
	cloud := newCloud(t, answering(200, page(400)))
	_, err = clientOf(t, cloud).Patient(nil).Servers(context.Background(), ecs.ServerQuery{})
	assert.ErrorContains(t, err, "larger than 16 MB")
	assert.Len(t, cloud.seen(), 2, "smaller pages are tried, and no page twice")
}

// named answers a list by id, in reverse order, as if only even ids were known.
func named(w http.ResponseWriter, r *http.Request) {
	ids := strings.Split(r.URL.Query().Get("server_id"), ",")
	slices.Reverse(ids)
	var entries []string
	for _, id := range ids {
		if strings.HasSuffix(id, "1") {
			entries = append(entries, `{"id":"`+id+`","fault":{"message":"Instance[`+id+`] could not be found.","code":404}}`)
			continue
		}
		entries = append(entries, `{"id":"`+strings.ToUpper(id)+`","name":"n","status":"SHUTOFF"}`)
	}
	fmt.Fprintf(w, `{"count":%d,"servers":[%s]}`, len(ids), strings.Join(entries, ","))
}

func TestServersByID(t *testing.T) {
	cloud := newCloud(t, named)
	ids := numberedIDs(0, 230)
	asked := append(slices.Clone(ids), ids[2], strings.ToUpper(ids[4])) // twice
	found, missing, err := clientOf(t, cloud).ServersByID(context.Background(), asked)
	require.NoError(t, err)
	var here, gone []string
	for _, id := range ids {
		if strings.HasSuffix(id, "1") {
			gone = append(gone, id)
		} else {
			here = append(here, strings.ToUpper(id))
		}
	}
	assert.Equal(t, here, idsOf(found))
	assert.Equal(t, gone, missing)
	require.Len(t, cloud.seen(), 3, "a hundred ids a request")

	found, missing, err = clientOf(t, cloud).ServersByID(context.Background(), nil)
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.Empty(t, missing)
	assert.Len(t, cloud.seen(), 3)

	_, _, err = clientOf(t, cloud).ServersByID(context.Background(), []string{serverID, "a,b", "../x"})
	assertClass(t, ecs.ClassInvalid, err)
	assert.ErrorContains(t, err, `"a,b"`)
	assert.ErrorContains(t, err, `"../x"`)
	assert.Len(t, cloud.seen(), 3)
}

// TestListByIDAsTheOfficialSDKWritesIt: the SDK sends a marker too, which has no meaning here.
func TestListByIDAsTheOfficialSDKWritesIt(t *testing.T) {
	want, _ := captured(t, "list-servers-by-id")
	cloud := newCloud(t, named)
	_, _, err := clientOf(t, cloud).ServersByID(context.Background(), []string{serverID, otherID})
	require.NoError(t, err)
	got, err := url.Parse(cloud.seen()[0].target)
	require.NoError(t, err)
	wanted, err := url.Parse(want.RequestURI)
	require.NoError(t, err)
	assert.Equal(t, wanted.Path, got.Path)
	ids := func(u *url.URL) string { return u.RawQuery[strings.Index(u.RawQuery, "server_id="):] }
	assert.Equal(t, ids(wanted), ids(got))
	assert.Equal(t, "100", got.Query().Get("limit"), "the default is 25, and whether it counts here is not said")
}

// TestSilenceAboutAServer is no evidence that it is gone.
func TestSilenceAboutAServer(t *testing.T) {
	for _, entry := range []string{
		``, `{"id":"` + otherID + `","status":"ACTIVE"}`, `{"id":"` + serverID + `"}`, `{"id":"` + serverID + `","fault":null}`,
		`{"id":"` + serverID + `","fault":{"message":"no answer","code":500}}`, `{"id":"` + serverID + `","fault":{"code":"Ecs.0301"}}`, `7`,
	} {
		cloud := newCloud(t, answering(200, `{"count":1,"servers":[`+entry+`]}`))
		_, _, err := clientOf(t, cloud).ServersByID(context.Background(), []string{serverID})
		assertClass(t, ecs.ClassUnclear, err)
		assert.ErrorContains(t, err, "what has become of server "+serverID, entry)
	}
	others := newCloud(t, answering(200, `{"servers":[{"id":"`+otherID+`","status":"ACTIVE"}]}`))
	found, missing, err := clientOf(t, others).ServersByID(context.Background(), []string{serverID, otherID})
	assert.ErrorContains(t, err, "what has become of server "+serverID)
	assert.Equal(t, []string{otherID}, idsOf(found), "what it tells of others is told")
	assert.Empty(t, missing)
	for _, fault := range []string{`{"message":"gone"}`, `{"code":"404"}`, `{"message":"m","code":"Ecs.0114"}`} {
		cloud := newCloud(t, answering(200, `{"servers":[{"id":"`+serverID+`","fault":`+fault+`}]}`))
		_, missing, err := clientOf(t, cloud).ServersByID(context.Background(), []string{serverID})
		require.NoError(t, err)
		assert.Equal(t, []string{serverID}, missing, fault)
	}
}
