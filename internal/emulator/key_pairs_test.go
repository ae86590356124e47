package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/emulator"
)

// TestKeyPairs: the compute API shows those of the user, the key pair service also others; a change takes what its user may use.
func TestKeyPairs(t *testing.T) {
	const other = "7e25b1da389f4697a79df3a0e5bd494e"
	options := stopped()
	options.KeyPairs = []emulator.KeyPair{{Name: "own"}, {Name: "theirs", UserID: other}, {Name: "common", OfAccount: true}, {Name: "iced", OfAccount: true, Frozen: true}}
	c := newCloud(t, options)
	nova, kps := "/v2.1/"+emulator.DefaultProjectID+"/os-keypairs", "/v3/"+emulator.DefaultProjectID+"/keypairs/"

	assert.Equal(t, 401, c.askWith("none", nova).status, "refused without credentials")
	assert.Equal(t, 401, c.askWith("none", kps+"own").status)
	assert.Equal(t, "Ecs.0023", c.ask("GET", "/v2.1/6af1c92eaf7e471fb35c82eecd4b7b5d/os-keypairs", "").code())
	list := c.ask("GET", nova, "").text
	assert.Contains(t, list, `"name":"own"`)
	assert.NotContains(t, list, "theirs")
	assert.NotContains(t, list, "common")
	for name, status := range map[string]int{"own": 200, "theirs": 404, "common": 404, "none": 404} {
		r := c.ask("GET", nova+"/"+name, "")
		assert.Equal(t, status, r.status, name)
		if status == 404 {
			assert.Contains(t, r.text, `{"itemNotFound":{"message":"Keypair `+name+` not found for user `)
		}
	}
	for name, says := range map[string]string{
		"own": `"scope":"user"`, "theirs": `"user_id":"` + other + `"`, "common": `"scope":"domain"`, "iced": `"frozen_state":1`, "none": `"error_code":"KPS.0404"`,
	} {
		assert.Contains(t, c.ask("GET", kps+name, "").text, says)
	}
	for _, test := range []struct {
		more string
		code string
	}{
		{`,"keyname":"theirs"`, "Ecs.0314"}, {`,"keyname":"own","userid":"` + other + `"`, "Ecs.0314"}, {`,"keyname":"iced"`, "Ecs.0314"},
		{`,"keyname":"theirs","userid":"` + other + `"`, ""},
	} {
		assert.Equal(t, test.code, c.changeOS(c.only(), c.target(), test.more).code(), test.more)
	}
}
