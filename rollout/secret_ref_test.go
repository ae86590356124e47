package rollout_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

func TestSecretRefIsSplit(t *testing.T) {
	for ref, want := range map[rollout.SecretRef][2]string{
		"":                                 {"", ""},
		"env:REIMAGE_SECRET_ROOT_PASSWORD": {"env", "REIMAGE_SECRET_ROOT_PASSWORD"},
		"file:web/user-data.yaml":          {"file", "web/user-data.yaml"},
		"file:C:/odd":                      {"file", "C:/odd"},
		"env":                              {"env", ""},
	} {
		kind, name := ref.Split()
		assert.Equal(t, want, [2]string{kind, name}, "%q", ref)
		if ref != "" && name != "" {
			assert.NoError(t, ref.Validate(), "%q", ref)
		}
	}
}

// TestOtherVariablesAreNoSecrets: the worker hands out none of them, and nobody has to ask it to know. The name may be a
// secret that somebody typed in its place.
func TestOtherVariablesAreNoSecrets(t *testing.T) {
	for _, name := range []string{"PATH", "hunter2", "HUAWEICLOUD_SDK_SK", "REIMAGE_SECRETS_DIR", " REIMAGE_SECRET_X"} {
		assert.EqualError(t, rollout.SecretRef("env:"+name).Validate(),
			"only variables of the worker that begin with REIMAGE_SECRET_ are handed out: use env:REIMAGE_SECRET_NAME, and give the worker that variable")
	}
}

func TestNoSecretRefIsValid(t *testing.T) {
	assert.NoError(t, rollout.SecretRef("").Validate())
}

// TestSecretInPlaceOfItsReferenceIsNotRepeated: errors end in histories, logs and terminals.
func TestSecretInPlaceOfItsReferenceIsNotRepeated(t *testing.T) {
	for _, ref := range []rollout.SecretRef{
		"hunter2", "hunter2:env", "hunter2:hunter2", "env", "file", "env:", "file:", ":hunter2", " env:hunter2", "ENV:hunter2", "vault:hunter2",
	} {
		err := ref.Validate()
		require.Error(t, err, "%q", ref)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.ErrorContains(t, err, "env:REIMAGE_SECRET_NAME or file:PATH", "it says what would be right")
	}
}
