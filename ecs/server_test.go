package ecs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const serverAnswer = `{ "server": {
  "id": "616fb98f-46ca-475e-917e-2563e5a8cd19", "name": "edge-017", "status": "SHUTOFF",
  "OS-EXT-STS:vm_state": "stopped", "OS-EXT-STS:task_state": null, "OS-EXT-STS:power_state": 4,
  "image": { "id": "51e0c8a2-66d1-4f6e-9b53-0c9d0b8a7f10" },
  "flavor": { "id": "s6.large.2", "name": "s6.large.2", "disk": "0", "vcpus": "2", "ram": "4096" },
  "metadata": { "charging_mode": "1", "os_type": "Linux", "EcmResStatus": "freeze", "lockSource": "ORDER", "other": {"x": 1} },
  "tags": [ "role=edge", "ring" ], "locked": true, "fault": {"message": "No valid host", "code": 500}, "key_name": "fleet-key-01",
  "os-extended-volumes:volumes_attached": [
    { "id": "data", "delete_on_termination": "false", "bootIndex": "1", "device": "/dev/vdb" },
    { "id": "aa11bb22-cc33-4d44-8e55-ff6677889900", "bootIndex": "0", "device": "/dev/vda" } ],
  "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda", "OS-EXT-SRV-ATTR:user_data": "IyEvYmluL3No",
  "OS-EXT-AZ:availability_zone": "eu-de-01", "host_status": "UP", "progress": 0 } }`

func TestServer(t *testing.T) {
	cloud := newCloud(t, answering(200, serverAnswer))
	got, err := clientOf(t, cloud).Server(context.Background(), serverID)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), got.AsOf, time.Minute)
	got.AsOf = time.Time{}
	assert.Equal(t, ecs.Server{
		ID: serverID, Name: "edge-017", Status: "SHUTOFF", VMState: "stopped",
		ImageID: "51e0c8a2-66d1-4f6e-9b53-0c9d0b8a7f10", KeyName: "fleet-key-01", Zone: "eu-de-01",
		Locked: true, LockSource: "ORDER", ChargingMode: "1", ResourceStatus: "freeze", OSType: "Linux",
		Flavor: ecs.Flavor{ID: "s6.large.2", RAMMB: 4096},
		Volumes: []ecs.Volume{
			{ID: "data", BootIndex: "1", Device: "/dev/vdb"},
			{ID: "aa11bb22-cc33-4d44-8e55-ff6677889900", BootIndex: "0", Device: "/dev/vda"},
		},
		RootDevice: "/dev/vda", Tags: []string{"role=edge", "ring"}, HostStatus: "UP",
	}, got)
	assert.Equal(t, "aa11bb22-cc33-4d44-8e55-ff6677889900", got.SystemVolumeID())
	assert.True(t, got.Prepaid())
	assert.True(t, got.Frozen())
	assert.False(t, got.Spot())
	assert.NotContains(t, fmt.Sprintf("%+v", got), "IyEvYmluL3No", "user data can hold a hash of the password")
}

// TestOddServers: members of other types than documented. The official SDK fails on most of these.
func TestOddServers(t *testing.T) {
	plain := ecs.Server{ID: serverID, Status: "ACTIVE"}
	with := func(change func(*ecs.Server)) ecs.Server {
		s := plain
		change(&s)
		return s
	}
	for members, want := range map[string]ecs.Server{
		`"OS-EXT-STS:task_state":null,"metadata":{"n":null},"image":""`: plain,
		`"metadata":{"n":1}`:             plain,
		`"metadata":[]`:                  plain,
		`"metadata":{"charging_mode":2}`: with(func(s *ecs.Server) { s.ChargingMode = "2" }),
		`"locked":"false"`:               plain,
		`"locked":"true"`:                with(func(s *ecs.Server) { s.Locked = true }),
		`"locked":1`:                     with(func(s *ecs.Server) { s.Locked = true }),
		`"OS-EXT-STS:power_state":"1"`:   plain,
		`"name":{"a":1},"key_name":["x"],"host_status":5`: with(func(s *ecs.Server) { s.HostStatus = "5" }),
		`"flavor":"s6"`:                  plain,
		`"flavor":{"id":7,"ram":2048.0}`: with(func(s *ecs.Server) { s.Flavor = ecs.Flavor{ID: "7", RAMMB: 2048} }),
		`"flavor":{"ram":"many"}`:        plain,
		`"flavor":{"ram":1e300}`:         plain,
		`"fault":"broken"`:               plain,
		`"fault":{"message":"{\"computeFault\":{\"message\":\"no host\",\"code\":500}}"}`: plain,
		`"tags":{"a":"b"}`:                            plain,
		`"tags":["a=b",null,{"k":1},3]`:               with(func(s *ecs.Server) { s.Tags = []string{"a=b", "", "3"} }),
		`"os-extended-volumes:volumes_attached":{}`:   plain,
		`"os-extended-volumes:volumes_attached":null`: plain,
		`"os-extended-volumes:volumes_attached":[1,null,{"id":"v","bootIndex":0,"device":null}]`: with(func(s *ecs.Server) { s.Volumes = []ecs.Volume{{ID: "v", BootIndex: "0"}} }),
		`"OS-EXT-STS:vm_state":"brand_new","OS-EXT-STS:task_state":"brand-new"`:                  with(func(s *ecs.Server) { s.VMState, s.TaskState = "brand_new", "brand-new" }),
	} {
		for _, id := range []string{`"id":"` + serverID + `",`, ``} {
			cloud := newCloud(t, answering(200, `{"server":{`+id+`"status":"ACTIVE",`+members+`}}`))
			got, err := clientOf(t, cloud).Server(context.Background(), serverID)
			require.NoError(t, err, members)
			got.AsOf = time.Time{}
			assert.Equal(t, want, got, members)
		}
	}
}

func TestAnswersThatAreNotTheServer(t *testing.T) {
	for _, body := range []string{
		`{}`, `null`, `[]`, ``, `<html>hi</html>`, `{"server":null}`, `{"server":{}}`, `{"server":[]}`, `{"server":"x"}`,
		`{"server":{"id":"` + serverID + `"}}`,
		`{"server":{"status":"ACTIVE"}`,
		`{"server":{"status":"ACTIVE"}} x`,
		`{"server":{"id":"` + otherID + `","status":"ACTIVE"}}`,
	} {
		cloud := newCloud(t, answering(200, body))
		got, err := clientOf(t, cloud).Server(context.Background(), serverID)
		assertClass(t, ecs.ClassUnclear, err)
		assert.Zero(t, got, body)
	}
}

func TestMissingServer(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		want   ecs.Class
	}{
		{404, `{"error":{"message":"Instance[2b1f0f1e-...] could not be found.","code":"Ecs.0114"}}`, ecs.ClassNotFound},
		{404, `{"itemNotFound":{"code":404,"message":"Instance could not be found"}}`, ecs.ClassNotFound},
		{404, `{"error_code":"APIGW.0101","error_msg":"The API does not exist or has not been published in the environment"}`, ecs.ClassPermanent},
		{404, `{"error_code":"APIG.0103","error_msg":"m"}`, ecs.ClassPermanent},
		{404, `404 page not found`, ecs.ClassUnclear},
		{404, ``, ecs.ClassUnclear},
		{400, `{"error":{"code":"Ecs.0301","message":"m"}}`, ecs.ClassTransient},
		{502, `<html></html>`, ecs.ClassTransient},
	} {
		cloud := newCloud(t, answering(test.status, test.body))
		_, err := clientOf(t, cloud).Server(context.Background(), serverID)
		assertClass(t, test.want, err)
	}
}

func TestSystemVolumeID(t *testing.T) {
	boot := ecs.Volume{ID: "boot", BootIndex: "0", Device: "/dev/vda"}
	data := ecs.Volume{ID: "data", BootIndex: "1", Device: "/dev/vdb"}
	for name, test := range map[string]struct {
		server ecs.Server
		want   string
	}{
		"boot index":          {ecs.Server{Volumes: []ecs.Volume{data, boot}}, "boot"},
		"index before device": {ecs.Server{Volumes: []ecs.Volume{data, boot}, RootDevice: "/dev/vdb"}, "boot"},
		"root device":         {ecs.Server{Volumes: []ecs.Volume{{ID: "x", Device: "/dev/vda"}, data}, RootDevice: "/dev/vda"}, "x"},
		"no root device":      {ecs.Server{Volumes: []ecs.Volume{{ID: "x"}}}, ""},
		"none":                {ecs.Server{RootDevice: "/dev/vda"}, ""},
		"data only":           {ecs.Server{Volumes: []ecs.Volume{data}, RootDevice: "/dev/vda"}, ""},
		"two while swapped":   {ecs.Server{Volumes: []ecs.Volume{boot, {ID: "new", BootIndex: "0", Device: "/dev/vda"}}}, ""},
		"three while swapped": {ecs.Server{Volumes: []ecs.Volume{boot, {ID: "new", BootIndex: "0"}, boot}}, ""},
		"two on the device":   {ecs.Server{Volumes: []ecs.Volume{{ID: "x", Device: "a"}, {ID: "y", Device: "a"}}, RootDevice: "a"}, ""},
		"the same twice":      {ecs.Server{Volumes: []ecs.Volume{boot, boot}}, "boot"},
	} {
		assert.Equal(t, test.want, test.server.SystemVolumeID(), name)
	}
}

func TestServerKinds(t *testing.T) {
	assert.True(t, ecs.Server{ChargingMode: "2"}.Spot())
	assert.False(t, ecs.Server{ResourceStatus: "normal"}.Frozen())
}

func TestSystemDisk(t *testing.T) {
	read := func(body string) (ecs.Disk, error) {
		cloud := newCloud(t, answering(200, body))
		disk, err := clientOf(t, cloud).SystemDisk(context.Background(), serverID)
		assert.Equal(t, "/v1/"+projectID+"/cloudservers/"+serverID+"/block_device", cloud.seen()[0].target)
		return disk, err
	}
	for body, want := range map[string]ecs.Disk{
		`{"attachableQuantity":{"free_scsi":23},"volumeAttachments":[{"id":"d","volumeId":"d","size":10,"bootIndex":1},{"id":"v","volumeId":"v","serverId":"s","device":"/dev/vda","size":40,"bootIndex":0}]}`: {VolumeID: "v", SizeGB: 40},
		`{"volumeAttachments":[{"id":"v","size":"40","bootIndex":"0"}]}`: {VolumeID: "v", SizeGB: 40},
		`{"volumeAttachments":[{"volumeId":"v","bootIndex":0}]}`:         {VolumeID: "v"},
	} {
		got, err := read(body)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, body := range []string{`{"volumeAttachments":[]}`, `{"volumeAttachments":null}`, `{"volumeAttachments":[{"volumeId":"d","bootIndex":1}]}`} {
		_, err := read(body)
		assertClass(t, ecs.ClassState, err)
		assert.ErrorIs(t, err, ecs.ErrNoSystemDisk)
	}
	_, err := read(`{"volumeAttachments":[{"volumeId":"v","bootIndex":0},{"volumeId":"w","bootIndex":0}]}`)
	assertClass(t, ecs.ClassState, err)
	assert.ErrorIs(t, err, ecs.ErrTwoSystemDisks)
	assert.NotErrorIs(t, err, ecs.ErrNoSystemDisk)
	for _, body := range []string{`{}`, `[]`, `{"volumeAttachments":"none"}`, `{"volumeAttachments":{}}`} {
		_, err = read(body)
		assertClass(t, ecs.ClassUnclear, err)
		assert.NotErrorIs(t, err, ecs.ErrNoSystemDisk, "silence is no evidence of a lost disk")
	}
}
