package ecs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func TestNewReportsEveryProblemAtOnce(t *testing.T) {
	_, err := ecs.New(ecs.Config{
		ProjectID:      "../x",
		ECS:            "https://user:" + hidden + "@ecs.example",
		Credentials:    ecs.AccessKey{Secret: ecs.NewSecret(hidden + "\n")},
		RequestTimeout: -time.Second,
		UserAgent:      "a\r\nb: c",
	})
	require.Error(t, err)
	for _, part := range []string{"project id", "ECS", "IMS", "access key id is empty", "secret access key contains", "timeout", "user agent"} {
		assert.ErrorContains(t, err, part)
	}
	assert.NotContains(t, err.Error(), hidden)
}

func TestNewRefusesBaseURLs(t *testing.T) {
	for _, base := range []string{"", "ecs.example", "ftp://ecs.example", "https://", "https://:443", "https://e/?a=b", "https://e/#f", "https://u@e", "https://e:%zz/", "https://u:" + hidden + "@e%"} {
		c := config("https://ims.example")
		c.ECS = base
		_, err := ecs.New(c)
		require.ErrorContains(t, err, "base URL of ECS", base)
		assert.NotContains(t, err.Error(), hidden)
	}
}

func TestNewRefusesCredentials(t *testing.T) {
	for name, credentials := range map[string]ecs.Credentials{
		"nothing":              nil,
		"an empty token":       ecs.Token{},
		"a line break":         ecs.Token{Value: ecs.NewSecret("token\n")},
		"no secret key":        ecs.AccessKey{ID: "id"},
		"a bad security token": ecs.AccessKey{ID: "id", Secret: ecs.NewSecret("sk"), SecurityToken: ecs.NewSecret("a b")},
	} {
		c := config("https://e")
		c.Credentials = credentials
		_, err := ecs.New(c)
		assert.Error(t, err, name)
	}
}

func TestNewDefaults(t *testing.T) {
	client := newClient(t, config("https://e"))
	assert.Equal(t, 30*time.Second, client.RequestTimeout())
	assert.Equal(t, projectID, client.ProjectID())
}
