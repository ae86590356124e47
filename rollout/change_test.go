package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
)

const (
	oldImage   = "0a7c1e52-58c4-4a2b-9d0e-3f6b7c8d9e0f"
	newImage   = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	otherImage = "99999999-0000-4000-8000-000000000000"
	oldDisk    = "11111111-2222-4333-8444-555555555555"
	newDisk    = "66666666-7777-4888-9999-aaaaaaaaaaaa"
	kmsKey     = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
)

func TestValidChanges(t *testing.T) {
	for name, change := range map[string]rollout.Change{
		"an image and nothing else": {},
		"v1":                        {API: rollout.APIv1},
		"v2":                        {API: rollout.APIv2},
		"key pair":                  {Login: rollout.Login{KeyPair: "fleet-key"}},
		"key pair of somebody":      {Login: rollout.Login{KeyPair: "fleet-key", UserID: "9c0b6a54c1e34c0e8f0e1f27a0b5d3aa"}},
		"key pair and user data":    {Login: rollout.Login{KeyPair: "fleet-key"}, UserDataFrom: "file:cloud-init.yaml"},
		"password":                  {Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}},
		"password with v1":          {API: rollout.APIv1, Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_ROOT_PASSWORD"}},
		"user data":                 {API: rollout.APIv2, UserDataFrom: "file:cloud-init.yaml"},
		"encrypted":                 {Encrypted: new(true), EncryptionKeyID: kmsKey},
		"not encrypted":             {Encrypted: new(false)},
		"power as before":           {Power: rollout.PowerAsBefore},
		"power on":                  {Power: rollout.PowerOn},
		"power off":                 {Power: rollout.PowerOff},
		"the longest deadline":      {Deadline: 24 * time.Hour},
		"every switch":              {BYOL: true, AutoPay: new(true), WithStopServer: true, AllowHardStop: true, EvenIfSameImage: true},
	} {
		t.Run(name, func(t *testing.T) {
			change.ImageID = newImage
			assert.NoError(t, change.Validate())
		})
	}
}

// wrongs are all the ways in which a change can be wrong, with the words that tell.
func wrongs() map[string]rollout.Change {
	return map[string]rollout.Change{
		`image id "" is not a UUID`:                                             {},
		`image id "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d" is not a UUID`:          {ImageID: "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d"},
		`API version "v3" is neither v1 nor v2`:                                 {ImageID: newImage, API: "v3"},
		"user data needs API v2":                                                {ImageID: newImage, API: rollout.APIv1, UserDataFrom: "file:x"},
		"a key pair and a password exclude each other":                          {ImageID: newImage, Login: rollout.Login{KeyPair: "k", PasswordFrom: "env:REIMAGE_SECRET_P"}},
		"is accepted by the cloud but not applied":                              {ImageID: newImage, Login: rollout.Login{PasswordFrom: "env:REIMAGE_SECRET_P"}, UserDataFrom: "file:x"},
		"a key pair owner is given without a key pair":                          {ImageID: newImage, Login: rollout.Login{UserID: "me"}},
		"password: the reference must be env:REIMAGE_SECRET_NAME or file:PATH":  {ImageID: newImage, Login: rollout.Login{PasswordFrom: "hunter2"}},
		"a digest of user data is given without user data":                      {ImageID: newImage, UserDataDigest: "1f0e"},
		"user data: the reference must be env:REIMAGE_SECRET_NAME or file:PATH": {ImageID: newImage, UserDataFrom: "#!/bin/sh echo hunter2"},
		"its KMS key go together: give both or neither":                         {ImageID: newImage, Encrypted: new(true)},
		"disk and its KMS key go together":                                      {ImageID: newImage, EncryptionKeyID: kmsKey},
		"an encrypted system disk and its KMS key go together":                  {ImageID: newImage, Encrypted: new(false), EncryptionKeyID: kmsKey},
		`power "sideways" is none of as-before, on, off`:                        {ImageID: newImage, Power: "sideways"},
		"deadline -1ns is not between 0 and 24h":                                {ImageID: newImage, Deadline: -1},
		"deadline 24h0m0.000000001s is not between 0 and 24h: the cloud":        {ImageID: newImage, Deadline: 24*time.Hour + 1},
	}
}

func TestEveryWrongIsNamedAlone(t *testing.T) {
	for says, change := range wrongs() {
		t.Run(says, func(t *testing.T) {
			err := change.Validate()
			require.ErrorContains(t, err, says)
			assert.NotContains(t, err.Error(), "\n", "nothing else is wrong")
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// TestAllWrongsAreNamedAtOnce, each on a line of its own: nobody wants to find them one by one.
func TestAllWrongsAreNamedAtOnce(t *testing.T) {
	err := rollout.Change{
		ImageID: "ubuntu", API: rollout.APIv1, UserDataFrom: "hunter2",
		Login:     rollout.Login{KeyPair: "k", PasswordFrom: "hunter3"},
		Encrypted: new(true), Power: "sideways", Deadline: -time.Second,
	}.Validate()
	require.Error(t, err)
	var said []string
	for line := range strings.Lines(err.Error()) {
		said = append(said, strings.TrimSpace(line))
	}
	require.Len(t, said, 9)
	for i, says := range []string{
		`image id "ubuntu"`, "user data needs API v2", "exclude each other", "not applied",
		"password: the reference", "user data: the reference", "KMS key", `power "sideways"`, "deadline -1s",
	} {
		assert.Contains(t, said[i], says)
	}
	assert.NotContains(t, err.Error(), "hunter")
}

func TestDeadlineInForce(t *testing.T) {
	assert.Equal(t, time.Hour, rollout.Change{}.WaitDeadline())
	assert.Equal(t, time.Minute, rollout.Change{Deadline: time.Minute}.WaitDeadline())
}

// TestEmptyChangeTravelsLight: what nobody asked for is not in the history.
func TestEmptyChangeTravelsLight(t *testing.T) {
	text, err := json.Marshal(rollout.Change{ImageID: newImage})
	require.NoError(t, err)
	assert.JSONEq(t, `{"image_id":"`+newImage+`"}`, string(text))
}

// TestChangeSurvivesTheTrip through a history with "no" and "not said" kept apart.
func TestChangeSurvivesTheTrip(t *testing.T) {
	for _, said := range []*bool{nil, new(true), new(false)} {
		change := rollout.Change{
			ImageID: newImage, API: rollout.APIv1, Login: rollout.Login{KeyPair: "k", UserID: "u"}, UserDataFrom: "file:x",
			BYOL: true, Encrypted: said, EncryptionKeyID: kmsKey, AutoPay: said, WithStopServer: true, AllowHardStop: true,
			Power: rollout.PowerOff, EvenIfSameImage: true, Deadline: 90 * time.Second,
		}
		text, err := json.Marshal(change)
		require.NoError(t, err)
		var arrived rollout.Change
		require.NoError(t, json.Unmarshal(text, &arrived))
		assert.Equal(t, change, arrived)
	}
}

func TestIsUUID(t *testing.T) {
	for _, id := range []string{newImage, oldDisk, "00000000-0000-0000-0000-000000000000", "abcdef01-2345-6789-abcd-efabcdef0123"} {
		assert.True(t, rollout.IsUUID(id), id)
	}
	for _, id := range []string{
		"", "7d3c9f60", "7d3c9f603f0b4a578a1d0f4be2f1c9d2",
		oldDisk + " ", " " + oldDisk[1:], oldDisk[:35], oldDisk + "0",
		"{1111111-2222-4333-8444-55555555555}",
		"11111111_2222-4333-8444-555555555555", "11111111-2222_4333-8444-555555555555",
		"11111111-2222-4333_8444-555555555555", "11111111-2222-4333-8444_555555555555",
		"1111111-12222-4333-8444-555555555555",
		"A1111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-55555555555F", // another spelling of a lock
		"g1111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-55555555555G",
		"/1111111-2222-4333-8444-555555555555", ":1111111-2222-4333-8444-555555555555",
		"@1111111-2222-4333-8444-555555555555", "`1111111-2222-4333-8444-555555555555",
		"../../../../../../../../../../../etc", "é111111-2222-4333-8444-555555555555",
	} {
		assert.False(t, rollout.IsUUID(id), id)
	}
	for i := range oldDisk { // no position is left unchecked
		spoilt := oldDisk[:i] + "x" + oldDisk[i+1:]
		assert.False(t, rollout.IsUUID(spoilt), spoilt)
	}
}
