package ecs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func readImage(t *testing.T, body string) (ecs.Image, error) {
	t.Helper()
	cloud := newCloud(t, answering(200, body))
	return clientOf(t, cloud).Image(context.Background(), imageID)
}

func TestImage(t *testing.T) {
	for body, want := range map[string]ecs.Image{
		`{"images":[{"id":"` + imageID + `","name":"base-2026-02","status":"active","min_disk":40,"min_ram":1024,"max_ram":"0",
		  "virtual_env_type":"FusionCompute","__os_type":"Linux","__imagetype":"private","hw_firmware_type":"uefi",
		  "__support_arm":"true","__system__encrypted":"1","protected":false,"size":2147483648}]}`: {
			ID: imageID, Name: "base-2026-02", Status: "active", MinDiskGB: 40, MinRAMMB: 1024, VirtualEnvType: "FusionCompute",
			OSType: "Linux", Type: "private", Firmware: "uefi", ARM: true, Encrypted: true,
		},
		`{"images":[{"id":"` + imageID + `","status":"brandnew","min_disk":"40","__support_arm":true,"__platform":"Martian"}]}`: {
			ID: imageID, Status: "brandnew", MinDiskGB: 40, ARM: true,
		},
		`{"images":[{"id":"a","status":"active"},7,{"id":"` + imageID + `"}]}`: {ID: imageID},
	} {
		got, err := readImage(t, body)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestMissingImage(t *testing.T) {
	for _, body := range []string{`{"images":[]}`, `{"images":null}`} {
		_, err := readImage(t, body)
		assertClass(t, ecs.ClassNotFound, err)
		assert.ErrorContains(t, err, "read image "+imageID)
	}
	for _, body := range []string{`{}`, `[]`, ``, `{"images":"x"}`, `{"images":{}}`, `{"images":[{"id":"a"}]}`} {
		_, err := readImage(t, body)
		assertClass(t, ecs.ClassUnclear, err)
	}
}
