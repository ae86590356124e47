package ecs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

const keyOwner = "7e25b1da389f4697a79df3a0e5bd494e"

// TestKeyPairs reads the shapes of the compute API and of the key pair service.
func TestKeyPairs(t *testing.T) {
	ctx := context.Background()
	cloud := newCloud(t, answering(200, `{"keypair":{"name":"fleet-key ü","fingerprint":"9d:01","user_id":"`+keyOwner+`","deleted":false,"type":"ssh"}}`))
	c := config(cloud.URL)
	pair, err := newClient(t, c).KeyPair(ctx, "fleet-key ü")
	require.NoError(t, err)
	assert.Equal(t, ecs.KeyPair{Name: "fleet-key ü", UserID: keyOwner}, pair)
	assert.Equal(t, "/v2.1/"+c.ProjectID+"/os-keypairs/fleet-key%20%C3%BC", cloud.seen()[0].target)

	kps := newCloud(t, answering(200, `{"keypair":{"name":"ops","scope":"domain","user_id":"`+keyOwner+`","frozen_state":1,"deleted":"false"}}`))
	c.KPS = kps.URL + "/kps"
	pair, err = newClient(t, c).AccountKeyPair(ctx, "ops")
	require.NoError(t, err)
	assert.Equal(t, ecs.KeyPair{Name: "ops", UserID: keyOwner, OfAccount: true, Frozen: true}, pair)
	assert.Equal(t, "/kps/v3/"+c.ProjectID+"/keypairs/ops", kps.seen()[0].target)

	list := newCloud(t, answering(200, `{"keypairs":[{"keypair":{"name":"a"}},{"keypair":{"name":"b"}}]}`))
	c.ECS = list.URL
	names, err := newClient(t, c).KeyPairNames(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, names)
}

// TestKeyPairsThatAreNotTold: what is no answer about the key pair is none, and an address that does not exist is no key pair
// that does not exist.
func TestKeyPairsThatAreNotTold(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		class  ecs.Class
	}{
		"unknown":               {404, `{"itemNotFound":{"message":"Keypair ops not found for user u","code":404}}`, ecs.ClassNotFound},
		"of the service":        {404, `{"error_code":"KPS.0404","error_msg":"no such key pair"}`, ecs.ClassNotFound},
		"deleted":               {200, `{"keypair":{"name":"ops","deleted":true}}`, ecs.ClassNotFound},
		"another one":           {200, `{"keypair":{"name":"other"}}`, ecs.ClassUnclear},
		"none":                  {200, `{}`, ecs.ClassUnclear},
		"no such API":           {404, `{"error_code":"APIGW.0101","error_msg":"no API"}`, ecs.ClassPermanent},
		"a page":                {404, `<html><title>nope</title>`, ecs.ClassUnclear},
		"not permitted":         {403, `{"forbidden":{"message":"Policy doesn't allow it","code":403}}`, ecs.ClassPermanent},
		"the gateway's trouble": {502, ``, ecs.ClassTransient},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud(t, answering(test.status, test.body))
			c := config(cloud.URL)
			c.KPS = cloud.URL
			client := newClient(t, c)
			_, own := client.KeyPair(context.Background(), "ops")
			_, account := client.AccountKeyPair(context.Background(), "ops")
			for _, err := range []error{own, account} {
				var failed *ecs.Error
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, test.class, failed.Class())
			}
		})
	}
}

// TestKeyPairsThatAreNotAskedFor: no name becomes another path, and no service is asked that was not named.
func TestKeyPairsThatAreNotAskedFor(t *testing.T) {
	cloud := newCloud(t, answering(200, `{}`))
	c := config(cloud.URL)
	_, err := newClient(t, c).AccountKeyPair(context.Background(), "ops")
	require.ErrorIs(t, err, ecs.ErrNoKPS)
	c.KPS = cloud.URL
	client := newClient(t, c)
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "../servers", "line\nbreak"} {
		_, err := client.KeyPair(context.Background(), name)
		var failed *ecs.Error
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, ecs.ClassInvalid, failed.Class())
		_, err = client.AccountKeyPair(context.Background(), name)
		require.Error(t, err)
	}
	assert.Empty(t, cloud.seen())
	c.KPS = "kms.example"
	_, err = ecs.New(c)
	assert.EqualError(t, err, "the base URL of KPS must be like https://host/path")
}
