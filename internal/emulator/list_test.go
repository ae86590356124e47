package emulator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

type page struct {
	Count   int     `json:"count"`
	Servers []shown `json:"servers"`
}

func (p page) names() string {
	var names []string
	for _, s := range p.Servers {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

func (c cloud) list(query string) page {
	c.t.Helper()
	r := c.ask("GET", "/v1/{project}/cloudservers/detail?"+query, "")
	require.Equal(c.t, 200, r.status, r.text)
	var p page
	require.NoError(c.t, json.Unmarshal([]byte(r.text), &p))
	return p
}

func TestPaging(t *testing.T) {
	c := newCloud(t, emulator.Options{Servers: 60})
	assert.Len(t, c.list("").Servers, 25, "the default page")
	assert.Equal(t, c.list("offset=1").names(), c.list("offset=0").names(), "pages begin at 1; 0 is 1")
	seen := map[string]bool{}
	for offset, size := range map[int]int{1: 25, 2: 25, 3: 10, 4: 0, 1_000_000: 0} {
		p := c.list(fmt.Sprintf("offset=%d&limit=25", offset))
		assert.Equal(t, 60, p.Count, "count is the total")
		assert.Len(t, p.Servers, size)
		for _, s := range p.Servers {
			assert.False(t, seen[s.ID], s.Name)
			seen[s.ID] = true
		}
	}
	assert.Len(t, seen, 60)
	assert.Len(t, c.list("limit=1000").Servers, 60)
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "offset=-1", "offset=x", "offset=99999999999999999999", "status=RUNNING", "marker=x"} {
		r := c.ask("GET", "/v1/{project}/cloudservers/detail?"+bad, "")
		assert.Equal(t, "Ecs.0005", r.code(), bad)
	}
}

func TestFilters(t *testing.T) {
	c := newCloud(t, emulator.Options{Fleet: []emulator.Server{
		{Name: "app-1", Tags: []string{"role=app", "ring=1"}, IP: "10.0.0.1"},
		{Name: "db.1", Tags: []string{"role=db", "solo"}, IP: "10.0.0.10", Status: "SHUTOFF", FlavorID: "m6.large.8"},
		{Name: "web-1", Tags: []string{"role=web", "ring=1"}, IP: "10.0.0.2"},
		{Name: "web-2", Tags: []string{"role=web", "ring=2"}, IP: "10.0.0.3", Status: "ERROR"},
	}})
	for query, want := range map[string]string{
		"":                                      "app-1 db.1 web-1 web-2",
		"name=web":                              "web-1 web-2",
		"name=b.1":                              "db.1 web-1",
		"name=%28":                              "",
		"status=ACTIVE":                         "app-1 web-1",
		"status=SHUTOFF":                        "db.1",
		"status=ERROR":                          "web-2",
		"tags=role%3Dweb":                       "web-1 web-2",
		"tags=role%3Dweb,ring%3D2":              "web-2",
		"tags=ring":                             "app-1 web-1 web-2",
		"tags=solo":                             "db.1",
		"tags=rin":                              "",
		"not-tags=role%3Dweb":                   "app-1 db.1",
		"not-tags=__type_baremetal":             "app-1 db.1 web-1 web-2",
		"not-tags=__type_virtual":               "",
		"flavor=m6.large.8":                     "db.1",
		"ip=10.0.0.1":                           "app-1 db.1",
		"ip_eq=10.0.0.1":                        "app-1",
		"enterprise_project_id=all_granted_eps": "app-1 db.1 web-1 web-2",
		"enterprise_project_id=0":               "app-1 db.1 web-1 web-2",
		"enterprise_project_id=other":           "",
		"name=web&tags=ring%3D1&status=ACTIVE":  "web-1",
	} {
		p := c.list(query)
		assert.Equal(t, want, p.names(), query)
		assert.Equal(t, len(p.Servers), p.Count)
	}
}

func TestStatusFilterLetsRebuildThrough(t *testing.T) {
	atTime(t, exact(stopped()), func(t *testing.T, c cloud) {
		c.changeOS(c.only(), c.target(), "").jobID(t)
		for _, status := range []string{"ACTIVE", "SHUTOFF", "ERROR", "REBUILD"} {
			assert.Equal(t, "one", c.list("status="+status).names(), status)
		}
		assert.Empty(t, c.list("status=BUILD").Servers)
		time.Sleep(15 * time.Second)
		temporary := c.list("status=BUILD").Servers
		require.Len(t, temporary, 1)
		assert.Equal(t, "BUILD", c.show(temporary[0].ID).Status)
		assert.Equal(t, "Ecs.0114", c.changeOS(temporary[0].ID, c.target(), "").code(), "nobody may write to it")
	})
}

func TestListByID(t *testing.T) {
	c := newCloud(t, emulator.Options{Servers: 3})
	all := c.Servers()
	r := c.ask("GET", "/v1/{project}/cloudservers/detail?name=nothing&server_id="+all[1].ID+","+noImage, "")
	var body struct {
		Count   int                          `json:"count"`
		Servers []map[string]json.RawMessage `json:"servers"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.text), &body))
	require.Len(t, body.Servers, 2)
	assert.JSONEq(t, `"`+all[1].Name+`"`, string(body.Servers[0]["name"]), "other filters are ignored")
	assert.Len(t, body.Servers[1], 2, "an unknown id has only id and fault")
	assert.Contains(t, string(body.Servers[1]["fault"]), "could not be found")
	ids := strings.TrimSuffix(strings.Repeat(noImage+",", 101), ",")
	assert.Equal(t, "Ecs.0005", c.ask("GET", "/v1/{project}/cloudservers/detail?server_id="+ids, "").code())
}

func TestShapesOfTheServer(t *testing.T) {
	atTime(t, emulator.Options{Fleet: []emulator.Server{{
		Name: "one", DataVolumeIDs: []string{""}, Locked: true, LockSource: "ORDER", Frozen: true, ChargingMode: "1", KeyName: "ops-key",
	}}}, func(t *testing.T, c cloud) {
		id := c.only()
		text := c.ask("GET", "/v1/{project}/cloudservers/"+id, "").text
		for _, want := range []string{
			`"OS-EXT-STS:task_state":null`, `"OS-EXT-STS:power_state":1`, `"created":"1999-12-01T00:00:00Z","updated":"2000-01-01T00:00:00Z"`,
			`"OS-SRV-USG:launched_at":"2000-01-01T00:00:00.000000"`, `"OS-SRV-USG:terminated_at":null`,
			`"vcpus":"2","ram":"4096"`, `"bootIndex":"0","device":"/dev/vda"`, `"bootIndex":null,"device":"/dev/vdb"`,
			`"delete_on_termination":"false"`, `"locked":true`, `"lockSource":"ORDER"`, `"EcmResStatus":"freeze"`,
			`"charging_mode":"1"`, `"fault":null`, `"key_name":"ops-key"`, `"__type_virtual"`, `"OS-EXT-IPS:type":"fixed"`,
		} {
			assert.Contains(t, text, want)
		}
		assert.NotContains(t, text, "user_data")
		text = c.ask("GET", "/v1/{project}/cloudservers/"+id+"/block_device", "").text
		assert.Contains(t, text, `"attachableQuantity":{"free_scsi":23`)
		assert.Contains(t, text, `"size":40,"bootIndex":0,`)
		assert.Contains(t, text, `"size":100,"bootIndex":null,`)
	})
}

func TestImages(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	names := func(query string) []string {
		r := c.ask("GET", "/v2/cloudimages?"+query, "")
		require.Equal(t, 200, r.status)
		var body struct {
			Images []struct {
				Name string `json:"name"`
			} `json:"images"`
		}
		require.NoError(t, json.Unmarshal([]byte(r.text), &body))
		require.NotNil(t, body.Images)
		list := []string{}
		for _, i := range body.Images {
			list = append(list, i.Name)
		}
		return list
	}
	all := names("")
	assert.Len(t, all, len(c.Images()))
	assert.Equal(t, []string{emulator.TargetImageName}, names("id="+c.target()))
	assert.Empty(t, names("id="+noImage), "an unknown id is an empty list")
	assert.Equal(t, []string{emulator.TargetImageName}, names("name="+emulator.TargetImageName))
	assert.Equal(t, []string{"base-2026-03"}, names("status=saving"))
	assert.Equal(t, []string{"Ubuntu 24.04 server 64bit"}, names("__imagetype=gold"))
	assert.Equal(t, []string{"data-disk-2026"}, names("virtual_env_type=DataImage"))
	assert.Equal(t, all[:2], names("limit=2"))
	assert.Equal(t, all[2:4], names("limit=2&marker="+c.Images()[1].ID))
	assert.Equal(t, 400, c.ask("GET", "/v2/cloudimages?limit=0", "").status)

	text := c.ask("GET", "/v2/cloudimages?id="+c.named("base-2026-02-arm"), "").text
	for _, want := range []string{`"min_disk":40`, `"min_ram":1024`, `"max_ram":"0"`, `"hw_firmware_type":"bios"`, `"__support_arm":"true"`, `"__imagetype":"private"`} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "__support_amd")
}

// TestRightsInOneEnterpriseProject: lists have to name it, or all; what is read by its id needs no name.
func TestRightsInOneEnterpriseProject(t *testing.T) {
	const own = "1f3d5b7a-9c2e-4f60-8a1b-3c5d7e9f1a2b"
	options := stopped()
	options.EnterpriseProject = own
	options.Images = []emulator.Image{{Name: "ours"}, {Name: "public", Type: "gold"}}
	c := newCloud(t, options)
	list := "/v1/" + emulator.DefaultProjectID + "/cloudservers/detail"
	for query, allowed := range map[string]bool{
		"": false, "?enterprise_project_id=0": false, "?enterprise_project_id=" + own: true, "?enterprise_project_id=all_granted_eps": true,
		"?server_id=" + c.only(): false, "?enterprise_project_id=" + own + "&server_id=" + c.only(): true,
	} {
		r := c.ask("GET", list+query, "")
		assert.Equal(t, allowed, r.status == 200, query)
		if !allowed {
			assert.Equal(t, "Pdp.0001", r.code())
		}
		assert.Equal(t, allowed, strings.Contains(r.text, `"enterprise_project_id":"`+own+`"`), query)
	}
	assert.Equal(t, 403, c.ask("GET", "/v2/cloudimages", "").status)
	within, everywhere := c.ask("GET", "/v2/cloudimages?enterprise_project_id="+own, "").text, c.ask("GET", "/v2/cloudimages?enterprise_project_id=all_granted_eps", "").text
	assert.Contains(t, within, `"ours"`)
	assert.NotContains(t, within, `"public"`)
	assert.Contains(t, everywhere, `"public"`)
	assert.Equal(t, 200, c.ask("GET", "/v1/"+emulator.DefaultProjectID+"/cloudservers/"+c.only(), "").status)
}
