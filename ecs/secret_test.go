package ecs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/reimage/reimage/ecs"
)

const hidden = "Sup3rSecret!"

type holder struct {
	Open   ecs.Secret
	closed ecs.Secret
}

func TestSecretRevealsOnlyOnRequest(t *testing.T) {
	assert.Equal(t, hidden, ecs.NewSecret(hidden).Reveal())
	assert.False(t, ecs.NewSecret(hidden).Empty())
	assert.Empty(t, ecs.Secret{}.Reveal())
	assert.True(t, ecs.Secret{}.Empty())
	assert.True(t, ecs.NewSecret("").Empty())
}

func TestSecretDoesNotPrint(t *testing.T) {
	secret := ecs.NewSecret(hidden)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		assert.Equal(t, "[redacted]", fmt.Sprintf(verb, secret), verb)
		for _, value := range []any{
			&secret,
			holder{Open: secret, closed: secret},
			&holder{Open: secret, closed: secret},
			[]ecs.Secret{secret},
			map[string]holder{"a": {closed: secret}},
			ecs.ChangeOSRequest{AdminPass: secret, UserData: secret},
			ecs.AccessKey{ID: "id", Secret: secret, SecurityToken: secret},
			ecs.Token{Value: secret},
		} {
			assertHidden(t, fmt.Sprintf(verb, value))
		}
	}
}

func TestSecretDoesNotMarshal(t *testing.T) {
	secret := ecs.NewSecret(hidden)
	out, err := json.Marshal(holder{Open: secret, closed: secret})
	require.NoError(t, err)
	assert.JSONEq(t, `{"Open":"[redacted]"}`, string(out))

	out, err = yaml.Marshal(holder{Open: secret, closed: secret})
	require.NoError(t, err)
	assertHidden(t, string(out))
	assert.Contains(t, string(out), "[redacted]")

	var log bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))} {
		logger.Info("x", "secret", secret, "held", holder{Open: secret, closed: secret}, "key", ecs.AccessKey{Secret: secret})
	}
	assertHidden(t, log.String())
	assert.Contains(t, log.String(), "[redacted]")
}

func assertHidden(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, hidden)
	assert.NotContains(t, text, fmt.Sprintf("%x", hidden))
	assert.NotContains(t, text, fmt.Sprintf("%X", hidden))
}
