package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/tests/harness"
)

const (
	goodImage    = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d2"
	queuedImage  = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d3"
	largeImage   = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d4"
	uefiImage    = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d5"
	presentImage = "7d3c9f60-3f0b-4a57-8a1d-0f4be2f1c9d6"
	unknownID    = "00000000-1111-4222-8333-444455556666"
)

// refusalLab has one server for every reason against a change.
func refusalLab(t *testing.T) *harness.Lab {
	return machine.NewLab(t, emulator.Options{
		Images: []emulator.Image{
			{ID: goodImage, Name: "good", MinDiskGB: 40}, {ID: presentImage, Name: "present", MinDiskGB: 40},
			{ID: queuedImage, Name: "queued", Status: "queued", MinDiskGB: 40}, {ID: largeImage, Name: "large", MinDiskGB: 1000},
			{ID: uefiImage, Name: "uefi", Firmware: "uefi", MinDiskGB: 40},
		},
		Fleet: []emulator.Server{
			{Name: "fine", ImageID: presentImage, SystemDiskGB: 40},
			{Name: "locked", ImageID: presentImage, SystemDiskGB: 40, Locked: true, LockSource: "ORDER"},
			{Name: "spot", ImageID: presentImage, SystemDiskGB: 40, ChargingMode: "2"},
			{Name: "frozen", ImageID: presentImage, SystemDiskGB: 40, Frozen: true},
			{Name: "diskless", ImageID: presentImage, SystemDiskGB: 40},
		},
	})
}

// TestRefusals gives every kind of bad input: one clear sentence, the right exit code, nothing touched.
func TestRefusals(t *testing.T) {
	t.Parallel()
	lab := refusalLab(t)
	lab.StartWorker(map[string]string{"REIMAGE_SECRET_WEAK": "weak", "REIMAGE_SECRET_STRONG": "Xk7-planted-Pw"})
	lab.Secret("large", strings.Repeat("x", 33<<10))
	lab.Secret("blank", "\n")
	lab.Secret("binary", "\x00binary")
	lab.Secret("half", "\x1f\x8b\x00half")
	ids := map[string]string{}
	for _, server := range lab.Cloud.Servers() {
		ids[server.Name] = server.ID
	}
	require.NoError(t, lab.Cloud.Update(ids["diskless"], func(s *emulator.Server) { s.SystemVolumeID = "" }))

	tests := []struct {
		name, server, image string
		flags               []string
		says                []string
	}{
		{"unknown server", unknownID, goodImage, nil, []string{unknownID, "does not exist"}},
		{"unknown image", ids["fine"], unknownID, nil, []string{unknownID, "does not exist"}},
		{"locked", ids["locked"], goodImage, nil, []string{"locked (", "is locked by ORDER", "unlock it first"}},
		{"spot", ids["spot"], goodImage, nil, []string{"spot server"}},
		{"frozen", ids["frozen"], goodImage, nil, []string{"is frozen"}},
		{"no system disk", ids["diskless"], goodImage, nil, []string{"no system disk"}},
		{"image not active", ids["fine"], queuedImage, nil, []string{"status queued", "must be active"}},
		{"image too large", ids["fine"], largeImage, nil, []string{"1000 GB", "40 GB"}},
		{"other firmware", ids["fine"], uefiImage, nil, []string{"bios firmware", "uefi"}},
		{"every reason at once", ids["locked"], largeImage, nil, []string{"is locked", "1000 GB"}},
		{"both logins", ids["fine"], goodImage, []string{"--key-pair", "k", "--password-from", "env:REIMAGE_SECRET_STRONG"}, []string{"exclude each other"}},
		{"a secret in place of a reference", ids["fine"], goodImage, []string{"--password-from", "Xk7-planted-Pw"}, []string{"env:REIMAGE_SECRET_NAME or file:PATH"}},
		{"weak password", ids["fine"], goodImage, []string{"--password-from", "env:REIMAGE_SECRET_WEAK"}, []string{"password from env:REIMAGE_SECRET_WEAK: it must have 8 to 26"}},
		{"missing variable", ids["fine"], goodImage, []string{"--password-from", "env:REIMAGE_SECRET_ABSENT"}, []string{"env:REIMAGE_SECRET_ABSENT", "does not hold it"}},
		{"the worker's own key", ids["fine"], goodImage, []string{"--user-data-from", "env:HUAWEICLOUD_SDK_SK"}, []string{"only variables of the worker that begin with REIMAGE_SECRET_ are handed out"}},
		{"a password file that is blank", ids["fine"], goodImage, []string{"--password-from", "file:blank"}, []string{"file:blank", "it is empty on the worker"}},
		{"outside the folder", ids["fine"], goodImage, []string{"--user-data-from", "file:/etc/passwd"}, []string{"outside"}},
		{"user data too large", ids["fine"], goodImage, []string{"--user-data-from", "file:large"}, []string{"has 33792 bytes and at most 32768", "gzip is accepted"}},
		{"user data not text", ids["fine"], goodImage, []string{"--user-data-from", "file:binary"}, []string{"text"}},
		{"user data that does not unpack", ids["fine"], goodImage, []string{"--user-data-from", "file:half"}, []string{"gzip that does not unpack"}},
		{"user data with v1", ids["fine"], goodImage, []string{"--api", "v1", "--user-data-from", "file:large"}, []string{"v2"}},
		{"malformed ids", "web-07", "ubuntu", nil, []string{`server id "web-07" is not a UUID`, `image id "ubuntu" is not a UUID`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"server", test.server, "--image", test.image, "--yes", "--task-queue", lab.Queue}, test.flags...)
			ran := machine.CLI(t, args...)
			assert.Equal(t, 1, ran.Code)
			for _, says := range test.says {
				assert.Contains(t, ran.ErrOut, says)
			}
			if test.name != "a secret in place of a reference" {
				assert.NotContains(t, ran.ErrOut, "Xk7-planted-Pw")
			}
		})
	}
	for id, server := range lab.Cloud.Ledger().Servers {
		assert.Empty(t, server.Writes, "%s (%s) was touched", server.Name, id)
	}
}

// TestNobodyThere covers what is missing around the server: Temporal, a worker, credentials.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	lab := refusalLab(t)
	args := []string{"server", unknownID, "--image", goodImage, "--yes", "--task-queue", lab.Queue}

	t.Run("no Temporal", func(t *testing.T) {
		ran := machine.Command(t, args...).Env("TEMPORAL_ADDRESS", "127.0.0.1:1").Run("")
		assert.Equal(t, 1, ran.Code)
		assert.Contains(t, ran.ErrOut, "Temporal at 127.0.0.1:1")
		assert.Contains(t, ran.ErrOut, "TEMPORAL_ADDRESS")
	})
	t.Run("no worker", func(t *testing.T) {
		ran := machine.CLI(t, args...)
		assert.Equal(t, 1, ran.Code)
		assert.Contains(t, ran.ErrOut, "no worker serves task queue "+lab.Queue)
	})
	t.Run("wrong keys", func(t *testing.T) {
		lab.StartWorker(map[string]string{"HUAWEICLOUD_SDK_SK": "not-the-secret-key-of-anybody-at-all"})
		ran := machine.CLI(t, args...)
		assert.Equal(t, 1, ran.Code)
		assert.Contains(t, ran.ErrOut, "401")
		assert.Contains(t, ran.ErrOut, "nothing was touched")
		assert.NotContains(t, ran.ErrOut, "not-the-secret-key")
	})
}

// TestSkewedClocks: signatures carry a date, so a worker whose clock is off is refused by the cloud.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	for says, ahead := range map[string]time.Duration{"behind": 20 * time.Minute, "ahead of": -20 * time.Minute} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			lab := machine.NewLab(t, emulator.Options{Skew: ahead})
			lab.StartWorker(nil)
			server := lab.Server("ACTIVE")
			ran := machine.CLI(t, "server", server.ID, "--image", lab.OtherImage(server).ID, "--yes", "--task-queue", lab.Queue)
			assert.Equal(t, 1, ran.Code)
			assert.Equal(t, 1, strings.Count(ran.ErrOut, "\n"), "one sentence")
			assert.Contains(t, ran.ErrOut, server.ID+" could not be looked at, nothing was touched")
			assert.Regexp(t, `the clock of the machine that sent this is (19|20)m[0-9]+s `+says+` the cloud's: set it right there`, ran.ErrOut)
			assert.Empty(t, lab.Cloud.Ledger().Servers[server.ID].Writes)
		})
	}
}
