package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/rollout"
)

// TestExitCodes holds the table of the help text: a code never flatters.
func TestExitCodes(t *testing.T) {
	tests := map[rollout.ServerEnd]int{
		rollout.Done: 0, rollout.Skipped: 0, rollout.NotStarted: 1,
		rollout.FailedIntact: 2, rollout.FailedChanged: 2, rollout.FailedLost: 2, rollout.Vanished: 2,
	}
	for end, code := range tests {
		var out bytes.Buffer
		err := outputText.finished(streams{out: &out}, rollout.ServerResult{End: end, ServerID: "id", Name: "web-07", Reason: "because"})
		assert.Equal(t, code, codeOf(err), end)
		assert.Contains(t, out.String(), "web-07 (id): "+string(end)+": because")
	}
}

func codeOf(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exitError](err)
	if !ok {
		return exitUsage
	}
	return exit.code
}

// TestPowerTrouble is a change that worked and a server that was not left as asked.
func TestPowerTrouble(t *testing.T) {
	var out bytes.Buffer
	err := outputText.finished(streams{out: &out}, rollout.ServerResult{End: rollout.Done, Name: "web-07", PowerTrouble: "it does not stop"})
	assert.Equal(t, exitFailed, codeOf(err))
	assert.Contains(t, out.String(), "it does not stop")
}

func TestJSONResultIsOneObject(t *testing.T) {
	var out bytes.Buffer
	want := rollout.ServerResult{End: rollout.FailedLost, ServerID: "id", Reason: "it has no system disk"}
	err := outputJSON.finished(streams{out: &out}, want)
	assert.Equal(t, exitFailed, codeOf(err))
	var got rollout.ServerResult
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	assert.Equal(t, want, got)
}

// TestHostileTexts: what the cloud says neither steers the terminal nor begins a line of its own.
func TestHostileTexts(t *testing.T) {
	const hostile = "\x1b[2Jweb-07\nreimage: all is well\u202e"
	var out bytes.Buffer
	err := outputText.finished(streams{out: &out}, rollout.ServerResult{
		End: rollout.Done, Name: hostile, Reason: hostile, Left: hostile, PowerTrouble: hostile, After: rollout.Observation{Exists: true, Status: hostile},
	})
	found := api.CheckServerResult{Name: hostile, ImageName: hostile, Notes: []string{hostile}, Refusals: []string{hostile, hostile}}
	plan := rollout.Plan{Name: hostile, ImageName: hostile, Change: rollout.Change{ImageID: hostile}, Warnings: []string{hostile}}
	for _, text := range []string{out.String(), err.Error(), loss("id", found), refusal(found).Error(), losses(plan)} {
		assert.Contains(t, text, "web-07 reimage: all is well")
		assert.NotContains(t, text, "\nreimage:")
		assert.NotContains(t, text, "\x1b")
		assert.NotContains(t, text, "\u202e")
	}
}

// TestLossCountsWhatIsKept with its noun.
func TestLossCountsWhatIsKept(t *testing.T) {
	for n, says := range map[int]string{0: "and 0 data disks\n", 1: "and 1 data disk\n", 2: "and 2 data disks\n"} {
		assert.Contains(t, loss("2b1f0f1e-7f0c-4f5e-9a34-6c1d6f0a9e11", api.CheckServerResult{DataDisks: n}), says)
	}
}
