package emulator_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/rollout/edition"
)

// Image ids of the refusal tests.
const (
	goodImage   = "00000000-0000-4000-8000-000000000001"
	savingImage = "00000000-0000-4000-8000-000000000002"
	armImage    = "00000000-0000-4000-8000-000000000003"
	uefiImage   = "00000000-0000-4000-8000-000000000004"
	dataImage   = "00000000-0000-4000-8000-000000000005"
	largeImage  = "00000000-0000-4000-8000-000000000006"
	ramImage    = "00000000-0000-4000-8000-000000000007"
	marketImage = "00000000-0000-4000-8000-000000000008"
	windows     = "00000000-0000-4000-8000-000000000009"
	wholeImage  = "00000000-0000-4000-8000-00000000000a"
	noImage     = "00000000-0000-4000-8000-00000000000f"
)

func refusalImages() []emulator.Image {
	return []emulator.Image{
		{ID: goodImage}, {ID: savingImage, Status: "saving"}, {ID: armImage, ARM: true}, {ID: uefiImage, Firmware: "uefi"},
		{ID: dataImage, VirtualEnvType: "DataImage"}, {ID: largeImage, MinDiskGB: 80}, {ID: ramImage, MinRAMMB: 65536},
		{ID: marketImage, Type: "market"}, {ID: windows, OSType: "Windows"}, {ID: wholeImage, WholeImage: true},
	}
}

func TestChangeIsRefused(t *testing.T) {
	imageID := func(id string) string { return `{"os-change":{"imageid":"` + id + `"}}` }
	with := func(more string) string { return `{"os-change":{"imageid":"` + goodImage + `",` + more + `}}` }
	script := func(bytes int) string {
		return with(`"metadata":{"user_data":"` + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", bytes))) + `"}`)
	}
	for _, test := range []struct {
		name    string
		server  func(*emulator.Server)
		edition emulator.Edition
		version string // default v2
		body    string
		status  int
		code    string
	}{
		{name: "empty body", body: " ", status: 400, code: "Common.0002"},
		{name: "not JSON", body: "{", status: 400, code: "Ecs.0000"},
		{name: "boolean for a string", body: with(`"isAutoPay":true`), status: 400, code: "Ecs.0000"},
		{name: "no os-change", body: "{}", status: 400, code: "Ecs.0005"},
		{name: "no image id", body: `{"os-change":{}}`, status: 400, code: "Ecs.0005"},
		{name: "unknown mode", body: with(`"mode":"now"`), status: 400, code: "Ecs.0005"},
		{name: "unknown isAutoPay", body: with(`"isAutoPay":"yes"`), status: 400, code: "Ecs.0005"},
		{name: "password and key", body: with(`"adminpass":"Corr3ct-Horse","keyname":"ops-key"`), status: 400, code: "Ecs.0005"},
		{name: "weak password", body: with(`"adminpass":"password"`), status: 400, code: "Ecs.0011"},
		{name: "short password", body: with(`"adminpass":"Aa1-"`), status: 400, code: "Ecs.0011"},
		{name: "character not allowed", body: with(`"adminpass":"Corr3ct<Horse"`), status: 400, code: "Ecs.0011"},
		{name: "Windows user name in password", status: 400, code: "Ecs.0011",
			body: `{"os-change":{"imageid":"` + windows + `","adminpass":"1-Administrator"}}`},
		{name: "unknown key pair", body: with(`"keyname":"nobody"`), status: 400, code: "Ecs.0314"},
		{name: "user data not base64", body: with(`"metadata":{"user_data":"#!/bin/sh"}`), status: 400, code: "Ecs.0005"},
		{name: "user data too large", body: script(32*1024 + 1), status: 400, code: "Ecs.0005"},
		{name: "user data at the limit", body: script(32 * 1024), status: 200},
		{name: "user data over v1", version: "v1", body: script(1), status: 400, code: "Ecs.0005"},
		{name: "encryption without key", body: with(`"metadata":{"__system__encrypted":"1"}`), status: 400, code: "Ecs.0912"},
		{name: "unknown encryption", body: with(`"metadata":{"__system__encrypted":"yes"}`), status: 400, code: "Ecs.0005"},

		{name: "locked", server: func(s *emulator.Server) { s.Locked = true }, body: imageID(goodImage), status: 400, code: "Ecs.0605"},
		{name: "frozen", server: func(s *emulator.Server) { s.Frozen = true }, body: imageID(goodImage), status: 400, code: "Ecs.0030"},
		{name: "spot", server: func(s *emulator.Server) { s.ChargingMode = "2" }, body: imageID(goodImage), status: 400, code: "Ecs.0005"},
		{name: "running", server: func(s *emulator.Server) { s.Status = "ACTIVE" }, body: imageID(goodImage), status: 400, code: "Ecs.0100"},
		{name: "task by another hand", server: func(s *emulator.Server) { s.TaskState = "deleting" }, body: imageID(goodImage), status: 400, code: "Ecs.0100"},
		{name: "no system disk", server: func(s *emulator.Server) { s.SystemVolumeID = "" }, body: imageID(goodImage), status: 400, code: "Ecs.0105"},

		{name: "unknown image", body: imageID(noImage), status: 400, code: "Ecs.0031"},
		{name: "image not active", body: imageID(savingImage), status: 400, code: "Ecs.0032"},
		{name: "other architecture", body: imageID(armImage), status: 400, code: "Ecs.0007"},
		{name: "other boot mode", body: imageID(uefiImage), status: 400, code: "Ecs.0007"},
		{name: "data disk image", body: imageID(dataImage), status: 400, code: "Ecs.0007"},
		{name: "too little memory", body: imageID(ramImage), status: 400, code: "Ecs.0007"},
		{name: "disk of a prepaid server does not grow", server: func(s *emulator.Server) { s.ChargingMode = "1" }, body: imageID(largeImage), status: 400, code: "Ecs.0007"},
		{name: "prepaid and market", server: func(s *emulator.Server) { s.ChargingMode = "1" }, body: imageID(marketImage), status: 400, code: "Ecs.0510"},

		{name: "whole image", body: imageID(wholeImage), status: 400, code: "Ecs.0007"},
		{name: "prepaid on a market image", server: func(s *emulator.Server) { s.ChargingMode, s.ImageID = "1", marketImage }, body: imageID(goodImage), status: 400, code: "Ecs.0510"},

		{name: "strict key name", edition: documented(edition.Edition{StrictKeyName: true}), body: imageID(goodImage), status: 400, code: "Ecs.0005"},
		{name: "no password field", edition: documented(edition.Edition{NoAdminPass: true}), body: with(`"adminpass":"Corr3ct-Horse"`), status: 400, code: "Ecs.0005"},
		{name: "no encryption", edition: documented(edition.Edition{NoEncryption: true}), body: with(`"metadata":{"__system__encrypted":"0"}`), status: 400, code: "Ecs.0005"},
		{name: "no automatic payment", edition: documented(edition.Edition{NoAutoPay: true}), body: with(`"isAutoPay":"false"`), status: 400, code: "Ecs.0005"},
		{name: "no Windows", edition: documented(edition.Edition{NoWindows: true}), body: imageID(windows), status: 400, code: "Ecs.0074"},
		{name: "other BYOL refused", edition: documented(edition.Edition{RefuseOtherBYOL: true}), body: with(`"metadata":{"BYOL":"false"}`), status: 400, code: "Ecs.0005"},
		{name: "other BYOL means no", body: with(`"metadata":{"BYOL":"false"}`), status: 200},
		{name: "v1 without login", version: "v1", body: imageID(goodImage), status: 200},
		{name: "v1 needs a login", version: "v1", edition: documented(edition.Edition{V1NeedsLogin: true}), body: imageID(goodImage), status: 400, code: "Ecs.0005"},
		{name: "v2 only", version: "v1", edition: documented(edition.Edition{V2Only: true}), body: imageID(goodImage), status: 404, code: "APIGW.0101"},
		{name: "unknown members are ignored", body: with(`"colour":"red"`), status: 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCloud(t, emulator.Options{
				Fleet: []emulator.Server{{Name: "one", Status: "SHUTOFF", ImageID: goodImage}}, Images: refusalImages(), Edition: test.edition,
			})
			id := c.only()
			if test.server != nil {
				require.NoError(t, c.Update(id, test.server))
			}
			version := test.version
			if version == "" {
				version = "v2"
			}
			before := c.truth(id)
			r := c.ask("POST", "/"+version+"/{project}/cloudservers/"+id+"/changeos", test.body)
			assert.Equal(t, test.status, r.status, r.text)
			assert.Equal(t, test.code, r.code(), r.text)
			account := c.Ledger().Servers[id]
			if test.status == 200 {
				assert.Equal(t, 1, account.ChangeOSAccepted)
				return
			}
			assert.Zero(t, account.ChangeOSAccepted)
			assert.Empty(t, account.Writes)
			assert.Equal(t, before, c.truth(id))
		})
	}
}

func TestUnknownServer(t *testing.T) {
	c := newCloud(t, stopped())
	for _, r := range []reply{
		c.changeOS(noImage, c.target(), ""),
		c.power("os-stop", noImage),
		c.ask("GET", "/v1/{project}/cloudservers/"+noImage, ""),
		c.ask("GET", "/v1/{project}/cloudservers/"+noImage+"/block_device", ""),
	} {
		assert.Equal(t, 404, r.status)
		assert.Equal(t, "Ecs.0114", r.code())
		assert.Contains(t, r.text, "Instance["+noImage+"] could not be found.")
	}
}

func TestPowerIsRefused(t *testing.T) {
	many := strings.Repeat(`{"id":"x"},`, 1000) + `{"id":"x"}`
	for _, test := range []struct{ name, body, code string }{
		{"empty body", "", "Common.0002"},
		{"not JSON", "[]", "Ecs.0000"},
		{"no action", "{}", "Ecs.0005"},
		{"two actions", `{"os-stop":{"servers":[{"id":"ID"}]},"os-start":{"servers":[{"id":"ID"}]}}`, "Ecs.0005"},
		{"no servers", `{"os-stop":{"servers":[]}}`, "Ecs.0005"},
		{"too many servers", `{"os-stop":{"servers":[` + many + `]}}`, "Ecs.0118"},
		{"named twice", `{"os-stop":{"servers":[{"id":"ID"},{"id":"ID"}]}}`, "Ecs.0005"},
		{"unknown type", `{"os-stop":{"type":"soft","servers":[{"id":"ID"}]}}`, "Ecs.0005"},
		{"reboot without type", `{"reboot":{"servers":[{"id":"ID"}]}}`, "Ecs.0005"},
		{"reboot of a stopped server", `{"reboot":{"type":"SOFT","servers":[{"id":"ID"}]}}`, "Ecs.0100"},
		{"stop of a stopped server", `{"os-stop":{"servers":[{"id":"ID"}]}}`, "Ecs.0100"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCloud(t, stopped())
			r := c.ask("POST", "/v1/{project}/cloudservers/action", strings.ReplaceAll(test.body, "ID", c.only()))
			assert.Equal(t, 400, r.status)
			assert.Equal(t, test.code, r.code(), r.text)
			assert.Empty(t, c.Ledger().Servers[c.only()].Writes)
		})
	}
	for code, change := range map[string]func(*emulator.Server){
		"Ecs.0605": func(s *emulator.Server) { s.Locked = true },
		"Ecs.0030": func(s *emulator.Server) { s.Frozen = true },
		"Ecs.0105": func(s *emulator.Server) { s.SystemVolumeID = "" },
		"Ecs.0100": func(s *emulator.Server) { s.Status = "ERROR" },
	} {
		c := newCloud(t, stopped())
		require.NoError(t, c.Update(c.only(), change))
		assert.Equal(t, code, c.power("os-start", c.only()).code())
	}
}

func TestWhatTheGatewayRefuses(t *testing.T) {
	c := newCloud(t, stopped())
	for _, path := range []string{"/", "/v1", "/v1/{project}/cloudservers", "/v1/{project}/jobs/", "/v9/{project}/jobs/x", "/v1/{project}/jobs/a/b"} {
		r := c.ask("GET", path, "")
		assert.Equal(t, 404, r.status, path)
		assert.Equal(t, "APIGW.0101", r.code(), path)
	}
	r := c.ask("DELETE", "/v1/{project}/jobs/x", "")
	assert.Equal(t, 404, r.status, "a method belongs to the API")
	assert.Equal(t, 7, c.Ledger().Requests["unmatched"])

	r = c.ask("POST", "/v1/{project}/cloudservers/action", strings.Repeat(" ", 12<<20+1))
	assert.Equal(t, 413, r.status)
	assert.Equal(t, "APIGW.0201", r.code())

	r = c.ask("GET", "/v1/another/jobs/x", "")
	assert.Equal(t, 400, r.status)
	assert.Equal(t, "Ecs.0023", r.code())
	other := request("GET", "/v1/"+project+"/jobs/x", "")
	other.Header.Set("X-Project-Id", "another")
	assert.Equal(t, "Ecs.0023", c.do(other).code())
	assert.Equal(t, 3, c.Ledger().Requests["GET /v1/{project_id}/jobs/{job_id}"]+c.Ledger().Requests["POST /v1/{project_id}/cloudservers/action"],
		"refused requests count too")
}

func TestEveryAnswerCarriesTheGatewaysHeaders(t *testing.T) {
	c := newCloud(t, stopped())
	seen := map[string]bool{}
	for _, path := range []string{"/v1/{project}/cloudservers/detail", "/v1/{project}/jobs/x", "/nothing"} {
		r := c.ask("GET", path, "")
		assert.Equal(t, "api-gateway", r.header.Get("Server"))
		assert.Contains(t, r.header.Get("Content-Type"), "application/json")
		assert.Equal(t, fmt.Sprint(len(r.text)), r.header.Get("Content-Length"))
		assert.Regexp(t, "^[0-9a-f]{32}$", r.header.Get("X-Request-Id"))
		seen[r.header.Get("X-Request-Id")] = true
	}
	assert.Len(t, seen, 3)
}

func TestRefusalsNeverQuoteTheRequest(t *testing.T) {
	c := newCloud(t, stopped())
	for _, more := range []string{`,"adminpass":"hunter2"`, `,"adminpass":{"hunter2":1}`, `,"metadata":{"user_data":"hunter2!"}`} {
		r := c.changeOS(c.only(), c.target(), more)
		assert.Equal(t, 400, r.status)
		assert.NotContains(t, r.text, "hunter2")
	}
}
