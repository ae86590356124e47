package emulator_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/emulator"
)

// keys asks the metadata service for the keys of the agency.
func (c cloud) keys(t *testing.T) ecs.AccessKey {
	t.Helper()
	session := c.do(httptest.NewRequest("PUT", "/meta-data/latest/api/token", nil))
	require.Equal(t, 200, session.status, session.text)
	r := httptest.NewRequest("GET", "/openstack/latest/securitykey", nil)
	r.Header.Set("X-Metadata-Token", session.text)
	shown := c.do(r)
	require.Equal(t, 200, shown.status, shown.text)
	var body struct {
		Credential struct{ Access, Secret, SecurityToken string }
	}
	require.NoError(t, json.Unmarshal([]byte(shown.text), &body))
	given := body.Credential
	return ecs.AccessKey{ID: given.Access, Secret: ecs.NewSecret(given.Secret), SecurityToken: ecs.NewSecret(given.SecurityToken)}
}

// signed asks for the images with a key.
func (c cloud) signed(t *testing.T, key ecs.AccessKey) reply {
	t.Helper()
	r := httptest.NewRequest("GET", "/v2/cloudimages", nil)
	require.NoError(t, key.Authorize(r, nil, time.Now()))
	return c.do(r)
}

// TestAgencyKeys are accepted with their security token and until their end, and shown until a quarter is left.
func TestAgencyKeys(t *testing.T) {
	atTime(t, emulator.Options{TokenLifetime: time.Hour}, func(t *testing.T, c cloud) {
		assert.Equal(t, 401, c.askWith("", "/openstack/latest/securitykey").status, "without a session")
		first := c.keys(t)
		assert.Equal(t, 200, c.signed(t, first).status)
		for what, wrong := range map[string]ecs.AccessKey{
			"verify security token fail": {ID: first.ID, Secret: first.Secret},
			"verify aksk signature fail": {ID: first.ID, Secret: ecs.NewSecret("another"), SecurityToken: first.SecurityToken},
			"ak SOMEBODY-ELSE not exist": {ID: "SOMEBODY-ELSE", Secret: first.Secret, SecurityToken: first.SecurityToken},
		} {
			refused := c.signed(t, wrong)
			assert.Equal(t, 401, refused.status, what)
			assert.Contains(t, refused.text, what)
		}

		time.Sleep(45*time.Minute - 1)
		assert.Equal(t, first.ID, c.keys(t).ID)
		time.Sleep(1)
		second := c.keys(t)
		assert.NotEqual(t, first.ID, second.ID)
		assert.Equal(t, 200, c.signed(t, first).status, "both are valid for a while")
		time.Sleep(15 * time.Minute)
		assert.Contains(t, c.signed(t, first).text, "security token has expired")
		assert.Equal(t, 200, c.signed(t, second).status)
		c.RevokeTokens()
		assert.Equal(t, 401, c.signed(t, second).status)
		assert.Equal(t, 200, c.signed(t, c.keys(t)).status)
	})
}
