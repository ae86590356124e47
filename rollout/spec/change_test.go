package spec_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/rollout"
)

const noble = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"

func TestChange(t *testing.T) {
	assert.Equal(t, rollout.Change{ImageID: noble, API: rollout.APIv2}, parse(t, minimal).Spec.Change(noble))
	assert.Equal(t, rollout.Change{
		ImageID: noble, API: rollout.APIv2, Power: rollout.PowerAsBefore, Deadline: time.Hour,
	}, parse(t, minimal).WithDefaults().Spec.Change(noble), "auto is v2")
	assert.Equal(t, rollout.APIv1, parse(t, minimal+"  api: v1\n").Spec.Change(noble).API)

	full := parse(t, minimal+`  login: {keyPair: fleet-key, keyOwner: somebody}
  userDataFrom: file:web.yaml
  disk: {encryptWith: a-key}
  byol: true
  autoPay: false
  servers: {alreadyThere: change}
  stop: {allowHard: true, platform: true}
  power: off
  serverDeadline: 90m
`).Spec.Change(noble)
	assert.Equal(t, rollout.Change{
		ImageID: noble, API: rollout.APIv2,
		Login:        rollout.Login{KeyPair: "fleet-key", UserID: "somebody"},
		UserDataFrom: "file:web.yaml",
		BYOL:         true, Encrypted: new(true), EncryptionKeyID: "a-key", AutoPay: new(false),
		WithStopServer: true, AllowHardStop: true, Power: rollout.PowerOff, EvenIfSameImage: true, Deadline: 90 * time.Minute,
	}, full)
	assert.Equal(t, rollout.SecretRef("env:REIMAGE_SECRET_ROOT_PASSWORD"),
		parse(t, minimal+"  login: {passwordFrom: env:REIMAGE_SECRET_ROOT_PASSWORD}\n").Spec.Change(noble).Login.PasswordFrom)
}
