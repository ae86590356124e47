package emulator_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

const tokenBody = `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"operator","password":"emulated-password",
 "domain":{"name":"EMULATED-ACCOUNT"}}}},"scope":{"project":{"name":"eu-emulated-1"}}}}`

func (c cloud) askWith(token, path string) reply {
	r := httptest.NewRequest("GET", path, nil)
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	return c.do(r)
}

func TestTokens(t *testing.T) {
	atTime(t, emulator.Options{Speed: 100}, func(t *testing.T, c cloud) {
		const path = "/v2/cloudimages"
		missing := c.askWith("", path)
		assert.Equal(t, 401, missing.status)
		assert.Equal(t, "APIGW.0301", missing.code())
		var body struct {
			RequestID string `json:"request_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(missing.text), &body))
		assert.Equal(t, missing.header.Get("X-Request-Id"), body.RequestID)
		unknown := c.askWith("nonsense", path)
		assert.Equal(t, 401, unknown.status)
		assert.Equal(t, "APIGW.0307", unknown.code())

		issued := c.do(httptest.NewRequest("POST", "/v3/auth/tokens?nocatalog=true", strings.NewReader(tokenBody)))
		require.Equal(t, 201, issued.status, issued.text)
		assert.Contains(t, issued.text, `"issued_at":"2000-01-01T00:00:00.000000Z","expires_at":"2000-01-02T00:00:00.000000Z"`)
		assert.Contains(t, issued.text, `"project":{"id":"`+project+`","name":"eu-emulated-1"`)
		token := issued.header.Get("X-Subject-Token")
		assert.NotContains(t, issued.text, token)
		assert.Equal(t, 200, c.askWith(token, path).status)
		time.Sleep(24*time.Hour - 1)
		assert.Equal(t, 200, c.askWith(token, path).status, "tokens live by the wall clock, whatever the speed")
		time.Sleep(1)
		assert.Equal(t, "APIGW.0307", c.askWith(token, path).code())

		second := c.do(httptest.NewRequest("POST", "/v3/auth/tokens", strings.NewReader(tokenBody))).header.Get("X-Subject-Token")
		assert.NotEqual(t, token, second)
		c.RevokeTokens()
		assert.Equal(t, "APIGW.0307", c.askWith(second, path).code())
		assert.Equal(t, 200, c.askWith(emulator.DefaultToken, path).status)
	})
}

// TestAccountByID: a token names the account of its user, and that id stands for the account's name.
func TestAccountByID(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	issue := func(body string) reply {
		return c.do(httptest.NewRequest("POST", "/v3/auth/tokens", strings.NewReader(body)))
	}
	var body struct {
		Token struct {
			User struct {
				Domain struct{ ID, Name string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(issue(tokenBody).text), &body))
	account := body.Token.User.Domain
	byID := strings.Replace(tokenBody, `"name":"`+account.Name+`"`, `"id":"`+account.ID+`"`, 1)
	require.NotEqual(t, tokenBody, byID)
	assert.Equal(t, 201, issue(byID).status)
	assert.Equal(t, 401, issue(strings.Replace(byID, account.ID, "other", 1)).status)
}

func TestTokenIsRefused(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	for change, status := range map[string]int{
		"emulated-password": 401, "operator": 401, "EMULATED-ACCOUNT": 401, "eu-emulated-1": 401, `{"auth"`: 400,
	} {
		r := c.do(httptest.NewRequest("POST", "/v3/auth/tokens", strings.NewReader(strings.Replace(tokenBody, change, "other", 1))))
		assert.Equal(t, status, r.status, change)
		assert.Contains(t, r.text, `"title":`)
		assert.Empty(t, r.header.Get("X-Subject-Token"))
	}
}

func TestProjects(t *testing.T) {
	c := newCloud(t, emulator.Options{})
	assert.Contains(t, c.ask("GET", "/v3/projects?name=eu-emulated-1", "").text, `"id":"`+project+`"`)
	assert.JSONEq(t, `{"projects":[]}`, c.ask("GET", "/v3/projects?name=other", "").text)
	assert.Equal(t, 401, c.askWith("", "/v3/projects").status)

	var domains struct {
		Domains []struct{ ID, Name string } `json:"domains"`
	}
	require.NoError(t, json.Unmarshal([]byte(c.ask("GET", "/v3/auth/domains", "").text), &domains))
	require.Len(t, domains.Domains, 1)
	assert.Equal(t, emulator.DefaultDomainName, domains.Domains[0].Name)
	assert.Contains(t, c.ask("GET", "/v3/projects", "").text, `"domain_id":"`+domains.Domains[0].ID+`"`)
	assert.Equal(t, 401, c.askWith("", "/v3/auth/domains").status)
}

func TestAdminSurface(t *testing.T) {
	c := newCloud(t, stopped())
	assert.Contains(t, c.ask("GET", "/_emulator/health", "").text, `"servers":1`)

	put := c.ask("PUT", "/_emulator/faults", `{"faults": [{"op": "changeos", "kind": "lag", "delay": "90s"}, {"op": "servers", "kind": "server_error"}]}`)
	require.Equal(t, 200, put.status, put.text)
	assert.Equal(t, 500, c.ask("GET", "/v1/{project}/cloudservers/detail", "").status)
	assert.JSONEq(t, `{"faults":[{"fault":{"op":"changeos","kind":"lag","delay":"1m30s"},"matched":0,"struck":0},
		{"fault":{"op":"servers","kind":"server_error"},"matched":1,"struck":1}]}`, c.ask("GET", "/_emulator/faults", "").text)
	bad := c.ask("PUT", "/_emulator/faults", `{"faults": [{"op": "stop", "knd": "x"}]}`)
	assert.Equal(t, 400, bad.status)
	assert.Contains(t, bad.text, "knd")
	assert.Contains(t, c.ask("GET", "/_emulator/faults", "").text, "lag", "a bad PUT changes nothing")
	assert.JSONEq(t, `{"faults":[]}`, c.ask("DELETE", "/_emulator/faults", "").text)

	c.changeOS(c.only(), c.target(), "").jobID(t)
	var ledger emulator.Ledger
	require.NoError(t, json.Unmarshal([]byte(c.ask("GET", "/_emulator/ledger", "").text), &ledger))
	assert.Equal(t, c.Ledger(), ledger)
	assert.Equal(t, 1, ledger.Servers[c.only()].ChangeOSAccepted)
	assert.Len(t, ledger.Requests, 2, "the admin surface does not count")

	assert.Contains(t, c.ask("GET", "/_emulator/servers", "").text, `"task_state":"rebuilding"`)
	assert.Equal(t, 404, c.ask("GET", "/_emulator/secrets", "").status)
	assert.Equal(t, 404, c.ask("POST", "/_emulator/ledger", "").status)
}
